"""Whose personal data was erased: checked before anything opens personal data."""

from __future__ import annotations

from issuance.ledger.connection import Connection


def erased(card: str = "c") -> str:
    """SQL: whether the person of a card (alias of the table card) was erased, alone or with the whole cohort."""
    return (
        f"(EXISTS (SELECT FROM erasure z WHERE z.cohort_no = {card}.cohort_no AND z.whole)"
        f" OR EXISTS (SELECT FROM erased_card y WHERE y.card_ref = {card}.card_ref))"
    )


def is_erased(connection: Connection, card_ref: object) -> bool:
    """Whether the person of one card was erased."""
    row = connection.execute(f"SELECT {erased()} FROM card c WHERE c.card_ref = %s", (card_ref,)).fetchone()
    return bool(row and row[0])
