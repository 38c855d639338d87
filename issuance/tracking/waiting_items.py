"""Cards made at an outlet (attempt 0) for applications that have no card yet: their facts wait by card_ref (contract).

When the card is accepted, or the application turns out to be the duplicate of one, they are merged as if their report
had just come; after the policy's `event_days` their reporter is told, with a break.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.tracking.merge import refuse_unrelated, take_staged
from issuance.tracking.reports import Kind, StagedFact
from issuance.tracking.staging import stage
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice

KIND = "ITEM_UNMATCHED"
LANDED = """
DELETE FROM waiting_item w
USING (SELECT report_no, item, accepted_card(card_ref) AS card_ref FROM waiting_item) landed
JOIN card c USING (card_ref) JOIN cohort o USING (cohort_no)
WHERE o.city = %(city)s AND (w.report_no, w.item) = (landed.report_no, landed.item)
RETURNING w.report_no, w.item, landed.card_ref, w.partner, w.relation, w.subject, w.consignment_id,
    w.milestone, w.corrects, w.mark
"""
OVERDUE = f"""
SELECT {
    difference(
        f"'{KIND}'",
        card_ref="w.card_ref",
        attempt="w.attempt",
        reference="r.partner || '/' || r.report_id || '/' || w.item",
        expected="'an accepted application'",
        actual="'none'",
        answers_for="r.partner",
    )
}
FROM waiting_item w JOIN report r USING (report_no) WHERE w.arrived_on < %(late)s
"""
LATE = """
DELETE FROM waiting_item WHERE arrived_on < %(late)s
RETURNING report_no, item, card_ref, milestone, corrects, mark, 'PLASTIC_UNKNOWN'
"""


def take_waiting_items(connection: Connection, city: City, day: date) -> int:
    """Merge the waiting facts whose card is known by now, and refuse those that waited too long; returns how many."""
    landed = connection.execute(LANDED, {"city": city.code}).fetchall()
    refused = _merge(connection, city, day, landed)
    values = {"late": day - timedelta(days=city.policy.event_days)}
    settle(connection, day, [KIND], OVERDUE, values, scope="false")
    late = connection.execute(LATE, values).fetchall()
    _refuse(connection, [*refused, *late], day)
    return len(landed) + len(late)


def _merge(connection: Connection, city: City, day: date, landed: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Merge facts whose card is known; returns what is refused of them, as LATE does."""
    if not landed:
        return []
    numbers = sorted({row[0] for row in landed})
    position = {number: n for n, number in enumerate(numbers)}
    facts = [
        StagedFact(
            Kind(position[number], partner, relation, subject, None, 0, consignment, milestone, corrects),
            item,
            card_ref.bytes,
            mark,
        )
        for number, item, card_ref, partner, relation, subject, consignment, milestone, corrects, mark in landed
    ]
    of_item = {(position[number], item): (card_ref, *rest[4:]) for number, item, card_ref, *rest in landed}
    kinds = stage(connection, facts)
    refused = refuse_unrelated(connection, city.partners, day, kinds)
    take_staged(connection, numbers, kinds, day)
    return [(numbers[r.report], r.item, *of_item[r.report, r.item], r.code) for r in refused]


def _refuse(connection: Connection, refused: Sequence[tuple[Any, ...]], day: date) -> None:
    """Record refused items and tell their reporters."""
    told: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for number, item, card_ref, milestone, corrects, mark, code in refused:
        partner, report_id = one(
            connection,
            "UPDATE report SET refused = refused + 1 WHERE report_no = %s RETURNING partner, report_id",
            (number,),
        )
        connection.execute(
            "INSERT INTO refused_item (partner, report_id, item, code, arrived_on, card_ref, attempt, milestone,"
            " corrects, reported_at) VALUES (%s, %s, %s, %s, %s, %s, 0, %s, %s, mark_at(%s))",
            (partner, report_id, item, code, day, card_ref, milestone, corrects, mark),
        )
        told[partner, report_id].append({"index": item, "code": code})
    notices = [
        partner_notice(partner, "ITEM_REFUSED", report_id, {"refusals": refusals}, f"waited until {day}")
        for (partner, report_id), refusals in told.items()
    ]
    write_outbox(connection, notices, day)
