"""Which plastics have to be cancelled, and why."""

from __future__ import annotations

from issuance.tracking.brakes import no_brake
from issuance.tracking.rule import Rule
from issuance.wire.pauses import paused
from issuance.words.lifecycle import in_states


def in_force(withdrawn: str, ss_cancelled: str) -> str:
    """SQL: whether a decision to cancel a plastic is in force, by its `occasion`, card.withdrawn and SS_CANCELLED.

    One for an event that was annulled since is, only if the plastic's social security was cancelled by then.
    """
    return f"(occasion = '' OR {withdrawn} IS NOT NULL OR {ss_cancelled} IS NOT NULL)"


EXPLAINED = """
EXISTS (SELECT FROM remake r WHERE r.card_ref = s.card_ref AND r.attempt <= s.attempt AND r.ended_on IS NULL)
"""
"""Whether plastic s stands beside another one because an open re-make is about both."""
REPLACED = """
EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL
        AND (s.taken_later OR r.ground = ANY (%(at_once)s)))
"""
SECOND = f"""
NOT s.effective AND (s.was_made OR s.ordered_on IS NOT NULL) AND NOT {EXPLAINED}
"""
"""Whether plastic s stands beside the effective one, and no re-make says why."""

CANCEL_PLASTIC = Rule(
    "CANCEL_PLASTIC",
    f"""
-- to be cancelled: of a withdrawn application, replaced, made in vain, a second one, undeliverable, or expired
SELECT s.card_ref, s.attempt, way.reason, CASE WHEN way.reason IN ('DEATH', 'WITHDRAWN') THEN way.reason ELSE '' END
    AS occasion
FROM plastic_snapshot s JOIN card c USING (card_ref)
CROSS JOIN LATERAL (SELECT CASE
    WHEN c.withdrawn IS NOT NULL THEN c.withdrawn
    WHEN s.state = 'REFUSED_BY_HOLDER' THEN 'REFUSED_BY_HOLDER'
    WHEN {REPLACED} THEN (
        SELECT CASE WHEN r.ground = ANY (%(at_once)s) THEN r.ground ELSE 'REPLACED' END FROM remake r
        WHERE (r.card_ref, r.attempt) = (s.card_ref, s.attempt) AND r.ended_on IS NULL)
    WHEN s.in_vain THEN 'FOUND'
    WHEN {SECOND} THEN 'TWO_PLASTICS'
    WHEN s.state = 'RETURNED' AND s.effective
        AND (c_trips >= 3 OR mark_reason(c_returned) IN ('REFUSED', 'DECEASED')) THEN 'UNDELIVERABLE'
    WHEN {in_states("s.state", "kept")} AND s.effective
        AND shanghai_day(mark_at(s.since_mark)) + %(keep_days)s <= %(day)s
        AND NOT {paused("s.bank", "s.factory", "%(hrss)s")} AND {no_brake("EXPIRY")} THEN 'EXPIRED' END AS reason) way
WHERE way.reason IS NOT NULL AND coalesce(s.spoiled, s.refused, s.destroyed, s.ss_cancelled, s.unproven) IS NULL
  AND coalesce(s.cancel_reason, way.reason) = way.reason
""",
    ("occasion",),
)
"""One for an event that was annulled since is another decision than a later one for another reason."""
