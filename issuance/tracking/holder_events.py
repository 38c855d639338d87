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
from issuance.tracking.annulments import find_event, take_back
from issuance.tracking.event_values import CardOrder, Change, read_change, vault_of
from issuance.wire.bounds import head_refusal, seconds_ahead
from issuance.wire.consumer import Context, Stage
from issuance.wire.outbox import Outgoing
from issuance.wire.partner_notices import partner_notice
from issuance.wire.refusals import Message, Outcome
from issuance.words.codes import ANNULLED, HOLDER_EVENTS, WITHDRAWING
from issuance.words.references import card_ref_of

RECORD = "holder_event"


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
    if value["event"] == ANNULLED and value["annuls_source"] != message.partner:
        return "NOT_YOURS"
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
    return judge_event(connection, event, order, context)


def judge_event(connection: Connection, event: Event, order: CardOrder, context: Context) -> str | None:
    """Let an event of a partner act on its card; returns the code for which it is refused, if it is."""
    if event.event == ANNULLED:
        return annul_event(connection, event)
    change = read_change(event.event, event.value["sealed"], order, context)
    if isinstance(change, str):
        return change
    apply_event(connection, event, change, order, context)
    return None


def annul_event(connection: Connection, event: Event) -> str | None:
    """Take back the earlier event that an annulment names; returns EVENT_NOT_FOUND if there is none."""
    annulled = find_event(
        connection, event.card_ref, event.value["annuls_source"] or "", event.value["annuls_event_id"] or ""
    )
    if annulled is None:
        return "EVENT_NOT_FOUND"
    back = take_back(connection, event.card_ref, annulled)
    change = Change({}, back.terms, back.person)
    _insert(connection, event._replace(event=back.event), change, None, annulled.event_no)
    connection.execute("INSERT INTO changed_card VALUES (%s)", (event.card_ref,))
    return None


def _wait(connection: Connection, event: Event, context: Context) -> bool:
    """Let an event wait for its card, if its cohort is known (tracking.waiting_events)."""
    value = event.value
    return bool(
        connection.execute(
            "INSERT INTO waiting_event (source, event_id, sha256, event, cohort_no, card_ref, occurred_at, sealed,"
            " annuls_source, annuls_event_id, arrived_on)"
            " SELECT %s, %s, %s, %s, cohort_no, %s, %s, %s, %s, %s, %s FROM cohort WHERE cohort_id = %s",
            (event.source, event.event_id, event.sha256, event.event, event.card_ref, value["occurred_at"],
             value["sealed"], value["annuls_source"], value["annuls_event_id"], context.day, value["cohort_id"]),
        ).rowcount
    )  # fmt: skip


def apply_event(connection: Connection, event: Event, change: Change, order: CardOrder, context: Context) -> None:
    """Write an event that was judged: its values sealed in the vault, its row, and what the card itself keeps."""
    if change.values:
        vault_of(context, order.cohort_id).write_overlay(event.overlay, change.values)
    before = {"bank": order.bank, "collection_method": order.method, "place": order.place}
    _insert(connection, event, change, before if change.terms else None)
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


def _insert(
    connection: Connection, event: Event, change: Change, before: dict[str, str] | None, annuls: int | None = None
) -> None:
    connection.execute(
        "INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at, overlay, terms, person,"
        " terms_before, annuls, person_before) SELECT %s, %s, %s, %s, card_ref, %s, %s, %s, %s, %s, %s,"
        " CASE WHEN %s THEN person END"
        " FROM card WHERE card_ref = %s",
        (
            *(event.source, event.event_id, event.sha256, event.event, event.value["occurred_at"]),
            event.overlay if change.values else None,
            json.dumps(change.terms) if change.terms else None,
            change.person,
            json.dumps(before) if before else None,
            annuls,
            change.person is not None,
            event.card_ref,
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
