"""Holder events told by an operator, with the paper that shows it (contract: Holder events).

Most act at once. A death or a withdrawal ends a card for good: it acts when a second user confirms it, or after the
policy's `told_hours`; until then it can be dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from issuance.city.city import City, load_city
from issuance.city.partners import load_registry
from issuance.clock import day_of, instant_on
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, business_now
from issuance.ledger.erased import is_erased
from issuance.ledger.queries import card_ref_of_text, rows_of, unknown_card
from issuance.settings import Settings
from issuance.tracking.event_values import NOTHING, CardOrder, Change, change_of
from issuance.tracking.holder_events import Event, annul_event, apply_event, lock_order
from issuance.wire.bounds import first_day
from issuance.wire.consumer import Context
from issuance.words.codes import ANNULLED, HOLDER_EVENTS, REFUSAL_CODES, WITHDRAWING

DESK = "DESK"
"""The source of a told event."""


class Telling(NamedTuple):
    """What an operator tells: the event, its day, the paper that shows it, and new values {column: text}; of ANNULLED
    the earlier event, whoever told it: 'SOURCE/EVENT_ID'."""

    event: str
    occurred_on: date
    paper: str
    values: Mapping[str, str]
    annuls: str | None = None


def tell_event(
    connection: Connection, settings: Settings, card_ref: str, telling: Telling, user: str
) -> dict[str, Any]:
    """Record a told event of a card; it acts now, or its row says from when on. Locks the card.

    Raises:
        Refused: no such card, an unknown event, a day out of bounds, no paper, values that the rules of intake refuse,
            the person was erased, or the event to be annulled is not recorded.
    """
    ref, day = card_ref_of_text(card_ref), business_day(connection)
    _check(telling, day)
    order = lock_order(connection, ref)
    if order is None:
        raise unknown_card(card_ref)
    if HOLDER_EVENTS[telling.event].needs and is_erased(connection, ref):
        raise _refused("DATA_ERASED")
    context = _context(connection, settings)
    change = change_of(telling.event, dict(telling.values), order, context)
    if isinstance(change, str):
        raise _refused(change)
    waits = telling.event in WITHDRAWING
    hours = load_city(settings, order.city).policy.told_hours if waits else 0
    told = _insert(connection, ref, telling, user, day, hours)
    audit(connection, user, "tell", str(ref), day, {"event": telling.event, "told_event": told.event_no})
    if not waits:
        _act(connection, told, change, order, context, telling.annuls)
    return {
        "event_no": told.event_no,
        "card_ref": str(ref),
        "event": telling.event,
        "acts": "later" if waits else "now",
        "acts_at": business_now(connection) + timedelta(hours=hours),
    }


def _check(telling: Telling, day: date) -> None:
    if telling.event not in HOLDER_EVENTS:
        known = ", ".join(f"{one.name} {one.zh}" for one in HOLDER_EVENTS.values())
        raise Refused("EVENT_UNKNOWN", f"没有事项 {telling.event}：{known}。 / unknown event; known: {known}.")
    require_note(telling.paper, "paper")
    if (telling.event == ANNULLED) != bool(telling.annuls):
        raise Refused(
            "ANNULS_MISSING",
            "撤销先前事项须指明该事项（来源/编号），其他事项不得指明。"
            " / ANNULLED, and it alone, names the earlier event: SOURCE/EVENT_ID.",
        )
    earliest = first_day("record")
    if not earliest <= telling.occurred_on <= day:
        raise Refused(
            "DAY_INVALID",
            f"日期须在 {earliest} 至 {day} 之间。 / the day must lie between {earliest} and {day}.",
        )


def _refused(code: str) -> Refused:
    zh, en = REFUSAL_CODES[code]
    return Refused(code, f"{zh}。 / {en}.")


class Told(NamedTuple):
    """A told event as its row says."""

    event_no: int
    card_ref: UUID
    event: str
    occurred_on: date
    told_by: str


def _insert(connection: Connection, ref: UUID, telling: Telling, user: str, day: date, hours: int) -> Told:
    row = connection.execute(
        "INSERT INTO told_event (card_ref, event, occurred_at, paper, told_by, told_on, acts_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING event_no",
        (ref, telling.event, instant_on(telling.occurred_on, 12), telling.paper.strip(), user, day,
         business_now(connection) + timedelta(hours=hours)),
    ).fetchone()  # fmt: skip
    return Told(row[0] if row else 0, ref, telling.event, telling.occurred_on, user)


def _act(
    connection: Connection, told: Told, change: Change, order: CardOrder, context: Context, annuls: str | None = None
) -> None:
    """Let a told event act, as if its source had been a partner."""
    content = json.dumps([told.event_no, told.event, str(told.card_ref), str(told.occurred_on), annuls])
    source, _, event_id = (annuls or "").partition("/")
    event = Event(
        DESK, str(told.event_no), hashlib.sha256(content.encode()).digest(), told.event, told.card_ref,
        {"occurred_at": instant_on(told.occurred_on, 12), "annuls_source": source, "annuls_event_id": event_id},
    )  # fmt: skip
    if told.event != ANNULLED:
        apply_event(connection, event, change, order, context)
    elif code := annul_event(connection, event):
        raise _refused(code)
    connection.execute("UPDATE told_event SET acted_on = %s WHERE event_no = %s", (context.day, told.event_no))


def confirm_event(connection: Connection, settings: Settings, event_no: int, user: str) -> dict[str, Any]:
    """A second user confirms a told event, which then acts at once. Locks it.

    Raises:
        Refused: no such event, it does not wait any more, or the user is the one who told it.
    """
    told = _lock_waiting(connection, event_no)
    if user == told.told_by:
        raise Refused("SAME_PERSON", "须由他人确认。 / another person has to confirm this.")
    connection.execute("UPDATE told_event SET confirmed_by = %s WHERE event_no = %s", (user, event_no))
    audit(connection, user, "confirm told", str(told.card_ref), business_day(connection), {"told_event": event_no})
    _act_waiting(connection, told, _context(connection, settings))
    return {"event_no": event_no, "card_ref": str(told.card_ref), "event": told.event, "acts": "now"}


def drop_event(connection: Connection, event_no: int, note: str, user: str) -> dict[str, Any]:
    """Take back a told event that has not acted yet. Locks it.

    Raises:
        Refused: no such event, it has acted or was dropped, or no note.
    """
    require_note(note)
    told, day = _lock_waiting(connection, event_no), business_day(connection)
    dropped = {"by": user, "on": str(day), "note": note}
    connection.execute(
        "UPDATE told_event SET dropped = %s WHERE event_no = %s", (json.dumps(dropped, ensure_ascii=False), event_no)
    )
    audit(connection, user, "drop told", str(told.card_ref), day, {"told_event": event_no})
    return {"event_no": event_no, "card_ref": str(told.card_ref), "event": told.event, "acts": "never"}


COLUMNS = "SELECT event_no, card_ref, event, occurred_at, told_by FROM told_event"
WAITING = "acted_on IS NULL AND dropped IS NULL"


def _told(row: tuple[Any, ...]) -> Told:
    event_no, ref, event, occurred_at, told_by = row
    return Told(event_no, ref, event, day_of(occurred_at), told_by)


def _lock_waiting(connection: Connection, event_no: int) -> Told:
    row = connection.execute(f"{COLUMNS} WHERE event_no = %s AND {WAITING} FOR UPDATE", (event_no,)).fetchone()
    if row is None:
        raise Refused(
            "EVENT_SETTLED",
            f"登记 {event_no} 已生效或已撤回。 / told event {event_no} has acted or was dropped.",
        )
    return _told(row)


def act_told(connection: Connection, settings: Settings, city: City) -> int:
    """Let the waiting told events of a city act whose hours are over; returns how many. Locks them."""
    rows = connection.execute(
        f"{COLUMNS} JOIN card USING (card_ref) JOIN cohort c USING (cohort_no) WHERE {WAITING} AND acts_at <= %s"
        " AND c.city = %s ORDER BY card_ref, event_no FOR UPDATE OF told_event",
        (business_now(connection), city.policy.city),
    ).fetchall()
    context = _context(connection, settings)
    for row in rows:
        _act_waiting(connection, _told(row), context)
    return len(rows)


def _act_waiting(connection: Connection, told: Told, context: Context) -> None:
    order = lock_order(connection, told.card_ref)
    if order is None:
        raise unknown_card(str(told.card_ref))
    _act(connection, told, NOTHING, order, context)


def _context(connection: Connection, settings: Settings) -> Context:
    registry = load_registry(settings.partners_file)
    return Context(settings, registry, business_now(connection), business_day(connection))


def list_told(connection: Connection) -> list[dict[str, Any]]:
    """Told events, those that wait first, then the newest; with the city of each card."""
    return rows_of(
        connection,
        "SELECT event_no, card_ref, cohort_id, city, event, occurred_at, paper, user_name(told_by) AS told_by, told_on,"
        " acts_at, user_name(confirmed_by) AS confirmed_by, acted_on, dropped FROM told_event"
        " JOIN card USING (card_ref)"
        f" JOIN cohort USING (cohort_no) ORDER BY NOT ({WAITING}), event_no DESC",
    )
