"""Holder events of applications that have no card yet: they wait until their submission is decided (contract).

An event of a known cohort waits by its card_ref. When the card is accepted, or the application turns out to be the
duplicate of one, it acts as if it had just come; after the policy's `event_days` its source is told, with a break.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.ledger.connection import Connection, business_day, business_now
from issuance.settings import Settings
from issuance.tracking.holder_events import Event, judge_event, lock_order
from issuance.wire.consumer import Context
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.wire.partner_notices import partner_notice

KIND = "EVENT_UNMATCHED"
LANDED = """
SELECT w.source, w.event_id, w.sha256, w.event, accepted_card(w.card_ref), w.occurred_at, w.sealed,
    w.annuls_source, w.annuls_event_id
FROM waiting_event w JOIN cohort o USING (cohort_no)
WHERE o.city = %(city)s AND accepted_card(w.card_ref) IS NOT NULL
ORDER BY 5, w.occurred_at, w.event = 'ANNULLED', w.source, w.event_id FOR UPDATE OF w
"""
OVERDUE = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="w.source || '/' || w.event_id",
        expected="'an accepted application'",
        actual="'none'",
        cohort_no="w.cohort_no",
        answers_for="w.source",
    )
}
FROM waiting_event w JOIN cohort o USING (cohort_no) WHERE o.city = %(city)s AND w.arrived_on < %(late)s
"""


def take_waiting(connection: Connection, settings: Settings, city: City) -> int:
    """Let the waiting events of a city act whose card is known by now, and refuse those that waited too long; returns
    how many. Locks them."""
    day = business_day(connection)
    context = Context(settings, city.partners, business_now(connection), day)
    rows = connection.execute(LANDED, {"city": city.code}).fetchall()
    told = [answer for row in rows for answer in _act(connection, row, context)]
    values = {"city": city.code, "late": day - timedelta(days=city.policy.event_days)}
    settle(connection, day, [KIND], OVERDUE, values, scope="false")
    refused = connection.execute(
        "DELETE FROM waiting_event w USING cohort o WHERE o.cohort_no = w.cohort_no AND o.city = %(city)s"
        " AND w.arrived_on < %(late)s RETURNING w.source, w.event_id",
        values,
    ).fetchall()
    told += [_refusal(source, event_id, "CARD_UNKNOWN") for source, event_id in refused]
    write_outbox(connection, told, day)
    return len(rows) + len(refused)


def _act(connection: Connection, row: tuple[Any, ...], context: Context) -> list[Outgoing]:
    """Let one event act on its card; returns what its source is told if it is refused."""
    source, event_id, sha256, kind, card_ref, occurred_at, sealed, annuls_source, annuls_event_id = row
    connection.execute("DELETE FROM waiting_event WHERE (source, event_id) = (%s, %s)", (source, event_id))
    order = lock_order(connection, card_ref)
    if order is None:
        return [_refusal(source, event_id, "CARD_UNKNOWN")]
    value = {
        "occurred_at": occurred_at,
        "sealed": sealed,
        "annuls_source": annuls_source,
        "annuls_event_id": annuls_event_id,
    }
    code = judge_event(connection, Event(source, event_id, bytes(sha256), kind, card_ref, value), order, context)
    return [_refusal(source, event_id, code)] if code else []


def _refusal(source: str, event_id: str, code: str) -> Outgoing:
    return partner_notice(source, "ITEM_REFUSED", event_id, {"refusals": [{"index": 0, "code": code}]}, "event")
