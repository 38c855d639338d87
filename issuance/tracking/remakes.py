"""Re-makes (补制): the process in which a plastic takes the place of an earlier one; table `remake`.

It begins for a ground (lifecycle.GROUNDS). The old plastic is cancelled when the new one is taken, or at once where the
ground says so. Where it is only missed and turns up before the new one is taken, the re-make ends, and the new one is
cancelled, by however far it is. Otherwise it is open until the old plastic is dealt with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from issuance.city.partners import Registry
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.tracking.brakes import no_brake, set_brake
from issuance.tracking.rule import Rule
from issuance.wire.pauses import paused
from issuance.words.codes import HOLDER_EVENTS

LACKED = " OR ".join(f"e.event = '{e.name}' AND ({e.remakes})" for e in HOLDER_EVENTS.values() if e.remakes)
"""Whether a holder event (e) that the file of plastic s lacks is a reason to make another one."""
SILENT = """
NOT EXISTS (SELECT FROM carrier_feed n WHERE n.carrier = carrier_of({letter})
            AND shanghai_day(n.last_news) + %(feed_days)s >= %(day)s)
"""
"""Whether the feed of a letter's carrier is silent: then silence says nothing about the letter."""
PRESUMED = f"""
s.state = 'POSTED' AND shanghai_day(mark_at(c_last_news)) + %(lost_after_days)s <= %(day)s
AND NOT {paused("carrier_of(c_id)")} AND NOT {SILENT.format(letter="c_id")} AND {no_brake("LOSS", "carrier_of(c_id)")}
"""
"""Whether plastic s is a letter that is presumed lost."""
REVIVED = """
s.dead AND coalesce(s.cancel_reason IN ('DEATH', 'WITHDRAWN'), EXISTS (SELECT FROM decision d WHERE
    (d.card_ref, d.attempt, d.kind) = (s.card_ref, s.attempt, 'CANCEL_PLASTIC') AND d.occasion <> ''))
"""
"""Whether plastic s was cancelled for an event that did not happen (its card is not withdrawn)."""

REMAKE = Rule(
    "REMAKE",
    f"""
-- another plastic, when the effective one can no longer be collected, is another bank's, or lacks a change
SELECT s.card_ref, s.attempt, way.ground, coalesce(nullif(CASE way.ground
           WHEN 'SPOILED' THEN mark_reason(spoiled) WHEN 'REFUSED' THEN mark_reason(refused)
           WHEN 'REFUSED_BY_HOLDER' THEN mark_reason(refused_by_holder) WHEN 'CHANGED' THEN lack.event END, ''),
           way.ground) AS reason
FROM plastic_snapshot s JOIN card c USING (card_ref)
CROSS JOIN LATERAL (SELECT CASE WHEN s.ordered_on IS NOT NULL AND taken IS NULL THEN (
        SELECT e.event FROM holder_event e WHERE e.card_ref = s.card_ref AND e.followed_on IS NOT NULL
        AND NOT e.annulled AND NOT e.event_no = ANY (coalesce(s.carries, '{{}}'))
        AND (e.annuls IS NULL OR e.annuls = ANY (coalesce(s.carries, '{{}}'))) AND ({LACKED})
        ORDER BY e.occurred_at DESC, e.event_no DESC LIMIT 1) END AS event) lack
CROSS JOIN LATERAL (SELECT CASE
    WHEN {REVIVED} THEN 'ANNULLED'
    WHEN s.state = 'SPOILED' THEN 'SPOILED'
    WHEN s.state = 'REFUSED' AND mark_reason(refused) <> 'CANCELLED' THEN 'REFUSED'
    WHEN s.state = 'DESTROYED' AND c_id IS NULL THEN 'DESTROYED'
    WHEN s.state = 'REFUSED_BY_HOLDER' THEN 'REFUSED_BY_HOLDER'
    WHEN s.state = 'MAIL_LOST' THEN 'LOST'
    WHEN s.attempt > 0 AND taken IS NULL AND s.bank <> bank_wanted THEN 'BANK_SWITCHED'
    WHEN lack.event IS NOT NULL THEN 'CHANGED'
    WHEN {PRESUMED} THEN 'PRESUMED_LOST' END AS ground) way
WHERE s.effective AND c.withdrawn IS NULL AND way.ground IS NOT NULL
  AND (s.cancel_reason IS NULL AND s.unproven IS NULL OR way.ground = 'ANNULLED')
  AND NOT EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt)
                  AND (r.ended_on IS NULL OR r.ground = way.ground AND NOT way.ground = ANY (%(losses)s)))
""",
    ("ground",),
    "SELECT r.begun_on FROM remake r WHERE (r.card_ref, r.attempt, r.ground) = (f.card_ref, f.attempt, f.ground)",
)

BEGIN = """
WITH begun AS (
    INSERT INTO remake (card_ref, made, attempt, ground, reason, begun_on, decided_by)
    SELECT f.card_ref, c.last_attempt + 1, f.attempt, f.ground, f.reason, %(day)s, 'policy'
    FROM begins f JOIN card c USING (card_ref) ORDER BY f.card_ref RETURNING card_ref)
SELECT count(*) FROM begun
"""
MAKE = """
WITH next AS (
    INSERT INTO plastic (card_ref, attempt, bank, factory)
    SELECT r.card_ref, r.made, c.bank,
           CASE WHEN s.refused_with_job THEN %s::jsonb ->> c.bank ELSE c.factory END
    FROM remake r JOIN card c USING (card_ref) JOIN plastic_snapshot s USING (card_ref, attempt)
    WHERE r.made > c.last_attempt AND r.ended_on IS NULL
    ORDER BY r.card_ref ON CONFLICT DO NOTHING RETURNING card_ref, attempt)
UPDATE card SET last_attempt = next.attempt FROM next WHERE card.card_ref = next.card_ref
"""
"""The plastic of a re-make waits for a job; of a job refused as a whole it goes to the bank's backup factory."""

END = """
WITH ended AS (
    UPDATE remake r SET ended_on = %(day)s, ending = way.ending
    FROM plastic_snapshot s JOIN card c USING (card_ref)
    CROSS JOIN LATERAL (
        SELECT coalesce(s.taken, s.c_received) IS NOT NULL AND NOT s.dead AND NOT s.taken_later AS found) o
    CROSS JOIN LATERAL (SELECT CASE
        WHEN c.withdrawn IS NOT NULL THEN 'WITHDRAWN'
        WHEN s.dead AND (s.cancel_reason IS NULL OR s.order_ended) THEN 'DONE'
        WHEN o.found THEN 'FOUND' END AS ending) way
    WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL AND way.ending IS NOT NULL
      AND (way.ending <> 'FOUND' OR r.ground = ANY (%(losses)s)) RETURNING r.card_ref)
SELECT count(*) FROM ended
"""


def begin_remakes(connection: Connection, registry: Registry, values: Mapping[str, Any]) -> int:
    """Begin the re-makes of the cards in the snapshot and make their plastics; returns how many.

    Past the policy's share of a day nothing of it begins: a brake is set (tracking.brakes).
    """
    connection.execute(f"CREATE TEMP TABLE begins ON COMMIT DROP AS {REMAKE.query}", values)
    if set_brake(connection, "REMAKE", values):
        connection.execute("DELETE FROM begins WHERE ground <> 'PRESUMED_LOST'")
    (begun,) = one(connection, BEGIN, values)
    connection.execute("DROP TABLE begins")
    backups = json.dumps({bank: registry.backup_of(bank) for bank in registry.factory_of_bank})
    return int(begun) + connection.execute(MAKE, (backups,)).rowcount


def end_remakes(connection: Connection, values: Mapping[str, Any]) -> int:
    """End the re-makes of the cards in the snapshot that are done, or whose old plastic turned up; returns how many."""
    return int(one(connection, END, values)[0])
