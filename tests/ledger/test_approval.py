"""The approval in Airflow: it belongs to the desk's service user and decides nothing; the ledger does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as

from issuance.dispatch.release import refuse_wave, release_wave
from issuance.intake.session import answer_operator
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.users.register import Service, open_desk

RUN = """
import json, sys
from types import SimpleNamespace
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from dags.approvals import DeskApproval
shown = {}
hitl.upsert_hitl_detail = lambda **values: shown.update(body=values["body"], users=values["assigned_users"])
matter = sys.argv.pop(1)
task = DeskApproval(task_id="t", subject="s", matter=matter)
conf = {"cohort_id": "c1", "wave": 1, "submission": 0, "user": "submitter", "released_by": "releaser"}
runs = {"release": ("card_dispatch", "c1.1"), "intake": ("cohort_intake", "c1.0")}
run = SimpleNamespace(conf=conf, dag_id=runs[matter][0], run_id=runs[matter][1])
context = {"dag_run": run, "task_instance": SimpleNamespace(id="i")}
try:
    if sys.argv[1] == "ask":
        task.execute.__wrapped__(task, context)
    else:
        event = {"chosen_options": [sys.argv[2]], "params_input": {"reason": "r"}, "responded_by_user": {"name": "x"}}
        DeskApproval.execute_complete(task, context, event)
    shown.update(ended="goes on")
except BaseException as error:
    shown.update(ended=type(error).__name__, permanent=isinstance(error, AirflowFailException), text=str(error))
print("shown", json.dumps(shown, default=str))
"""


@pytest.fixture
def planned(database: Settings, ledger_url: str, tmp_path: Path) -> Settings:
    """A planned wave, at a desk."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path, {}, {})
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY), ("BOB", TODAY)])
        open_desk(connection, "test", Service("9", "desk", "https://desk.example"))
    plan_as(settings, "c1", 1, "planner")
    return settings


@pytest.fixture
def warned(database: Settings, ledger_url: str, tmp_path: Path) -> Settings:
    """A submission past the warning threshold, at a desk."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path, {}, {})
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)], state="REGISTERED")
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
        open_desk(connection, "test", Service("9", "desk", "https://desk.example"))
    return settings


def run(settings: Settings, *words: str, matter: str = "release") -> dict[str, Any]:
    """What the task shows and how it ends, in Airflow's own process."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {"AIRFLOW_HOME": str(settings.policies_dir), "PYTHONPATH": str(ROOT), "DATABASE_URL": settings.database_url}
    env |= {"AIRFLOW_API_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, matter, *words], env=env, capture_output=True, text=True, check=False
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("shown ")), None)
    assert line, done.stderr[-1500:]
    shown: dict[str, Any] = json.loads(line.removeprefix("shown "))
    return shown


def released_by(settings: Settings) -> list[str]:
    with connect(settings.database_url) as connection:
        return [name for (name,) in connection.execute("SELECT released_by FROM release").fetchall()]


def test_it_is_the_desks_alone_shows_the_forecast_and_links_to_the_desk(planned: Settings) -> None:
    shown = run(planned, "ask")
    assert shown["ended"] == "TaskAwaitingInput"
    assert shown["users"] == [{"id": "9", "name": "desk"}]
    for words in ("2 plastics in 2 jobs", f"- F-ICBC: {TODAY}", f"- F-JING: {TODAY}", "0 cards will breach"):
        assert words in shown["body"]
    assert "https://desk.example/api/v1/cohorts/c1/waves/1" in shown["body"]


@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_an_answer_without_a_row_in_the_ledger_is_none(planned: Settings, answer: str) -> None:
    shown = run(planned, "answer", answer)
    assert (shown["ended"], shown["permanent"]) == ("AirflowException", False)
    assert "nothing is decided yet" in shown["text"]
    assert released_by(planned) == []


@pytest.mark.parametrize("words", [("ask",), ("answer", "Approve"), ("answer", "Reject")])
def test_a_released_wave_goes_on_whatever_was_answered(planned: Settings, words: tuple[str, ...]) -> None:
    release_wave(planned, "c1", 1, "releaser")
    assert run(planned, *words) == {"ended": "goes on"}
    assert released_by(planned) == ["releaser"], "nobody whom the run's conf names"


@pytest.mark.parametrize("words", [("ask",), ("answer", "Approve")])
def test_a_refused_wave_is_skipped(planned: Settings, words: tuple[str, ...]) -> None:
    refuse_wave(planned, "c1", 1, "releaser", "too many")
    assert run(planned, *words)["ended"] == "AirflowSkipException"
    assert released_by(planned) == []


def submission_of(settings: Settings) -> tuple[str, str | None]:
    """The submission's state, and who decided it."""
    with connect(settings.database_url) as connection:
        (row,) = connection.execute("SELECT state, go_ahead_by FROM submission").fetchall()
    return row


def test_intake_past_its_warning_is_the_desks_alone_and_links_to_the_desk(warned: Settings) -> None:
    shown = run(warned, "ask", matter="intake")
    assert shown["ended"] == "TaskAwaitingInput"
    assert shown["users"] == [{"id": "9", "name": "desk"}]
    assert "past the warning threshold" in shown["body"]
    assert "https://desk.example/api/v1/cohorts/c1/submissions/0" in shown["body"]


@pytest.mark.parametrize("answer", ["Approve", "Reject"])
def test_an_answer_about_intake_without_a_row_in_the_ledger_is_none(warned: Settings, answer: str) -> None:
    shown = run(warned, "answer", answer, matter="intake")
    assert (shown["ended"], shown["permanent"]) == ("AirflowException", False)
    assert submission_of(warned) == ("WAITING_FOR_OPERATOR", None)


@pytest.mark.parametrize(
    ("go_on", "words", "ended"),
    [
        (True, ("ask",), "goes on"),
        (True, ("answer", "Reject"), "goes on"),
        (False, ("ask",), "AirflowSkipException"),
        (False, ("answer", "Approve"), "AirflowSkipException"),
    ],
)
def test_intake_goes_by_what_was_decided_at_the_desk(
    warned: Settings, go_on: bool, words: tuple[str, ...], ended: str
) -> None:
    answer_operator(warned, "c1", 0, "operator", go_on)
    assert run(warned, *words, matter="intake")["ended"] == ended
    assert submission_of(warned) == ("VALIDATED" if go_on else "REFUSED", "operator")
