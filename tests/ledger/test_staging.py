"""What is staged is what was read, whatever a fact names: its rows are written byte by byte."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ledger_fixture import as_read, item, on, report

from issuance.clock import end_of, milliseconds
from issuance.ledger.connection import Connection
from issuance.tracking.reports import Kind, StagedFact, check_items
from issuance.tracking.staging import stage

TO_PLACE = {"handover_id": "H1", "handover_count": 2, "to_place": '朝阳 "1"'}
LATE, EARLY = UUID(int=2**128 - 1), UUID(int=0)


def facts(position: int, partner: str, items: list[dict[str, Any]], **head: Any) -> list[StagedFact]:
    """The facts of one sound report."""
    sent = report(partner, "r", items, **head)
    found, refused = check_items(as_read(sent.value), position, sent.reporter, milliseconds(end_of(on(60))))
    assert refused == []
    return found


def test_staged_rows_are_the_facts_in_the_order_of_their_cards(ledger: Connection) -> None:
    given = [
        *facts(0, "F-ICBC", [item("MADE", LATE, 2, serial="S1"), item("MADE", EARLY, 2, 999, corrects=True)]),
        *facts(1, "F-ICBC", [item("HANDED_OVER", LATE, 3), item("HANDED_OVER", EARLY, 3)], **TO_PLACE),
        *facts(2, "EMS", [item("POSTED", None, 4, tracking_no="T1")]),
        *facts(3, "F-ICBC", [item("JOB_ACCEPTED", None, 1)], job_id="J1", kind="JOB"),
    ]
    kinds = stage(ledger, given)
    assert kinds == list(dict.fromkeys(fact.kind for fact in given)) and len(kinds) == 5
    rows = ledger.execute(f"SELECT card_ref, item, mark, {', '.join(Kind._fields)} FROM staged").fetchall()
    ordered = sorted(given, key=lambda fact: fact.card_ref or b"")
    assert [(ref.bytes if ref else None, *row) for ref, *row in rows] == [
        (fact.card_ref, fact.item, fact.mark, *fact.kind) for fact in ordered
    ]


def test_nothing_is_staged_of_nothing(ledger: Connection) -> None:
    assert stage(ledger, facts(0, "F-ICBC", [item("MADE", LATE, 2)])) and stage(ledger, []) == []
    assert ledger.execute("SELECT count(*) FROM staged").fetchone() == (0,)
