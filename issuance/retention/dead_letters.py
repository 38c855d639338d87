"""Refused holder events: the ledger keeps their bytes for a replay, including values sealed to our own key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from issuance.ledger.connection import Connection
from issuance.wire.avro import decode_body
from issuance.wire.codec import FRAME
from issuance.words.references import card_ref_of


def erase_letters(connection: Connection, concerns: Callable[[UUID], bool], undecodable_until: date | None) -> int:
    """Remove sent dead letters and replays of holder events about cards, for good; returns how many.

    `concerns` tells whether a card is one of those. Those that cannot be decoded, and so not assigned to a card, are
    removed if they are from `undecodable_until` or before.
    """
    rows = connection.execute(
        "SELECT id, body, business_day FROM outbox WHERE record IS NULL AND sent"
        " AND topic LIKE 'issuance.holder-events.%'"
    ).fetchall()
    gone = []
    for number, body, day in rows:
        card_ref = _card_of(bytes(body or b""))
        if concerns(card_ref) if card_ref else undecodable_until is not None and day <= undecodable_until:
            gone.append(number)
    return connection.execute("DELETE FROM outbox WHERE id = ANY (%s)", (gone,)).rowcount


def _card_of(body: bytes) -> UUID | None:
    """The card that a framed holder event names, None if unknown."""
    try:
        value: dict[str, Any] = decode_body("holder_event", body[FRAME.size :])
        if value["card_ref"] is not None:
            return UUID(value["card_ref"])
    except ValueError:
        return None
    return card_ref_of(value["cohort_id"], value["application_id"]) if value["cohort_id"] else None
