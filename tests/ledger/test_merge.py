"""Evidence merges in any order, any number of times, to the same ledger (principle 2), with decisions given."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_fixture import CITIES, decide_all, item, make_cohort, merge, report, states

from issuance.ledger.connection import Connection
from issuance.proof.verify import verify_ledger
from issuance.tracking.fold import FOLDS

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
Event = tuple[str, dict[str, Any], dict[str, Any]]
"""(partner, item, fields of the report)."""


def whole_life(ref: UUID, other: UUID) -> list[Event]:
    """A re-make, a second hand-out, a correction, two activated plastics, a letter that comes back, conflicts."""
    to_place = {"handover_id": "H1", "handover_count": 2, "to_place": "ICBC-001"}
    again = {"handover_id": "H2", "handover_count": 1, "to_place": "ICBC-001"}
    letter = {"to_place": "EMS", "handover_count": 1}
    wrong = item("COLLECTED", ref, 9, place="ICBC-002", actors=HOLDER)
    return [
        ("F-ICBC", item("MADE", ref, 2, serial="S1"), {}),
        ("F-ICBC", item("MADE", ref, 3, serial="S2"), {}),
        ("F-ICBC", item("BANK_KEYED", ref, 3), {}),
        ("HRSS-BJ", item("SS_KEYED", ref, 4), {}),
        ("F-ICBC", item("HANDED_OVER", ref, 5), to_place),
        ("ICBC", item("RECEIVED_AT_PLACE", ref, 6, place="ICBC-001"), to_place),
        ("ICBC", wrong, {}),
        ("ICBC", wrong | {"corrects": True}, {}),
        ("ICBC", item("COLLECTED", ref, 10, place="ICBC-001", actors=HOLDER), {}),
        ("HRSS-BJ", item("SS_ACTIVATED", ref, 11), {}),
        ("HRSS-BJ", item("OLD_CARD_USED", ref, 12), {}),
        ("HRSS-BJ", item("OLD_CARD_USED", ref, 14), {}),
        ("HRSS-BJ", item("SS_ACTIVATED", ref, 13, attempt=2), {}),
        ("F-ICBC", item("MADE", ref, 8, attempt=2), {}),
        ("F-ICBC", item("SPOILED", other, 2, reason="CHIP_FAULT"), {}),
        ("F-ICBC", item("HANDED_OVER", other, 7, attempt=2, tracking_no="T1"), letter),
        ("EMS", item("POSTED", None, 8, tracking_no="T1"), {}),
        ("EMS", item("IN_TRANSIT", None, 9, tracking_no="T1"), {}),
        ("EMS", item("RETURNED", None, 12, tracking_no="T1", reason="MOVED"), {}),
        ("F-ICBC", item("HANDED_OVER", other, 15, attempt=2, tracking_no="T2"), letter),
        ("EMS", item("DELIVERED", None, 17, tracking_no="T2"), {}),
        ("ICBC", item("DESTROYED", ref, 20, attempt=2, actors=WITNESSES), again),
    ]


def folded(connection: Connection) -> dict[str, Any]:
    """Every row that facts are folded into."""
    return {
        fold.table: connection.execute(
            f"SELECT {', '.join([*fold.keys, *(m.column for m in fold.milestones), 'conflict'])}"
            f" FROM {fold.table} ORDER BY {', '.join(fold.keys)}"
        ).fetchall()
        for fold in FOLDS
    }


def apply(connection: Connection, events: list[Event], numbering: str, sizes: list[int]) -> None:
    """Merge events in polls of the given sizes, each event a report of its own."""
    start = 0
    for number, size in enumerate([*sizes, len(events)]):
        poll = events[start : start + size]
        reports = [report(who, f"{numbering}{number}.{n}", [what], **head) for n, (who, what, head) in enumerate(poll)]
        if reports:
            assert not [refusal for found in merge(connection, *reports).refused.values() for refusal in found]
        start += size


@pytest.fixture(scope="module")
def reference(ledger_url: str) -> dict[str, Any]:
    """The fold of the whole life, in order, one report a poll."""
    from issuance.ledger.connection import connect

    with connect(ledger_url) as connection:
        refs = prepared(connection)
        apply(connection, whole_life(*refs), "r", [1] * 30)
        rows = folded(connection)
        connection.rollback()
    return rows


def prepared(connection: Connection) -> list[UUID]:
    """Two cards, both with a second plastic."""
    refs = make_cohort(connection, 2)
    connection.execute(
        "INSERT INTO plastic (card_ref, attempt, bank, factory) SELECT card_ref, 2, 'ICBC', 'F-ICBC' FROM card"
    )
    return refs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_repetition_gives_the_same_rows(
    ledger: Connection, reference: dict[str, Any], data: st.DataObject
) -> None:
    with ledger.transaction(force_rollback=True):
        events = whole_life(*prepared(ledger))
        repeats = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=6))
        order = data.draw(st.permutations([*range(len(events)), *repeats]))
        sizes = data.draw(st.lists(st.integers(1, 9), max_size=8))
        apply(ledger, [events[n] for n in order], "r", sizes)
        assert folded(ledger) == reference
        assert verify_rows(ledger) == []


def verify_rows(connection: Connection) -> list[str]:
    """What `ledger verify` says of rows against their facts."""
    return [finding for finding in verify_ledger(connection, CITIES) if "facts" in finding or "missing" in finding]


def test_a_correction_before_its_fact_annuls_it(ledger: Connection) -> None:
    ref = make_cohort(ledger, 1)[0]
    wrong = item("COLLECTED", ref, 9, place="ICBC-002", actors=HOLDER)
    merge(ledger, report("ICBC", "c1", [wrong | {"corrects": True}]))
    merge(ledger, report("ICBC", "c2", [wrong]))
    assert ledger.execute("SELECT collected, corrected FROM plastic").fetchall() == [(None, True)]


def test_two_values_of_one_fact_keep_the_least_and_open_a_conflict(ledger: Connection) -> None:
    ref = make_cohort(ledger, 1)[0]
    decide_all(ledger)
    merge(ledger, report("F-ICBC", "a", [item("MADE", ref, 3)]), report("F-ICBC", "b", [item("MADE", ref, 2)]))
    decide_all(ledger)
    (mark,) = ledger.execute("SELECT made FROM plastic").fetchone() or ("",)
    assert mark.startswith("1760148")
    assert ("CONFLICT",) in ledger.execute("SELECT kind FROM break WHERE closed_on IS NULL").fetchall()


def test_the_second_plastic_that_exists_is_cancelled_in_the_enforced_order(ledger: Connection) -> None:
    ref = make_cohort(ledger, 1)[0]
    ledger.execute("INSERT INTO plastic (card_ref, attempt, bank, factory) VALUES (%s, 2, 'ICBC', 'F-ICBC')", (ref,))
    made = [item("MADE", ref, 2), item("COLLECTED", ref, 3, place="ICBC-001", actors=HOLDER)]
    merge(ledger, report("F-ICBC", "m", made[:1]), report("ICBC", "n", made[1:]))
    merge(ledger, report("F-ICBC", "o", [item("MADE", ref, 5, attempt=2)]))
    asked: list[list[str]] = []
    answers = [
        ("HRSS-BJ", "SS_CANCELLED", {}),
        ("F-ICBC", "DESTROYED", {"actors": WITNESSES}),
    ]
    for partner, milestone, values in answers:
        decide_all(ledger)
        asked.append(requests_of(ledger, 2))
        merge(ledger, report(partner, milestone, [item(milestone, ref, 20, attempt=2, **values)]))
    decide_all(ledger)
    assert asked == [["CANCEL_SS"], ["CANCEL_SS", "DESTROY"]], "the first plastic lives on the account"
    assert ledger.execute("SELECT kind FROM break WHERE closed_on IS NULL AND kind = 'TWO_PLASTICS'").fetchall() == []
    assert states(ledger)[ref] == "COLLECTED"


def requests_of(connection: Connection, attempt: int) -> list[str]:
    """What was asked about a plastic."""
    rows = connection.execute(
        "SELECT kind FROM request WHERE attempt = %s AND ending IS DISTINCT FROM 'void' ORDER BY 1", (attempt,)
    )
    return [kind for (kind,) in rows.fetchall()]


def test_a_plastic_that_was_never_ordered_and_a_partner_without_the_relation_are_refused(ledger: Connection) -> None:
    ref = make_cohort(ledger, 1)[0]
    unknown = item("MADE", UUID(int=7), 2)
    merged = merge(
        ledger,
        report("F-ICBC", "a", [unknown, item("MADE", ref, 2)]),
        report("F-ABC", "b", [item("MADE", ref, 2)]),
        report("ABC", "c", [item("FINANCE_ACTIVATED", ref, 2)]),
        report("EMS", "d", [item("MADE", ref, 2)]),
    )
    codes = {n: [refusal.code for refusal in found] for n, found in merged.refused.items() if found}
    assert codes == {0: ["PLASTIC_UNKNOWN"], 1: ["NO_RELATION"], 2: ["NO_RELATION"], 3: ["NOT_AUTHORISED"]}
    assert ledger.execute("SELECT count(*) FROM fact").fetchone() == (1,)
