"""Policy over the whole DagBag, read as Airflow reads it, in a process and a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READ = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
started = time.process_time()
bag = DagBag(sys.argv[1])
heavy = sorted(set(sys.modules) & {"great_expectations", "pandas", "pyarrow", "boto3", "kafka", "fastavro"})
dags = {
    dag.dag_id: {
        "doc": dag.doc_md, "tags": sorted(dag.tags), "schedule": type(dag.timetable).__name__,
        "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
        "tasks": {task.task_id: {
            "retries": task.retries, "owner": task.owner, "links": [link.name for link in task.operator_extra_links],
            "after": sorted(task.upstream_task_ids)} for task in dag.tasks},
    } for dag in bag.dags.values()
}
print(json.dumps({"errors": bag.import_errors, "heavy": heavy, "dags": dags}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow makes of dags/."""
    home = tmp_path_factory.mktemp("airflow")
    keep = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = keep | {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOT / "dags")], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return read


def test_every_dag_is_read_without_an_error(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {
        "cohort_starter",
        "cohort_intake",
        "card_dispatch",
        "clocks",
        "activation_reconciliation",
        "retention",
    }


def test_reading_a_dag_imports_nothing_heavy(bag: dict[str, Any]) -> None:
    assert bag["heavy"] == []


def test_every_dag_says_what_it_is_for_what_to_do_and_whose_it_is(bag: dict[str, Any]) -> None:
    for name, dag in bag["dags"].items():
        assert "**When it fails**" in dag["doc"], name
        assert "Owner:" in dag["doc"], name
        assert dag["tags"], name
        assert dag["catchup"] is False, name


def test_every_task_retries_and_has_an_owner(bag: dict[str, Any]) -> None:
    for dag in bag["dags"].values():
        for name, task in dag["tasks"].items():
            assert task["retries"] == 3, name
            assert task["owner"] == "issuance-operations", name


def test_the_data_docs_are_published_after_the_decision_and_linked(bag: dict[str, Any]) -> None:
    task = bag["dags"]["cohort_intake"]["tasks"]["publish_data_docs"]
    assert (task["after"], task["links"]) == (["decide_rows"], ["校验结果 / Data Docs"])


def test_timed_dags_run_one_at_a_time(bag: dict[str, Any]) -> None:
    timed = [dag for dag in bag["dags"].values() if dag["schedule"] != "NullTimetable"]
    assert len(timed) == 4
    assert {dag["max_active_runs"] for dag in timed} == {1}


def test_tasks_are_a_few_lines() -> None:
    """A DAG says what is wired to what; a task calls the library."""
    import ast

    for path in sorted((ROOT / "dags").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(d) for d in node.decorator_list):
                body = [line for line in node.body if not isinstance(line, ast.ImportFrom)]
                assert len(body) <= 5, f"{path.name}:{node.name}"
