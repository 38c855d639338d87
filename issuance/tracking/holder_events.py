"""Holder events: what happens to a holder or an application while its card is under way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from issuance.intake.session import card_ref_of
from issuance.ledger.connection import Connection
from issuance.ledger.outbox import Outgoing
from issuance.lifecycle import HOLDER_EVENTS
from issuance.wire.consumer import Context, Stage
from issuance.wire.notices import partner_notice
from issuance.wire.refusals import Message, Outcome
from issuance.wire.registry import FRAME

WITHDRAWING = ("DEATH", "WITHDRAWN")


def apply_holder_events(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Record events; DEATH and WITHDRAWN withdraw the card, FEE_PAID releases a held one. Each is answered."""
    outcomes: list[Outcome] = []
    answers: list[Outgoing] = []
    for message in messages:
        code = _record(connection, message, context)
        outcomes.append(Outcome(message, code))
        if code is None:
            event_id = str((message.value or {})["event_id"])
            answers.append(partner_notice(message.partner or "", "APPLIED", event_id, {"applied": 1, "refused": 0}))
    return outcomes, answers


STAGE = Stage("holder_events", "holder-events", "holder_event", apply_holder_events)


def _record(connection: Connection, message: Message, context: Context) -> str | None:
    value: dict[str, Any] = dict(message.value or {})
    if value["source"] != message.partner or message.partner not in context.registry.partners:
        return "NOT_YOURS"
    if value["event"] not in HOLDER_EVENTS:
        return "EVENT_UNKNOWN"
    if value["occurred_at"] > context.now:
        return "IN_FUTURE"
    card_ref = _card_ref(value)
    known = connection.execute("SELECT FROM card WHERE card_ref = %s FOR UPDATE", (card_ref,)).fetchone()
    if card_ref is None or known is None:
        return "CARD_UNKNOWN"
    sha256 = hashlib.sha256(message.raw[FRAME.size :]).digest()
    row = connection.execute(
        "INSERT INTO holder_event VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING event_id",
        (message.partner, value["event_id"], sha256, value["event"], card_ref, value["occurred_at"], value["sealed"]),
    ).fetchone()
    if row is None:
        standing = connection.execute(
            "SELECT sha256 FROM holder_event WHERE (source, event_id) = (%s, %s)", (message.partner, value["event_id"])
        ).fetchone()
        return None if standing and bytes(standing[0]) == sha256 else "ID_REUSED"
    _follow(connection, card_ref, value["event"])
    return None


def _card_ref(value: dict[str, Any]) -> UUID | None:
    """The card an event names: by card_ref, or by cohort and application."""
    if value["card_ref"] is None:
        return card_ref_of(value["cohort_id"], value["application_id"]) if value["cohort_id"] else None
    try:
        return UUID(value["card_ref"])
    except ValueError:
        return None


def _follow(connection: Connection, card_ref: UUID, event: str) -> None:
    """What the card itself keeps of an event; death outranks a withdrawal. Decisions follow in tracking.decide."""
    if event in WITHDRAWING:
        connection.execute(
            "UPDATE card SET withdrawn = CASE WHEN withdrawn = 'DEATH' THEN withdrawn ELSE %s END WHERE card_ref = %s",
            (event, card_ref),
        )
    elif event == "FEE_PAID":
        connection.execute("UPDATE card SET held = NULL WHERE card_ref = %s AND held = 'fee'", (card_ref,))
    connection.execute("INSERT INTO changed_card VALUES (%s)", (card_ref,))
