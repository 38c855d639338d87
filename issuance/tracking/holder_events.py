"""Holder events: what happens to a holder or an application while its card is under way.

The consumer only records: events, their values sealed in the vault, what the card itself keeps. Their consequences
is decided in tracking.event_effects and tracking.decisions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from issuance.clock import instant_of, milliseconds
from issuance.ledger.connection import Connection
from issuance.ledger.erased import is_erased
from issuance.ledger.overlays import merged_terms, overlays
from issuance.tracking.event_values import CardOrder, Change, read_change, vault_of
from issuance.wire.bounds import head_refusal, seconds_ahead
from issuance.wire.consumer import Context, Stage
from issuance.wire.outbox import Outgoing
from issuance.wire.partner_notices import partner_notice
from issuance.wire.refusals import Message, Outcome
from issuance.words.codes import HOLDER_EVENTS
from issuance.words.references import card_ref_of

RECORD = "holder_event"
WITHDRAWING = ("DEATH", "WITHDRAWN")


def apply_holder_events(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Record events; DEATH and WITHDRAWN withdraw the card, FEE_PAID releases a held one. Each is answered."""
    outcomes: list[Outcome] = []
    answers: list[Outgoing] = []
    now = milliseconds(context.now)
    _lock_cards(connection, [message.value or {} for message in messages], now)
    for message in messages:
        code = _record(connection, message, context)
        ahead = seconds_ahead([(message.value or {})["occurred_at"]], now) if code == "TIME_AHEAD" else 0
        outcomes.append(Outcome(message, code, seconds=ahead))
        if code is None:
            event_id = str((message.value or {})["event_id"])
            counts = {"applied": 1, "refused": 0}
            answers.append(partner_notice(message.partner or "", "APPLIED", event_id, counts, "event"))
    return outcomes, answers


STAGE = Stage("holder_events", "holder-events", RECORD, apply_holder_events, weight=200)
"""A transaction of 20,000 items takes a hundred: each with values opens what was sealed and a block of the vault."""


class Event(NamedTuple):
    """A holder event as it is recorded; `source` and `event_id` are its identity."""

    source: str
    event_id: str
    sha256: bytes
    event: str
    card_ref: UUID
    value: dict[str, Any]

    @property
    def overlay(self) -> str:
        """The opaque name of its values in the vault."""
        return hashlib.sha256(f"{self.source}|{self.event_id}".encode()).hexdigest()[:32]


def _record(connection: Connection, message: Message, context: Context) -> str | None:
    value: dict[str, Any] = dict(message.value or {})
    if value["source"] != message.partner or message.partner not in context.registry.partners:
        return "NOT_YOURS"
    if code := head_refusal(RECORD, value, milliseconds(context.now)):
        return code
    if value["event"] not in HOLDER_EVENTS:
        return "EVENT_UNKNOWN"
    value["occurred_at"] = instant_of(value["occurred_at"])
    card_ref = _card_ref(value)
    order = lock_order(connection, card_ref) if card_ref else None
    if card_ref is None:
        return "CARD_UNKNOWN"
    sha256 = hashlib.sha256(message.body).digest()
    event = Event(message.partner, value["event_id"], sha256, value["event"], card_ref, value)
    known = connection.execute(
        "SELECT sha256 FROM holder_event WHERE (source, event_id) = (%(source)s, %(id)s)"
        " UNION ALL SELECT sha256 FROM waiting_event WHERE (source, event_id) = (%(source)s, %(id)s)",
        {"source": event.source, "id": event.event_id},
    ).fetchone()
    if known:
        return None if bytes(known[0]) == sha256 else "ID_REUSED"
    if order is None:
        return None if _wait(connection, event, context) else "CARD_UNKNOWN"
    if HOLDER_EVENTS[event.event].needs and is_erased(connection, card_ref):
        return "DATA_ERASED"
    change = read_change(event.event, value["sealed"], order, context)
    if isinstance(change, str):
        return change
    apply_event(connection, event, change, order, context)
    return None


def _wait(connection: Connection, event: Event, context: Context) -> bool:
    """Let an event wait for its card, if its cohort is known (tracking.waiting_events)."""
    value = event.value
    return bool(
        connection.execute(
            "INSERT INTO waiting_event (source, event_id, sha256, event, cohort_no, application_id, card_ref,"
            " occurred_at, sealed, arrived_on) SELECT %s, %s, %s, %s, cohort_no, %s, %s, %s, %s, %s FROM cohort"
            " WHERE cohort_id = %s",
            (event.source, event.event_id, event.sha256, event.event, value["application_id"], event.card_ref,
             value["occurred_at"], value["sealed"], context.day, value["cohort_id"]),
        ).rowcount
    )  # fmt: skip


def apply_event(connection: Connection, event: Event, change: Change, order: CardOrder, context: Context) -> None:
    """Write an event that was judged: its values sealed in the vault, its row, and what the card itself keeps."""
    if change.values:
        vault_of(context, order.cohort_id).write_overlay(event.overlay, change.values)
    _insert(connection, event, change)
    _keep(connection, event)


def _lock_cards(connection: Connection, values: Sequence[Mapping[str, Any]], now: int) -> None:
    """Lock the cards of the events within their bounds in key order, before one of them locks its own."""
    refs = {ref for value in values if not head_refusal(RECORD, value, now) and (ref := _card_ref(value))}
    connection.execute("SELECT FROM card WHERE card_ref = ANY (%s) ORDER BY card_ref FOR UPDATE", (sorted(refs),))


def lock_order(connection: Connection, card_ref: UUID) -> CardOrder | None:
    """A card's order and where its person is in the vault; None if there is no such card. Locks the card."""
    row = connection.execute(
        "SELECT cohort_id, city, c.category, kind, coalesce(terms ->> 'bank', bank),"
        " coalesce(terms ->> 'collection_method', collection_method), coalesce(terms ->> 'place', place), block,"
        f" position, overlays FROM card c JOIN cohort USING (cohort_no) {overlays('true')}"
        f" LEFT JOIN LATERAL ({merged_terms('e.card_ref = c.card_ref AND e.followed_on IS NULL')}) t ON true"
        " WHERE c.card_ref = %s FOR UPDATE OF c",
        (card_ref,),
    ).fetchone()
    return CardOrder(*row) if row else None


def _insert(connection: Connection, event: Event, change: Change) -> None:
    connection.execute(
        "INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at, overlay, terms, person)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(event.source, event.event_id, event.sha256, event.event, event.card_ref, event.value["occurred_at"]),
            event.overlay if change.values else None,
            json.dumps(change.terms) if change.terms else None,
            change.person,
        ),
    )


def _card_ref(value: Mapping[str, Any]) -> UUID | None:
    """The card that an event within its bounds names: by card_ref, or by cohort and application."""
    if value["card_ref"] is not None:
        return UUID(value["card_ref"])
    return card_ref_of(value["cohort_id"], value["application_id"]) if value["cohort_id"] else None


def _keep(connection: Connection, event: Event) -> None:
    """What an event changes on the card itself; a death outranks a withdrawal."""
    if event.event in WITHDRAWING:
        connection.execute(
            "UPDATE card SET withdrawn = CASE WHEN withdrawn = 'DEATH' THEN withdrawn ELSE %s END WHERE card_ref = %s",
            (event.event, event.card_ref),
        )
    elif event.event == "FEE_PAID":
        connection.execute("UPDATE card SET held = NULL WHERE card_ref = %s AND held = 'fee'", (event.card_ref,))
    connection.execute("INSERT INTO changed_card VALUES (%s)", (event.card_ref,))
