"""Where cards are now: state = f(facts, decisions, business time), as two set-based queries over the table `work`.

`plastic_snapshot` has a row for every plastic of the cards in `work`, `card_snapshot` one for every card; both last one
transaction and are read by the decisions, the breaks and the closing equations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from issuance.city.city import City
from issuance.ledger.connection import Connection
from issuance.tracking.cancellations import in_force
from issuance.tracking.card_breaks import GRACES
from issuance.words.collection import to_holder
from issuance.words.lifecycle import CANCEL_ORDER, GROUNDS, PLASTIC_STATES, in_states

LOSSES = [ground.name for ground in GROUNDS.values() if ground.loss]
AT_ONCE = [ground.name for ground in GROUNDS.values() if ground.at_once]


def _case(values: list[tuple[str, str]], default: str = "") -> str:
    whens = "\n".join(f"WHEN {condition} THEN {value}" for condition, value in values)
    return f"CASE {whens} {default} END"


OF_OUTLET = (
    "coalesce(issued_instantly, collected, ss_activated, finance_activated, destroyed, ss_cancelled) IS NOT NULL"
)
"""Whether there is a plastic of attempt 0: its row may stand although all of it was refused or annulled."""

PLASTICS = f"""
CREATE TEMP TABLE plastic_snapshot ON COMMIT DROP AS
WITH facts AS (
    SELECT p.*, w.collection_method, w.to_holder, w.bank AS bank_wanted, w.place, j.cohort_no AS job_cohort, j.carries,
        s.sent_on AS ordered_on,
        CASE WHEN p.item_refused IS NULL THEN coalesce(p.item_accepted, j.job_accepted) END AS accepted,
        coalesce(p.item_refused, CASE WHEN p.item_accepted IS NULL AND j.job_accepted IS NULL
                                      THEN j.job_refused END) AS refused,
        p.item_refused IS NULL AND j.job_refused IS NOT NULL AS refused_with_job,
        c.consignment_id AS c_id, c.handed_over AS c_handed_over, c.sent_back AS c_sent_back,
        c.posted AS c_posted, c.returned AS c_returned, c.last_news AS c_last_news,
        CASE WHEN c.returned IS NOT NULL THEN r.lost WHEN coalesce(c.delivered, c.received_at_place) IS NULL THEN c.lost
            END AS c_lost,
        c.at_pickup_point AS c_at_pickup_point, c.trips AS c_trips,
        coalesce(c.received_at_place, CASE WHEN NOT w.to_holder THEN c.delivered END) AS c_received,
        least(p.collected, p.issued_instantly, CASE WHEN w.to_holder THEN c.delivered END) AS taken,
        CASE WHEN shanghai_day(mark_at(p.loss_reported_temporary)) + %(temporary_loss_days)s > %(day)s
            AND coalesce(p.ss_activated, p.collected, p.issued_instantly, c.delivered) IS NOT NULL
            THEN p.loss_reported_temporary END AS suspended,
        CASE WHEN coalesce(c.received_at_place, c.delivered, c.returned, p.collected) IS NULL THEN (
            SELECT mark_of_day(max(r.begun_on), max(r.reason)) FROM remake r WHERE (r.card_ref, r.attempt, r.ground) =
                (p.card_ref, p.attempt, 'MISSING')) END AS missing,
        coalesce(c.received_at_place, c.delivered, c.returned, p.collected) IS NULL AND EXISTS (
            SELECT FROM remake r WHERE (r.card_ref, r.attempt, r.ground) = (p.card_ref, p.attempt, 'PRESUMED_LOST'))
            AS presumed,
        d.reason AS cancel_reason,
        EXISTS (
            SELECT FROM remake r WHERE r.card_ref = p.card_ref AND r.attempt < p.attempt AND r.ending = 'FOUND'
            AND r.made = (SELECT max(x.made) FROM remake x WHERE (x.card_ref, x.attempt) = (r.card_ref, r.attempt)
                          AND x.made <= p.attempt)) AS superfluous,
        (SELECT mark_of_day(min(q.ended_on), '') FROM request q WHERE (q.card_ref, q.attempt, q.ending) =
            (p.card_ref, p.attempt, 'waived') AND q.kind = ANY (%(cancel_order)s)) AS unproven,
        p.conflict OR coalesce(c.conflict, false) AS any_conflict
    FROM (SELECT *, {to_holder()} AS to_holder FROM card
          WHERE card_ref IN (SELECT card_ref FROM work)) w
    JOIN plastic p USING (card_ref)
    LEFT JOIN LATERAL (
        SELECT reason FROM decision WHERE (card_ref, attempt, kind) = (p.card_ref, p.attempt, 'CANCEL_PLASTIC')
        AND {in_force("w.withdrawn", "p.ss_cancelled")} ORDER BY occasion LIMIT 1
    ) d ON true
    LEFT JOIN job j USING (job_id)
    LEFT JOIN sealed_job s USING (job_id)
    LEFT JOIN LATERAL (
        SELECT l.*, greatest(handed_over, posted, in_transit, out_for_delivery, at_pickup_point, delivery_failed)
                AS last_news,
            count(*) OVER () AS trips
        FROM letter_news l WHERE l.card_ref = p.card_ref AND l.attempt = p.attempt
        ORDER BY coalesce(handed_over, sent_back, received_at_place) DESC NULLS LAST, consignment_id LIMIT 1
    ) c ON true
    LEFT JOIN consignment r ON r.consignment_id = return_item(c.consignment_id, c.returned)
), states AS (
    SELECT *, {_case([(s.when, f"'{s.name}'") for s in PLASTIC_STATES])} AS state,
        {_case([(s.when, f"{s.since}::text") for s in PLASTIC_STATES])} AS since_mark
        , coalesce(spoiled, refused, destroyed, ss_cancelled, cancel_reason, unproven) IS NOT NULL
            OR superfluous AND taken IS NULL AS dead
        , superfluous AND taken IS NULL AS in_vain
        , coalesce(made, issued_instantly, c_handed_over, taken, ss_activated) IS NOT NULL AS was_made
        , taken IS NULL AND coalesce(c_lost, missing) IS NULL AND NOT presumed AS has_keeper
    FROM facts WHERE attempt > 0 OR {OF_OUTLET}
), ranked AS (
    SELECT *,
        row_number() OVER (PARTITION BY card_ref ORDER BY dead, CASE WHEN NOT dead THEN ss_activated END,
                           CASE WHEN NOT dead THEN taken END, attempt DESC) = 1 AS effective,
        bool_or(NOT dead OR was_made AND coalesce(spoiled, refused, destroyed, ss_cancelled, unproven) IS NULL)
            OVER of_bank
        OR attempt < max(attempt) FILTER (WHERE was_made) OVER of_bank OR EXISTS (
            SELECT FROM card n JOIN plastic q USING (card_ref) WHERE n.replaces = states.card_ref
            AND q.bank = states.bank AND q.ss_activated IS NOT NULL AND q.account_cancelled IS NULL) AS account_kept
    FROM states WINDOW of_bank AS (PARTITION BY card_ref, bank)
)
SELECT *,
    max(taken) FILTER (WHERE taken IS NOT NULL) OVER later IS NOT NULL AS taken_later,
    cancel_reason IS NOT NULL AND (unproven IS NOT NULL OR CASE
        WHEN was_made THEN ss_cancelled IS NOT NULL AND (account_cancelled IS NOT NULL OR account_kept)
            AND (destroyed IS NOT NULL OR NOT has_keeper)
        ELSE ordered_on IS NULL OR coalesce(refused, spoiled) IS NOT NULL END) AS order_ended
FROM ranked WINDOW later AS (PARTITION BY card_ref ORDER BY attempt ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
"""

FINANCE = "(s.finance_activated IS NOT NULL AND s.account_cancelled IS NULL)"
OWED_A_PENSION = (
    "c.category = 'retiree' AND c.withdrawn IS NULL"
    " AND coalesce(s.state, 'WAITING') NOT IN ('DESTROYED', 'CANCELLED', 'LOST_BY_HOLDER')"
)
PENSION = f"""
CASE WHEN {OWED_A_PENSION} AND s.state IN ('COLLECTED', 'ACTIVE', 'SUSPENDED') AND NOT {FINANCE}
     THEN shanghai_day(mark_at(least(s.taken, s.ss_activated))) + %(pension_days)s END AS pension_due,
{OWED_A_PENSION} AND w.bank IS NOT NULL AND NOT coalesce(s.bank = w.bank AND {FINANCE}, false) AS pension_switched
"""
"""When a retiree's pension, paid into the card's account, is at risk; after a switch of banks at once (domain.md)."""
SWITCHES = """
LEFT JOIN (SELECT DISTINCT ON (card_ref) card_ref, terms ->> 'bank' AS bank FROM holder_event JOIN work USING (card_ref)
           WHERE event = 'BANK_SWITCHED' AND NOT annulled AND followed_on IS NOT NULL AND terms ? 'bank'
           ORDER BY card_ref, occurred_at DESC, source DESC, event_id DESC) w ON w.card_ref = c.card_ref
"""
"""The bank that each holder has switched to last."""

CARDS = (
    """
CREATE TEMP TABLE card_snapshot ON COMMIT DROP AS
SELECT *,
    least(CASE WHEN clock > %(day)s THEN clock END, CASE WHEN pension_due > %(day)s THEN pension_due END,
        grace) AS next_due,
    CASE WHEN state = 'REPLACED' THEN NULL WHEN pension_switched THEN 'BANK_SWITCHED'
         WHEN pension_due <= %(day)s THEN 'FINANCE_INACTIVE' END AS pension_risk
FROM (
SELECT c.card_ref, c.cohort_no, c.state AS old_state, s.attempt AS effective, s.since_mark,
    CASE
        WHEN s.card_ref IS NULL AND c.withdrawn = 'DEATH' THEN 'CANCELLED_BEFORE_MAKING'
        WHEN s.card_ref IS NULL AND c.withdrawn IS NOT NULL THEN 'WITHDRAWN'
        WHEN s.card_ref IS NULL AND c.held IS NOT NULL THEN 'HELD'
        WHEN s.card_ref IS NULL THEN 'WAITING'
        WHEN c.withdrawn IS NOT NULL AND (s.state IN ('REFUSED', 'SPOILED', 'DESTROYED', 'MAIL_LOST')
            OR s.state = 'PLANNED' AND s.dead) THEN
            CASE c.withdrawn WHEN 'DEATH' THEN 'CANCELLED_BEFORE_MAKING' ELSE 'WITHDRAWN' END
        WHEN s.state = 'COLLECTED'
            AND shanghai_day(mark_at(s.since_mark)) + %(not_activated_days)s <= %(day)s THEN 'NOT_ACTIVATED'
        WHEN s.state IN ('ACTIVE', 'SUSPENDED', 'COLLECTED') AND EXISTS (
            SELECT FROM card n JOIN plastic q USING (card_ref)
            WHERE n.replaces = c.card_ref AND q.ss_activated > coalesce(s.ss_activated, '')
              AND q.ss_cancelled IS NULL) THEN 'REPLACED'
        ELSE s.state
    END AS state,
    CASE
        WHEN """
    + in_states("s.state", "kept")
    + """ THEN coalesce((
            SELECT min(shanghai_day(mark_at(s.since_mark)) + days)
            FROM unnest(%(reminder_days)s::int[] || %(keep_days)s) days
            WHERE shanghai_day(mark_at(s.since_mark)) + days > %(day)s),
            CASE WHEN NOT s.dead THEN %(day)s + 1 END)
        WHEN s.state = 'COLLECTED' THEN shanghai_day(mark_at(s.since_mark)) + %(not_activated_days)s
        WHEN s.state = 'POSTED' THEN coalesce((
            SELECT min(shanghai_day(mark_at(s.c_last_news)) + days)
            FROM unnest(ARRAY[%(letter_days)s + 1, %(lost_after_days)s]) days
            WHERE shanghai_day(mark_at(s.c_last_news)) + days > %(day)s),
            CASE WHEN NOT s.dead AND NOT s.presumed THEN %(day)s + 1 END)
        WHEN s.state = 'SUSPENDED' THEN shanghai_day(mark_at(s.since_mark)) + %(temporary_loss_days)s
        WHEN s.card_ref IS NULL OR """
    + in_states("s.state", "due_runs")
    + """ THEN c.due_on + 1
    END AS clock,
    (SELECT min(g.day) FROM ("""
    + GRACES
    + """) g WHERE g.day > %(day)s) AS grace,
    """
    + PENSION
    + """
FROM card c JOIN work USING (card_ref) LEFT JOIN plastic_snapshot s ON s.card_ref = c.card_ref AND s.effective
"""
    + SWITCHES
    + """
) cards
"""
)


def snapshot_cards(connection: Connection, values: Mapping[str, Any]) -> None:
    """Make `plastic_snapshot` and `card_snapshot` of the cards in `work`, at the end of a business day.

    `values` are those of the city (`city_values`).
    """
    connection.execute(PLASTICS, values)
    connection.execute("CREATE INDEX ON plastic_snapshot (card_ref)")
    connection.execute("ANALYZE plastic_snapshot")
    connection.execute(CARDS, values)


def city_values(city: City, day: date) -> dict[str, Any]:
    """A city's figures as parameters of the rules; days are calendar days."""
    policy = city.policy
    return {
        "day": day,
        "hrss": city.hrss,
        "not_activated_days": policy.not_activated_days,
        "pension_days": policy.pension_days,
        "reminder_days": list(policy.reminder_days),
        "keep_days": policy.keep_days,
        "lost_after_days": policy.lost_after_days,
        "temporary_loss_days": policy.temporary_loss_days,
        "handover_days": policy.handover_days,
        "letter_days": policy.letter_days,
        "feed_days": policy.feed_days,
        "cancel_order": list(CANCEL_ORDER),
        "city": policy.city,
        "losses": list(LOSSES),
        "at_once": list(AT_ONCE),
        "grace_days": json.dumps(policy.grace_days.model_dump()),
        "brake_ratio": policy.brake_ratio.model_dump(),
    }
