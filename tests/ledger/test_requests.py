"""Requests are answered by milestones, in time or too late."""

from __future__ import annotations

from uuid import UUID

import pytest
from ledger_fixture import (
    OPENS,
    decide_all,
    item,
    make_cohort,
    merge,
    on,
    report,
)

from issuance.ledger.connection import Connection
from issuance.reconcile.closing import open_requests

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
LETTER = {"to_place": "EMS", "handover_count": 1}


def post(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "ho", [item("HANDED_OVER", ref, 4, tracking_no="T1")], **LETTER))


def ask(
    connection: Connection, ref: UUID, kind: str, partner: str, due: int = 20, consignment: str | None = None
) -> None:
    """A request, asked on the opening day."""
    connection.execute(
        "INSERT INTO request (card_ref, attempt, kind, n, reason, partner, consignment_id, asked_on, due_on)"
        " VALUES (%s, 1, %s, 1, 'EXPIRED', %s, %s, %s, %s)",
        (ref, kind, partner, consignment, OPENS, on(due)),
    )


def returned_letter(connection: Connection) -> UUID:
    """A letter that came back and is asked to be handed out again."""
    ref = make_cohort(connection, 1, "mail")[0]
    post(connection, ref)
    ask(connection, ref, "HAND_OUT", "F-ICBC", consignment="M:EMS:T1")
    return ref


def test_a_newer_consignment_answers_hand_out(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    merge(ledger, report("F-ICBC", "o", [item("HANDED_OVER", ref, 3, tracking_no="T0")], **LETTER))
    assert len(open_requests(ledger, 1)) == 1
    merge(ledger, report("F-ICBC", "n", [item("HANDED_OVER", ref, 12, tracking_no="T2")], **LETTER))
    assert open_requests(ledger, 1) == []


def test_collection_answers_hand_out(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    merge(ledger, report("ICBC", "c", [item("COLLECTED", ref, 12, place="ICBC-001", actors=HOLDER)]))
    assert open_requests(ledger, 1) == []


def test_hand_out_falls_away_when_the_plastic_is_cancelled(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    ledger.execute(
        "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
        " VALUES (%s, 1, 'CANCEL_PLASTIC', '', 'UNDELIVERABLE', %s, 'policy')",
        (ref, OPENS),
    )
    decide_all(ledger)
    assert "HAND_OUT" not in [kind for _, _, kind, *_ in open_requests(ledger, 1)]
    assert ledger.execute("SELECT ending, why FROM request WHERE kind = 'HAND_OUT'").fetchall() == [
        ("void", "CANCELLED")
    ]


@pytest.mark.parametrize("answer", ["ITEM_REFUSED", "JOB_REFUSED", "MADE"])
def test_cancel_is_answered_in_time_or_too_late(ledger: Connection, answer: str) -> None:
    ref = make_cohort(ledger, 1)[0]
    ask(ledger, ref, "CANCEL", "F-ICBC")
    assert len(open_requests(ledger, 1)) == 1
    head = {"kind": "JOB", "job_id": "J1"} if answer == "JOB_REFUSED" else {}
    merge(ledger, report("F-ICBC", "x", [item(answer, None if head else ref, 2, reason="CANCELLED")], **head))
    assert open_requests(ledger, 1) == []
