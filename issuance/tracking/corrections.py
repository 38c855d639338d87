"""Corrections that meet no fact of their reporter: they wait, and are a break after their grace."""

from __future__ import annotations

from datetime import date, timedelta

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection

KIND = "CORRECTION_UNMET"
GRACE_DAYS = 3
"""[rule] Days that the corrected fact may come later: reports of a partner's producers overtake each other."""
UNMET = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="reporter_of(k) || '/' || fact_key(k)",
        expected="'a fact of the same reporter'",
        actual="'none'",
        cohort_no="coalesce(c.cohort_no, 0)",
        card_ref="k.card_ref",
        attempt="k.attempt",
        answers_for="reporter_of(k)",
        waits_on="reporter_of(k)",
    )
}
FROM fact k LEFT JOIN card c USING (card_ref)
WHERE k.corrects AND k.arrived_on < %(late)s AND NOT EXISTS (
    SELECT FROM same_facts(k) f WHERE NOT f.corrects AND reporter_of(f) = reporter_of(k))
"""


def watch_corrections(connection: Connection, day: date) -> int:
    """A break for every correction that annuls nothing after its grace; returns how many changed."""
    return settle(connection, day, [KIND], UNMET, {"late": day - timedelta(days=GRACE_DAYS)})
