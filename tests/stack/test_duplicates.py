"""Duplicates: every kind against every standing of the person's earlier card; cohorts that come at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from intake_fixture import Intakes, person

from issuance.errors import Retryable
from issuance.intake.columns import CODES
from issuance.intake.decide_rows import _hold_persons, _weigh_earlier_cards, decide_rows
from issuance.intake.duplicates import STANDINGS, STATES, VERDICTS
from issuance.intake.quarantine import list_quarantine
from issuance.intake.session import Intake, answer_operator, open_intake
from issuance.ledger.connection import connect
from issuance.settings import Settings
from issuance.words.lifecycle import CARD_STATES

ACCEPT, TAKEN, LOSS = ("accepted", None), ("duplicate", ["DUPLICATE_PERSON"]), ("quarantined", ["LOSS_REPORT_NEEDED"])
AGAIN = ("duplicate", ["SECOND_APPLICATION"])
STATE_OF = {"under_way": "MADE", "in_store": "SENT_BACK", "live": "ACTIVE", "lost": "LOST_BY_HOLDER",
            "cancelled": "DESTROYED"}  # fmt: skip
EXPECTED: dict[str, tuple[Any, ...]] = {
    # kind: what becomes of it beside an earlier card that is under way, in store, live, lost, cancelled
    "renewal": (TAKEN, TAKEN, TAKEN, ACCEPT, ACCEPT),
    "first": (TAKEN, TAKEN, TAKEN, ACCEPT, ACCEPT),
    "replacement": (TAKEN, TAKEN, LOSS, ACCEPT, ACCEPT),
    "exchange": (TAKEN, TAKEN, ACCEPT, ACCEPT, ACCEPT),
    "reapplication": (TAKEN, AGAIN, TAKEN, ACCEPT, ACCEPT),
}
CASES = [(kind, standing) for kind in EXPECTED for standing in STATE_OF]


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own."""
    made = Intakes(stack, "duplicates", tmp_path_factory.mktemp("duplicates"))
    yield made
    made.close()


def test_the_table_is_complete() -> None:
    assert set(VERDICTS) == set(CODES["kind"]) == set(EXPECTED)
    assert all(set(by_standing) == set(STANDINGS) for by_standing in VERDICTS.values())
    states = [state for states in STATES.values() for state in states]
    assert len(states) == len(set(states))
    assert set(states) < set(CARD_STATES)


def test_every_kind_against_every_standing(intakes: Intakes) -> None:
    numbers = range(100, 100 + len(CASES))
    intakes.take_in("earlier", [person(n) for n in numbers])
    with connect(intakes.url) as connection:
        for n, (_, standing) in zip(numbers, CASES, strict=True):
            connection.execute("UPDATE card SET state = %s WHERE application_id = %s", (STATE_OF[standing], f"A-{n}"))
    fee = {"fee_status": "paid"}
    rows = [person(n, kind=kind, **fee) for n, (kind, _) in zip(numbers, CASES, strict=True)]
    rows += [person(n, kind=kind, **fee) for n, kind in zip(range(200, 205), EXPECTED, strict=True)]
    again = CASES.index(("reapplication", "in_store"))
    rows.append(rows[again] | {"application_id": "A-again"})
    # every person's second row, whatever its kind, is a duplicate of the first that is accepted
    rows.append(person(200, kind="exchange", application_id="A-200b", **fee))
    intake = prepared(intakes, "later", rows)
    with connect(intakes.url) as connection:
        connection.execute("DELETE FROM changed_card")
    intakes.finish(intake)
    found = intakes.outcomes("later")
    expected = [EXPECTED[kind][list(STATE_OF).index(standing)] for kind, standing in CASES]
    assert [found[line] for line in range(2, 2 + len(CASES))] == expected
    assert [found[line] for line in range(27, 32)] == [ACCEPT] * 5, "no earlier card"
    assert (found[32], found[33]) == (TAKEN, TAKEN)
    assert_card_in_the_way_is_told(intakes)
    assert_second_application_is_an_event_once(intakes, intake, f"A-{numbers[again]}")


def prepared(intakes: Intakes, cohort: str, rows: list[dict[str, str]]) -> Intake:
    """A submission that waits to be decided; its thresholds are out of the way."""
    intakes.submit(cohort, intakes.file(f"{cohort}.csv", rows), len(rows))
    intake = intakes.validate(cohort)
    policy = intake.city.policy.model_copy(update={"warn_ratio": 1.0, "refuse_ratio": 1.0})
    return replace(intake, city=replace(intake.city, policy=policy))


def assert_card_in_the_way_is_told(intakes: Intakes) -> None:
    refs = dict(intakes.rows("SELECT application_id, card_ref FROM card JOIN cohort USING (cohort_no)"
                             " WHERE cohort_id = 'earlier'"))  # fmt: skip
    with connect(intakes.url) as connection:
        listed = list_quarantine(connection, "later")
    by_line = {row["line"]: row for row in listed}
    for line, (kind, standing) in enumerate(CASES, 2):
        if EXPECTED[kind][list(STATE_OF).index(standing)] != ACCEPT:
            row = by_line[line]
            assert (row["card_ref"], row["card_cohort"]) == (refs[row["application_id"]], "earlier")
    assert by_line[33]["card_cohort"] == "later"


def assert_second_application_is_an_event_once(intakes: Intakes, intake: Intake, application: str) -> None:
    query = (
        "SELECT e.source, e.event, c.application_id, e.sealed, (SELECT count(*) FROM changed_card k"
        " WHERE k.card_ref = c.card_ref) FROM holder_event e JOIN card c USING (card_ref)"
    )
    told = [("INTAKE", "SECOND_APPLICATION", application, None, 1)]
    assert intakes.rows(query) == told
    intakes.finish(intake)
    with connect(intakes.url) as connection:
        connection.execute("UPDATE submission SET state = 'VALIDATED' WHERE cohort_no = %s", (intake.cohort_no,))
    from issuance.intake.accept import finish_submission

    finish_submission(intake)
    assert intakes.rows(query) == told


def test_an_application_of_a_lost_card_in_its_own_cohort_is_that_card(intakes: Intakes) -> None:
    good = [person(n) for n in range(500, 560)]
    intakes.take_in("own", [*good, person(560, phone="12")])
    with connect(intakes.url) as connection:
        connection.execute("UPDATE card SET state = 'LOST_BY_HOLDER' WHERE application_id = 'A-500'")
    named = {"file": "own-rows.csv", "line": "62", "kind": "replacement", "fee_status": "paid"}
    intakes.take_in("own", [person(500, **named)], "same.csv", amends=True)
    assert intakes.outcomes("own", 1) == {2: TAKEN}


def test_two_cohorts_at_the_same_time_accept_each_person_once(intakes: Intakes) -> None:
    people = range(300, 340)
    made = [prepared(intakes, f"side-{side}", [person(n) for n in people]) for side in ("a", "b")]
    threads = [threading.Thread(target=decide_rows, args=(intake,)) for intake in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = "SELECT count(*), count(DISTINCT person) FROM row_outcome JOIN cohort USING (cohort_no)"
    assert intakes.rows(f"{accepted} WHERE cohort_id LIKE 'side-%%' AND outcome = 'accepted'") == [(40, 40)]


def test_the_key_holds_two_connections_apart_without_any_lock(intakes: Intakes) -> None:
    made = [prepared(intakes, f"bare-{side}", [person(n) for n in range(350, 360)]) for side in ("a", "b")]
    failed: list[str] = []

    def hold_second() -> None:
        with connect(intakes.url) as connection:
            _weigh_earlier_cards(connection, made[1])
            weighed.wait()
            try:
                _hold_persons(connection, made[1])
            except Retryable as error:
                failed.append(error.code)
                connection.rollback()

    weighed = threading.Barrier(2)
    thread = threading.Thread(target=hold_second)
    thread.start()
    with connect(intakes.url) as first:
        _weigh_earlier_cards(first, made[0])
        _hold_persons(first, made[0])
        weighed.wait()
        first.commit()
        thread.join()
    assert failed == ["PERSONS_TAKEN"]
    with connect(intakes.url) as one, connect(intakes.url) as two:
        (held,) = one.execute("SELECT person FROM acceptance LIMIT 1").fetchone() or (b"",)
        with pytest.raises(psycopg.errors.UniqueViolation):
            two.execute("INSERT INTO acceptance VALUES (%s, %s, 1, 0)", (held, uuid4()))


def test_what_an_operator_refuses_holds_nobody(intakes: Intakes) -> None:
    intakes.take_in("live", [person(400)])
    with connect(intakes.url) as connection:
        connection.execute("UPDATE card SET state = 'ACTIVE' WHERE application_id = 'A-400'")
    bad = [person(n, phone="1") for n in range(402, 404)]
    rows = [person(400, kind="exchange", fee_status="paid"), *(person(n) for n in range(404, 450)), *bad]
    intakes.submit("doubt", intakes.file("doubt.csv", rows), len(rows))
    assert decide_rows(intakes.validate("doubt")) == "WAITING_FOR_OPERATOR"
    of = "SELECT a.submission, count(*) FROM acceptance a JOIN cohort USING (cohort_no) WHERE cohort_id = %s GROUP BY 1"
    assert (intakes.rows(of, "doubt"), intakes.rows(of, "live")) == ([(0, 47)], [])
    answer_operator(intakes.settings, "doubt", 0, "planner", go_on=False)
    assert (intakes.rows(of, "doubt"), intakes.rows(of, "live")) == ([], [(0, 1)])
    assert open_intake(intakes.settings, "doubt", 0).submission == 0
