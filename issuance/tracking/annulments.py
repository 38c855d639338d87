"""Holder events that did not happen (ANNULLED): taken back by the source that told them, or at the desk.

What was only changed is changed back: the annulment stands in the journal as a change to what was in force before, and
has the effects of one. A death or withdrawal ends at once; of its cancel order what is unanswered becomes void, and a
plastic that was cancelled by then is re-made (tracking.remakes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from issuance.ledger.connection import Connection
from issuance.ledger.erased import is_erased
from issuance.words.codes import ANNULLED, HOLDER_EVENTS, WITHDRAWING


class Annulled(NamedTuple):
    """A recorded event that is taken back."""

    event_no: int
    event: str
    terms: dict[str, str] | None
    person: bytes | None


class Back(NamedTuple):
    """What takes an event back: under which code it is recorded, and what is in force again."""

    event: str
    terms: dict[str, str] | None
    person: bytes | None


def find_event(connection: Connection, card_ref: UUID, source: str, event_id: str) -> Annulled | None:
    """A card's event by its identity; None if there is none that can be taken back. Locks it."""
    row = connection.execute(
        "SELECT event_no, event, terms, person FROM holder_event WHERE (source, event_id) = (%s, %s)"
        " AND card_ref = %s AND annuls IS NULL FOR UPDATE",
        (source, event_id, card_ref),
    ).fetchone()
    return Annulled(*row) if row else None


def take_back(connection: Connection, card_ref: UUID, annulled: Annulled) -> Back:
    """Mark an event as one that did not happen and undo what it did to its card; returns what is to be recorded."""
    connection.execute("UPDATE holder_event SET annulled = true WHERE event_no = %s", (annulled.event_no,))
    if annulled.event in WITHDRAWING:
        _revive(connection, card_ref, annulled.event)
    elif annulled.event == "FEE_PAID":
        connection.execute("UPDATE card SET held = 'fee' WHERE card_ref = %s AND last_attempt = 0", (card_ref,))
    if not HOLDER_EVENTS[annulled.event].needs:
        return Back(ANNULLED, None, None)
    events = connection.execute(
        "SELECT terms, terms_before, person, person_before, annulled FROM holder_event WHERE card_ref = %s"
        " AND coalesce(terms::text, person::text) IS NOT NULL ORDER BY occurred_at, source, event_id",
        (card_ref,),
    ).fetchall()
    terms = _in_force(annulled.terms or {}, [(now, before, gone) for now, before, _, _, gone in events])
    persons = [({"person": now}, {"person": before}, gone) for _, _, now, before, gone in events if now is not None]
    person = _in_force({"person": annulled.person} if annulled.person else {}, persons)
    return Back(annulled.event, terms or None, person.get("person"))


def _in_force(
    names: Mapping[str, Any], events: Sequence[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None, bool]]
) -> dict[str, Any]:
    """Of each name the value of the last standing event (values, values before, whether annulled), else what the first
    one found."""
    first: dict[str, Any] = {}
    standing: dict[str, Any] = {}
    for values, before, gone in events:
        for name, value in (values or {}).items():
            first.setdefault(name, (before or {}).get(name))
            if not gone:
                standing[name] = value
    found = {name: standing.get(name, first.get(name)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _revive(connection: Connection, card_ref: UUID, event: str) -> None:
    """A card is withdrawn no more, unless for another event that stands, or since its person was erased."""
    if is_erased(connection, card_ref):
        return
    connection.execute(
        "UPDATE card c SET withdrawn = (SELECT e.event FROM holder_event e WHERE e.card_ref = c.card_ref"
        " AND e.event = ANY (%(withdrawing)s) AND NOT e.annulled ORDER BY e.event LIMIT 1)"
        " WHERE card_ref = %(card)s AND withdrawn = %(event)s",
        {"card": card_ref, "event": event, "withdrawing": list(WITHDRAWING)},
    )
