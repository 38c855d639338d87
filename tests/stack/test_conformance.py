"""The kit itself: every case stands in the contract and in the docs, results in three forms, where it must not run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from cohort_fixture import TODAY, add_cohort, empty
from desk_fixture import LogIn

from issuance.city.partners import PARTNER_TOPICS
from issuance.cli import cli
from issuance.commands.check import case_lines, junit
from issuance.conformance.box import Box
from issuance.conformance.case import Case, Finding, NotShown, Result
from issuance.conformance.cohort import Check
from issuance.conformance.common import ALWAYS
from issuance.conformance.persons import make_persons, telling_values
from issuance.conformance.report import as_dict
from issuance.conformance.run import PLAYS, Options, cases_of, check_partner, is_local
from issuance.dispatch.openings import due_dispatches
from issuance.docpages.conformance import FILE, written
from issuance.errors import Refused
from issuance.intake.pending import due_intakes
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.settings import ROOT, Settings
from issuance.vault.keys import KeyService
from issuance.wire.pauses import pause_partner

CONTRACT = " ".join((ROOT / "docs" / "partners.md").read_text(encoding="utf-8").split())
CASES = {case.name: case for kind in PLAYS for case in cases_of(kind)}
CHECK = Check("check-F-ICBC-1", "ICBC", "F-ICBC", "110000", TODAY, "tester")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_case_demands_stands_in_the_contract(case: Case) -> None:
    assert case.sentence in CONTRACT
    assert case.zh


def test_every_kind_of_partner_has_a_handful_of_cases_and_names_are_told_apart() -> None:
    assert set(PLAYS) == set(PARTNER_TOPICS)
    for kind in PLAYS:
        names = [case.name for case in cases_of(kind)]
        assert len(names) == len(set(names))
        assert len(names) >= (2 if kind == "notifier" else 5)


def test_the_table_of_cases_is_in_step() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text == written(text), "write it anew: make docs"


def results() -> list[Result]:
    """One of each outcome."""
    passed, failed, open_ = ALWAYS[:3]
    return [
        Result(passed, "passed", [], "", 1.0),
        Result(failed, "failed", [Finding("ID_REUSED", "r1 <two> contents")], "", 2.0),
        Result(open_, "not shown", [], "nothing came", 0.5),
    ]


def test_results_as_junit_can_be_read_by_a_build_server() -> None:
    suite = ElementTree.fromstring(junit(as_dict(CHECK, "F-ICBC", results())))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["frame", "report-ids", "sequence"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert "ID_REUSED: r1 <two> contents" in (failure.text or "")
    assert cases[2].find("skipped") is not None


def test_results_as_json_and_text_name_case_and_sentence() -> None:
    found = json.loads(json.dumps(as_dict(CHECK, "F-ICBC", results())))
    assert found["passed"] is False
    assert found["cases"][1]["findings"] == [{"code": "ID_REUSED", "text": "r1 <two> contents"}]
    assert found["cases"][1]["contract"] == ALWAYS[1].sentence
    text = "\n".join(line for case in found["cases"] for line in case_lines(case))
    assert ALWAYS[1].sentence in text
    assert ALWAYS[0].sentence not in text
    assert "nothing came" in text


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql://u:p@127.0.0.1:15432/ledger", True),
        ("postgresql://postgres@/db?host=/var/run/postgres", True),
        ("postgresql://u:p@ledger.example:5432/ledger", False),
        ("postgresql://u@/db?host=ledger.example", False),
    ],
)
def test_a_ledger_on_this_machine_is_told_from_others(url: str, local: bool) -> None:
    assert is_local(url) is local


def refused(settings: Settings, partner: str, **options: object) -> str:
    """The code for which a check is refused."""
    with pytest.raises(Refused) as caught:
        check_partner(settings, partner, "tester", Options(**options), Box(print))  # type: ignore[arg-type]
    return caught.value.code


def test_where_a_check_must_not_run(stack: Settings, ledger_url: str) -> None:
    own = replace(stack, database_url=ledger_url)
    assert refused(own, "NOBODY") == "PARTNER_UNKNOWN"
    assert refused(own, "F-ICBC", only=("nothing",)) == "CASE_UNKNOWN"
    assert refused(replace(own, database_url="postgresql://u@ledger.example/l"), "F-ICBC") == "LEDGER_NOT_LOCAL"
    with connect(ledger_url) as connection:
        pause_partner(connection, "F-ICBC", "RUN", date.today())
    assert refused(own, "F-ICBC") == "PARTNER_PAUSED"
    with connect(ledger_url) as connection:
        set_business_day(connection, TODAY)
    assert refused(own, "F-ABC") == "CLOCK_STEPPED"
    empty(ledger_url)


def test_its_people_are_new_and_their_values_are_nowhere_by_chance(stack: Settings, ledger: Connection) -> None:
    hasher = KeyService(stack.keys_dir).person_hasher()
    first = make_persons(ledger, hasher, 20)
    for n, person in enumerate(first):
        ledger.execute(
            "INSERT INTO acceptance (person, card_ref, cohort_no, submission) VALUES (%s, gen_random_uuid(), %s, 0)",
            (hasher("resident_id", person["id_number"]), n),
        )
    again = make_persons(ledger, hasher, 20)
    assert {row["id_number"] for row in first}.isdisjoint(row["id_number"] for row in again)
    assert len({row["id_number"] for row in [*first, *again]}) == 40
    assert all(len(value) >= 6 for row in first for value in telling_values(row))


def test_nobody_elses_cohort_may_be_called_a_check(
    tmp_path: Path, stack: Settings, ledger_url: str, log_in: LogIn
) -> None:
    log_in(replace(stack, database_url=ledger_url), "submitter")
    file = tmp_path / "rows.csv"
    file.write_text("application_id\n", encoding="utf-8")
    words = ["--city", "110000", "--category", "retiree", "--opens", "2025-10-09", "--declared", "1"]
    done = CliRunner().invoke(cli, ["submit", str(file), "--cohort", "check-mine", *words])
    assert isinstance(done.exception, Refused)
    assert done.exception.code == "COHORT_ID_RESERVED"


def test_airflow_starts_nothing_of_a_check(stack: Settings, ledger_url: str) -> None:
    empty(ledger_url)
    own = replace(stack, database_url=ledger_url)
    with connect(ledger_url) as connection:
        for cohort_id, state in (("check-a", "ACCEPTED"), ("c-a", "ACCEPTED")):
            add_cohort(connection, cohort_id, [("ICBC", TODAY)], state=state)
        for cohort_id in ("check-r", "c-r"):
            add_cohort(connection, cohort_id, [("ICBC", TODAY)], state="REGISTERED")
    assert [run["trigger_run_id"] for run in due_dispatches(own)] == ["c-a.1"]
    assert [run["trigger_run_id"] for run in due_intakes(own)] == ["c-r.0"]
    empty(ledger_url)


def test_a_case_without_a_finding_is_open_when_something_was_not_shown() -> None:
    from issuance.conformance.case import judge

    def outcome(*verdicts: Finding | NotShown) -> str:
        case = Case("x", frozenset({"bank"}), "x", "x", lambda bench: iter(verdicts))
        return judge(case, Still()).outcome  # type: ignore[arg-type]

    assert outcome() == "passed"
    assert outcome(NotShown("nothing")) == "not shown"
    assert outcome(NotShown("nothing"), Finding("A", "a")) == "failed"


class Still:
    """A bench on which no time passes."""

    def elapsed(self) -> float:
        return 0.0
