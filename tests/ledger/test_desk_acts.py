"""Acts at the desk: one transaction with audit and answer, once under a key, tried without a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, every_row, plan_as
from desk_fixture import add_user, running_desk

from issuance.desk.app import bare_app
from issuance.desk.routing import declared_routes
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import connect
from issuance.settings import Settings

BREAK = "00000000-0000-0000-0000-000000000001"


@dataclass
class Desk:
    """The desk of a ledger, asked by a user."""

    address: str
    url: str

    def act(self, user: str, path: str, body: Any = None, key: str | None = None, **query: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer token-of-{user}"} | ({"Idempotency-Key": key} if key else {})
        return httpx.post(f"{self.address}/api/v1/{path}", headers=headers, json=body or {}, params=query, timeout=60)

    def rows(self, query: str) -> list[Any]:
        with connect(self.url) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def desk(database: Settings, ledger_url: str, tmp_path: Path) -> Iterator[Desk]:
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path, {}, {})
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)] * 2)
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, opened_on)"
            " VALUES (%s, 1, 'CONFLICT', 'r', %s)", (BREAK, TODAY)
        )  # fmt: skip
    for user in ("submitter", "planner", "releaser"):
        add_user(ledger_url, user)
    with running_desk(settings) as address:
        yield Desk(address, ledger_url)


def test_a_key_answers_twice_at_once_and_again_with_the_first_answer(desk: Desk) -> None:
    path, body = f"breaks/{BREAK}/resolve", {"note": "seen"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.act("planner", path, body, "k1"), range(8)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert desk.act("planner", path, body, "k1").json() == {"break_id": BREAK, "resolved": True}
    assert desk.rows("SELECT count(*) FROM audit WHERE act = 'resolve'") == [(1,)]
    without = desk.act("planner", path, body)
    assert (without.status_code, without.json()["code"]) == (404, "BREAK_UNKNOWN")


def test_a_key_with_another_request_is_refused(desk: Desk) -> None:
    assert desk.act("planner", f"breaks/{BREAK}/assign", {"owner": "a"}, "k2").status_code == 200
    other = desk.act("planner", f"breaks/{BREAK}/assign", {"owner": "b"}, "k2")
    assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
    elsewhere = desk.act("planner", f"breaks/{BREAK}/resolve", {"note": "a"}, "k2")
    assert elsewhere.json()["code"] == "KEY_REUSED"
    assert desk.rows("SELECT owner FROM break") == [("a",)]
    assert desk.act("releaser", f"breaks/{BREAK}/assign", {"owner": "c"}, "k2").status_code == 200, "another's key"


def test_a_refused_act_may_be_tried_again_under_its_key(desk: Desk) -> None:
    path = "cohorts/c1/waves/1/release"
    assert desk.act("releaser", path, key="k3").json()["code"] == "WAVE_UNKNOWN"
    assert desk.act("planner", "cohorts/c1/plan", key="k4").status_code == 200
    assert desk.act("releaser", path, key="k3").json()["code"] == "NOTHING_TO_RELEASE"


def test_the_act_and_its_answer_stand_or_fall_together(desk: Desk) -> None:
    with connect(desk.url) as connection:
        connection.execute("ALTER TABLE desk_answer ADD CONSTRAINT broken CHECK (key <> 'k5')")
    try:
        failed = desk.act("planner", f"breaks/{BREAK}/assign", {"owner": "a"}, "k5")
        assert (failed.status_code, failed.json()["code"]) == (500, "INTERNAL")
        assert desk.rows("SELECT owner FROM break") == [(None,)]
        assert desk.rows("SELECT count(*) FROM audit") == [(0,)]
    finally:
        with connect(desk.url) as connection:
            connection.execute("ALTER TABLE desk_answer DROP CONSTRAINT broken")


TRIALS = {
    f"breaks/{BREAK}/resolve": {"note": "seen"},
    f"breaks/{BREAK}/assign": {"owner": "a"},
    "cohorts/c1/plan": {},
    "users/planner/rights": {"rights": ["view"], "city": "110000"},
}


@pytest.mark.parametrize("path", TRIALS)
def test_a_trial_answers_like_the_act_and_leaves_no_trace(desk: Desk, path: str) -> None:
    before = every_row(desk.url)
    tried = desk.act("planner", path, TRIALS[path], "k6", dry_run="true")
    assert tried.headers["issuance-dry-run"] == "true"
    assert every_row(desk.url) == before
    done = desk.act("planner", path, TRIALS[path], "k6")
    assert done.json() == tried.json()
    assert every_row(desk.url) != before


def test_what_reaches_beyond_the_ledger_cannot_be_tried(desk: Desk) -> None:
    answer = desk.act("planner", "persons/erase", {"card": "x"}, dry_run="true")
    assert (answer.status_code, answer.json()["code"]) == (409, "DRY_RUN_UNAVAILABLE")


def test_four_eyes_are_those_of_the_token(desk: Desk) -> None:
    assert desk.act("planner", "cohorts/c1/plan").json()["planned_by"] == "planner"
    assert desk.act("releaser", "cohorts/c1/plan").json()["planned_by"] == "planner", "who wanted it first"
    plan_as_pipeline = desk.rows("SELECT planned_on FROM wave")
    assert plan_as_pipeline == [(None,)]
    early = desk.act("releaser", "cohorts/c1/waves/1/release")
    assert early.json()["code"] == "NOTHING_TO_RELEASE"


def test_who_submitted_or_planned_releases_nothing(desk: Desk, database: Settings, tmp_path: Path) -> None:
    plan_as(changed(database, desk.url, tmp_path, {}, {}), "c1", 1, "planner")
    for user in ("submitter", "planner"):
        answer = desk.act(user, "cohorts/c1/waves/1/release", {"user": "releaser", "released_by": "releaser"})
        assert (answer.status_code, answer.json()["code"]) == (409, "SAME_PERSON")
    assert desk.act("releaser", "cohorts/c1/waves/1/release").status_code == 200
    assert desk.rows("SELECT released_by FROM release") == [("releaser",)]
    assert desk.rows("SELECT \"user\" FROM audit WHERE act = 'release'") == [("releaser",)]


def test_every_act_is_one_line_of_an_audit_that_holds(desk: Desk) -> None:
    desk.act("planner", f"breaks/{BREAK}/assign", {"owner": "a"})
    desk.act("releaser", f"breaks/{BREAK}/resolve", {"note": "n"})
    desk.act("planner", "users/planner/rights", {"rights": ["view"], "city": "110000"})
    assert desk.rows('SELECT "user", act FROM audit ORDER BY number') == [
        ("planner", "assign"), ("releaser", "resolve"), ("planner", "grant"),
    ]  # fmt: skip
    with connect(desk.url) as connection:
        assert verify_audit(connection) == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("breaks/nothing/resolve", {"note": "n"}, 404, "BREAK_UNKNOWN"),
        (f"breaks/{BREAK}/resolve", {"note": " "}, 409, "NOTE_MISSING"),
        (f"breaks/{BREAK}/resolve", {}, 422, "REQUEST_INVALID"),
        (f"breaks/{BREAK}/resolve", {"note": 5}, 422, "REQUEST_INVALID"),
        ("cohorts/nobody/plan", {}, 404, "COHORT_UNKNOWN"),
        ("cards/not-a-uuid/remake", {"reason": "DAMAGED", "note": "n"}, 404, "CARD_UNKNOWN"),
        ("persons/find", {}, 409, "PERSON_UNNAMED"),
        ("persons/find", {"card": "x", "id_type": "resident_id", "id_number": "1"}, 409, "PERSON_UNNAMED"),
        ("no/such/route", {}, 404, "NO_SUCH_ROUTE"),
    ],
)
def test_an_error_is_a_problem_document_in_both_languages(
    desk: Desk, path: str, body: Any, status: int, code: str
) -> None:
    answer = desk.act("planner", path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert " / " in answer.json()["detail"]


def test_a_number_that_is_asked_for_stands_in_no_answer_log_or_table(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    number = "110105194912310021"
    body = {"id_type": "resident_id", "id_number": number}
    answers = [
        desk.act("planner", "persons/find", body, "k7"),
        desk.act("planner", "persons/find", body | {"id_type": 5}),
    ]
    assert [answer.json()["code"] for answer in answers] == ["PERSON_UNKNOWN", "REQUEST_INVALID"]
    everything = (
        json.dumps(every_row(desk.url)) + "".join(answer.text for answer in answers) + "".join(capfd.readouterr())
    )
    assert number not in everything


def test_the_document_is_of_openapi_31_and_names_right_and_scope(desk: Desk) -> None:
    document = httpx.get(f"{desk.address}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    routes = declared_routes(bare_app())
    assert len(routes) > 50
    assert all(route["does"] for route in routes)
    assert httpx.get(f"{desk.address}/docs").status_code == 200
    assert httpx.get(f"{desk.address}/health").json() == {"status": "healthy"}
