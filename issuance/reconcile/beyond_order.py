"""What a factory reports as made without an order: refused items are the evidence, since such facts are not merged."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection

KIND = "MADE_NOT_ORDERED"

SAID = """
SELECT r.partner, r.card_ref, r.attempt, r.code FROM refused_item r
WHERE r.milestone = 'MADE' AND NOT r.corrects AND NOT EXISTS (
    SELECT FROM refused_item x WHERE (x.partner, x.card_ref, x.attempt) = (r.partner, r.card_ref, r.attempt)
    AND (x.milestone = 'DESTROYED' AND NOT x.corrects
         OR x.milestone = 'MADE' AND x.corrects AND x.reported_at = r.reported_at))
"""
"""Reports of MADE in force: neither annulled by a correction nor explained by a destruction."""

MADE = f"""
SELECT DISTINCT {
    difference(
        f"'{KIND}'",
        cohort_no="coalesce(c.cohort_no, 0)",
        card_ref="s.card_ref",
        attempt="s.attempt",
        reference="s.partner || ' ' || s.card_ref || '/' || s.attempt",
        expected="'an order of ' || s.partner",
        actual="CASE s.code WHEN 'NO_RELATION' THEN 'made, and ordered of ' || coalesce(p.factory, 'nobody')"
        " ELSE 'made, and never ordered' END",
        answers_for="s.partner",
    )
}
FROM ({SAID}) s LEFT JOIN card c USING (card_ref)
LEFT JOIN plastic p ON (p.card_ref, p.attempt) = (s.card_ref, s.attempt)
"""


def watch_making(connection: Connection, day: date) -> int:
    """A break for every plastic that a factory made without our order; returns how many changed.

    It closes by itself when the factory corrects its report or reports the plastic as destroyed (those items are
    refused and kept too). What it made in excess of an order is MADE_BEYOND_ORDER (tracking.card_breaks).
    """
    return settle(connection, day, [KIND], MADE)
