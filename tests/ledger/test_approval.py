"""The release in Airflow: it shows the forecast, and a refusal without a reason is asked for again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty

from issuance.dispatch.plan import plan_wave
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings

RUN = """
import json, sys
from types import SimpleNamespace
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from dags.approvals import ReleaseApproval
shown = {}
hitl.upsert_hitl_detail = lambda **values: shown.update(body=values["body"], users=values["assigned_users"])
task = ReleaseApproval(task_id="t", subject="s")
context = {"dag_run": SimpleNamespace(conf={"cohort_id": "c1", "wave": 1}), "task_instance": SimpleNamespace(id="i")}
try:
    if sys.argv[1] == "ask":
        task.execute.__wrapped__(task, context)
    else:
        event = {"chosen_options": ["Reject"], "params_input": json.loads(sys.argv[2])}
        ReleaseApproval.execute_complete(task, context, event)
except BaseException as error:
    shown.update(error=type(error).__name__, permanent=isinstance(error, AirflowFailException), text=str(error))
print("shown", json.dumps(shown, default=str))
"""


@pytest.fixture
def planned(database: Settings, ledger_url: str, tmp_path: Path) -> Settings:
    """A planned wave, and a second person who may release it."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path, {}, {})
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY), ("BOB", TODAY)])
        connection.execute("INSERT INTO operator VALUES ('planner', '1'), ('releaser', '2')")
    plan_wave(settings, "c1", 1, "planner")
    return settings


def run(settings: Settings, *words: str) -> dict[str, Any]:
    """What the task shows and how it ends, in Airflow's own process."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {"AIRFLOW_HOME": str(settings.policies_dir), "PYTHONPATH": str(ROOT), "DATABASE_URL": settings.database_url}
    env |= {"AIRFLOW_API_URL": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", RUN, *words], env=env, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("shown ")), None)
    assert line, done.stderr[-1500:]
    shown: dict[str, Any] = json.loads(line.removeprefix("shown "))
    return shown


def test_the_second_person_sees_the_forecast_before_answering(planned: Settings) -> None:
    shown = run(planned, "ask")
    assert shown["error"] == "TaskAwaitingInput"
    assert [user["name"] for user in shown["users"]] == ["releaser"]
    for words in ("2 plastics in 2 jobs", f"- F-ICBC: {TODAY}", f"- F-JING: {TODAY}", "0 cards will breach"):
        assert words in shown["body"]


@pytest.mark.parametrize("given", ["{}", '{"reason": "  "}', "null"])
def test_a_refusal_without_a_reason_is_tried_again_and_refuses_nothing(planned: Settings, given: str) -> None:
    shown = run(planned, "answer", given)
    assert (shown["error"], shown["permanent"]) == ("AirflowException", False)
    assert "a refusal needs a reason" in shown["text"]
    with connect(planned.database_url) as connection:
        assert connection.execute("SELECT refused FROM wave").fetchall() == [(None,)]
