"""The kit against banks in real time: a sound one passes, a broken one gets exactly the right findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from conformance_fixture import Running, check, client, failed
from desk_fixture import LogIn

from issuance.cli import cli
from issuance.ledger.connection import connect
from issuance.settings import Settings


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[Running]:
    found = Running(stack, "conformance_bank")
    yield found
    found.close()


def test_a_sound_bank_passes_every_case(running: Running, tmp_path: Path) -> None:
    results = check(running, tmp_path, "bank", "ICBC", ("revise",), patience=25.0)
    assert failed(results) == {}
    assert {name: result.why for name, result in results.items() if result.outcome != "passed"} == {}


@pytest.mark.slow
def test_a_bank_whose_client_also_plays_its_factory_is_left_to_it(running: Running, tmp_path: Path) -> None:
    with client(tmp_path / "factory", "factory", "F-CCB"):
        results = check(running, tmp_path / "bank", "bank", "CCB", patience=40.0, also=("F-CCB",))
    assert failed(results) == {}
    seen = {name for name, result in results.items() if result.outcome == "passed"}
    assert seen >= {"received", "collected", "account-cancelled", "pause", "statement-true", "taken"}
    with connect(running.settings.database_url) as connection:
        made = "SELECT DISTINCT report_id ~ '^check-' FROM fact JOIN report USING (report_no) WHERE partner = 'F-CCB'"
        assert connection.execute(made).fetchall() == [(False,)], "the kit reports nothing for it"


def test_the_command_says_it_as_text_json_and_junit(running: Running, tmp_path: Path, log_in: LogIn) -> None:
    log_in(running.settings, "tester")
    few = ["--case", "received", "--case", "taken", "--patience", "20"]
    with client(tmp_path, "bank", "BOC", "miscount") as box:
        junit = tmp_path / "boc.xml"
        words = ["partner", "check", "BOC", *few, "--box", str(box), "--junit", str(junit)]
        text = CliRunner().invoke(cli, words)
        machine = CliRunner().invoke(cli, [*words, "--json"])
    assert (text.exit_code, machine.exit_code) == (1, 1), (text.exception, machine.exception)
    assert "FAILED" in text.stdout
    assert "COUNT_DIFFERS" in text.stdout
    found = json.loads(machine.stdout)
    assert {case["name"]: case["outcome"] for case in found["cases"]} == {"received": "failed", "taken": "passed"}
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    with connect(running.settings.database_url) as connection:
        acts = connection.execute("SELECT subject FROM audit WHERE act = 'check partner' AND subject = 'BOC'")
        assert len(acts.fetchall()) == 2
        row = connection.execute("SELECT state FROM cohort WHERE cohort_id = %s", (found["cohort_id"],)).fetchone()
        assert row == ("WITHDRAWN",)
        # of its own cohort: what the client says late of an earlier one is judged by the passes of the next check
        left = (
            "SELECT kind, reference FROM break b JOIN cohort USING (cohort_no)"
            " WHERE cohort_id = %s AND b.closed_on IS NULL"
        )
        assert connection.execute(left, (found["cohort_id"],)).fetchall() == []


BROKEN = [
    (
        ("miscount", "early-account", "deaf", "gap"),
        {
            "received": {"COUNT_DIFFERS"},
            "account-cancelled": {"TOO_EARLY"},
            "statement-again": {"NOT_SENT_AGAIN"},
            "missing": {"NOT_SENT_AGAIN"},
            "sequence": {"SEQUENCE_GAP"},
        },
    ),
    (
        ("one-witness", "short-list"),
        {
            "destroyed": {"WITNESSES"},
            "statement-true": {"STATEMENT_MISSING"},
            "taken": {"FIELD_MISSING"},
        },
    ),
    (("sulk",), {"pause": {"SILENT_AFTER_PAUSE"}}),
    (("wrong-total",), {"statement-whole": {"COUNT_DIFFERS"}, "taken": {"COUNT_DIFFERS"}}),
]


@pytest.mark.slow  # in small: the sound bank here, a broken factory in its own file
@pytest.mark.parametrize(("faults", "expected"), BROKEN, ids=[" ".join(faults) for faults, _ in BROKEN])
def test_a_broken_bank_gets_exactly_the_right_findings(
    running: Running, tmp_path: Path, faults: tuple[str, ...], expected: dict[str, set[str]]
) -> None:
    few = {"wrong-total": ("statement-whole", "taken"), "sulk": ("received", "pause", "taken")}
    only = few.get(faults[0], ())
    results = check(running, tmp_path, "bank", "ABC", faults, patience=20.0, only=only)
    assert failed(results) == expected
