"""The chain of custody: every hand-over matched three ways, every letter posted, every mail event assigned to a letter.

Only consignments whose evidence changed, or whose day has come, are examined (table changed_consignment).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.words.collection import keeper

KINDS = ("HANDOVER_COUNT", "UNMATCHED_MAIL")
NAMED = 10
"""The maximum number of plastics in question that a break names."""

DUE = "shanghai_day(mark_at({mark})) + %(handover_days)s < %(day)s"
GONE = "EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt, r.ground) = (a.card_ref, a.attempt, 'MISSING'))"
"""Whether an operator has decided that a plastic was lost in a hand-over (plastic_in_consignment a)."""

GIVEN = "coalesce(given::text, 'not') || ' signed, ' || listed || ' listed'"
TAKEN = f"""
CASE WHEN received = 0 THEN 'not received' ELSE received || ' received, ' || coalesce(taken::text, 'not')
    || ' signed' END || CASE WHEN doubtful IS NULL THEN '' ELSE '; in question: ' || array_to_string(
    doubtful[:{NAMED}], ', ') || CASE WHEN cardinality(doubtful) > {NAMED} THEN ' …' ELSE '' END END
"""
HANDOVERS = f"""
SELECT {
    difference(
        "'HANDOVER_COUNT'",
        cohort_no="cohort_no",
        reference="consignment_id",
        expected=GIVEN,
        actual=TAKEN,
        answers_for="receiver",
        waits_on="receiver",
    )
}
FROM (
    SELECT h.consignment_id, min(c.cohort_no) AS cohort_no, count(handed) AS listed,
        count(received_at_place) AS received,
        count(*) FILTER (WHERE gone AND received_at_place IS NULL) AS lost,
        min((mark_content(handed) ->> 'handover_count')::int) AS given,
        max((mark_content(handed) ->> 'handover_count')::int) AS given_most,
        min((mark_content(received_at_place) ->> 'handover_count')::int) AS taken,
        min(handed_over) AS begun, bool_or(p.destroyed IS NULL AND NOT gone) AS stands,
        array_agg(h.card_ref || '/' || h.attempt ORDER BY h.card_ref)
            FILTER (WHERE (handed IS NULL) <> (received_at_place IS NULL) AND NOT gone) AS doubtful,
        min({keeper("p.bank", column="c.collection_method")}) AS receiver
    FROM (SELECT a.*, coalesce(a.handed_over, a.sent_back) AS handed, {GONE} AS gone
          FROM look JOIN plastic_in_consignment a USING (consignment_id) WHERE NOT is_mail_item(a.consignment_id)) h
    JOIN card c USING (card_ref) JOIN plastic p USING (card_ref, attempt)
    GROUP BY h.consignment_id) counted
WHERE received > 0 AND (listed <> coalesce(given, -1) OR given <> given_most OR listed <> received + lost
                        OR received <> coalesce(taken, -1))
   OR received > 0 AND doubtful IS NOT NULL
   OR received = 0 AND stands AND {DUE.format(mark="begun")}
"""
"""A hand-over whose counts differ, signed and listed by either side; and one that nobody received in time.

A plastic that an operator has declared lost in it is accounted for.
"""

SILENT_LETTERS = f"""
SELECT {
    difference(
        "'HANDOVER_COUNT'",
        cohort_no="c.cohort_no",
        reference="l.consignment_id",
        expected="'posted'",
        actual="'no news'",
        answers_for="carrier_of(l.consignment_id)",
        waits_on="carrier_of(l.consignment_id)",
    )
}
FROM look JOIN letter_news l USING (consignment_id) JOIN card c USING (card_ref)
JOIN plastic p USING (card_ref, attempt)
WHERE is_mail_item(l.consignment_id) AND {DUE.format(mark="l.handed_over")} AND l.received_at_place IS NULL
  AND coalesce(l.posted, l.delivered, l.returned, l.lost) IS NULL AND p.destroyed IS NULL
  AND NOT EXISTS (SELECT FROM break b WHERE b.kind = 'FEED_SILENT' AND b.closed_on IS NULL
                  AND b.reference = carrier_of(l.consignment_id))
"""
"""Letters given and never posted; while their carrier's feed is silent, that is one break of the carrier's."""

UNMATCHED = """
SELECT m.consignment_id, min(f.mark) AS mark FROM look JOIN consignment m USING (consignment_id)
JOIN fact f ON f.consignment_id = m.consignment_id AND f.subject = 'mail' AND NOT f.corrects
WHERE NOT EXISTS (SELECT FROM plastic_in_consignment a
                  WHERE a.consignment_id = m.consignment_id AND same_use(f.mark, a.handed_over))
  AND NOT EXISTS (SELECT FROM consignment b WHERE return_item(b.consignment_id, b.returned) = m.consignment_id)
GROUP BY 1
"""
"""Mail items whose events belong to no hand-over within six months and to no return; with their first event."""

UNMATCHED_MAIL = f"""
SELECT {
    difference(
        "'UNMATCHED_MAIL'",
        reference="consignment_id",
        expected="'a hand-over'",
        actual="'mail events only'",
        answers_for="carrier_of(consignment_id)",
    )
}
FROM ({UNMATCHED}) u WHERE {DUE.format(mark="mark")}
"""

OPEN_ENDED = f"""
SELECT a.consignment_id, a.handed_over AS mark
FROM look JOIN letter_news a USING (consignment_id) JOIN plastic p USING (card_ref, attempt)
WHERE a.received_at_place IS NULL AND coalesce(a.posted, a.delivered, a.returned, a.lost) IS NULL
  AND p.destroyed IS NULL AND a.handed_over IS NOT NULL AND NOT {GONE}
UNION ALL {UNMATCHED}
"""
"""What waits for the receiver, and since when."""


def watch_custody(connection: Connection, day: date, values: Mapping[str, Any]) -> int:
    """Open and close the breaks of the consignments to be examined; returns how many changed.

    `values` are those of the city; its deadline (`handover_days`, calendar days) runs from the hand-over or the
    first mail event. Makes the table `look` and drops it.
    """
    connection.execute('CREATE TEMP TABLE look (consignment_id text COLLATE "C" PRIMARY KEY) ON COMMIT DROP')
    connection.execute(
        "WITH taken AS (DELETE FROM changed_consignment WHERE look_on <= %s RETURNING consignment_id)"
        " INSERT INTO look SELECT DISTINCT consignment_id FROM taken",
        (day,),
    )
    connection.execute("ANALYZE look")
    found = f"{HANDOVERS} UNION ALL {SILENT_LETTERS} UNION ALL {UNMATCHED_MAIL}"
    changed = settle(connection, day, KINDS, found, values, "reference IN (SELECT consignment_id FROM look)")
    connection.execute(
        "INSERT INTO changed_consignment SELECT consignment_id,"
        " greatest(min(shanghai_day(mark_at(mark))) + %(handover_days)s, %(day)s) + 1"
        f" FROM ({OPEN_ENDED}) waiting GROUP BY consignment_id",
        values,
    )
    connection.execute("DROP TABLE look")
    return changed
