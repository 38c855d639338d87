"""`issuance demo`: one cohort of synthetic retirees through its whole life, by the public commands and interfaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from issuance.airflow import Airflow
from issuance.demo.check import check_planted, read_truth
from issuance.demo.people import as_user, password_of
from issuance.errors import Broken, Refused, Unavailable
from issuance.ledger.connection import business_day, set_business_day, transaction
from issuance.partners import load_registry
from issuance.reconcile.closing import ClosingStatement, close_statement
from issuance.settings import STACK_DIR, Settings, load_settings
from issuance.stack.place import MARK

OPENS = date(2025, 10, 9)
"""The day from which all retirees of Beijing renew (domain.md)."""
TIMED_DAGS = ("clocks", "activation_reconciliation", "retention")
PATIENCE = 300.0
"""Seconds that a run of Airflow may take, beside a second for every thousand cards."""


@dataclass
class Demo:
    """One demonstration: its cohort, where its files are, and what each stage took."""

    cards: int
    seed: int
    say: Callable[[str], None]
    directory: Path = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = STACK_DIR / "demo" / self.cohort_id

    @property
    def cohort_id(self) -> str:
        """demo-SEED."""
        return f"demo-{self.seed}"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and tell of it."""
        started = time.monotonic()
        self.say(f"· {name} …")
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        self.say(f"  {name}: {self.seconds[name]} s")


def run_demo(demo: Demo) -> tuple[ClosingStatement, dict[str, Any]]:
    """Everything after the stack is up; returns the closing statement and the contract's demo JSON.

    Raises:
        Refused: the demo ledger is not empty.
        Broken: the cohort does not close.
    """
    settings = load_settings()
    dispatch_cohort(demo, settings)
    with demo.stage("life"):
        _await_life(demo, settings)
    _run_timed_once(demo)
    return prove(demo, settings)


def dispatch_cohort(demo: Demo, settings: Settings) -> None:
    """Generate, submit, plan, release and dispatch the cohort through Airflow, on an empty ledger.

    Raises:
        Refused: the demo ledger is not empty.
    """
    _require_empty(settings)
    _pause_timed(True)
    with demo.stage("generate"):
        rows = _generate(demo)
    with demo.stage("intake"):
        _submit(demo, settings, rows)
    with demo.stage("dispatch"):
        _release(demo, settings)


def prove(demo: Demo, settings: Settings) -> tuple[ClosingStatement, dict[str, Any]]:
    """The closing statement, and planted = found: what truth files say was done against the ledger alone."""
    with demo.stage("proof"):
        statement = close_statement(settings, demo.cohort_id)
        with transaction(settings.database_url) as connection:
            checked = check_planted(connection, demo.cohort_id, read_truth(demo.directory))
    for difference in checked.differences[:20]:
        demo.say(f"  DIFFERS: {difference}")
    result = statement.as_dict() | {
        "planted": checked.planted,
        "differences": len(checked.differences),
        "seconds": demo.seconds,
    }
    return statement, result


def _require_empty(settings: Settings) -> None:
    with transaction(settings.database_url) as connection:
        row = connection.execute("SELECT cohort_id FROM cohort LIMIT 1").fetchone()
        if row:
            raise Refused(
                "LEDGER_NOT_EMPTY",
                f"账本中已有批次 {row[0]}；演示需要空账本：先停止（make down），再删除 {STACK_DIR}。"
                f" / the ledger holds cohort {row[0]}, the demo needs an empty one:"
                f" make down, then remove {STACK_DIR}.",
            )
        set_business_day(connection, OPENS)


def _generate(demo: Demo) -> int:
    demo.directory.mkdir(parents=True, exist_ok=True)
    _python("producers.generate", str(demo.directory), "--cards", str(demo.cards), "--seed", str(demo.seed),
            "--opens", OPENS.isoformat())  # fmt: skip
    return int(json.loads((demo.directory / "truth.json").read_text(encoding="utf-8"))["rows"])


def _submit(demo: Demo, settings: Settings, rows: int) -> None:
    """As the demo's submitter, with the public command."""
    answer = as_user(
        "submitter", "submit", str(demo.directory / "applications.csv"), "--cohort", demo.cohort_id, "--city",
        load_registry(settings.partners_file).city, "--category", "retiree", "--opens", OPENS.isoformat(),
        "--declared", str(rows), "--wait", "--json",
    )  # fmt: skip
    state = json.loads(answer)["state"].upper()
    demo.say(f"  {rows:,} rows, submission {state.lower()}")
    if state != "ACCEPTED":
        raise Broken("INTAKE_NOT_ACCEPTED", f"intake ended {state}: issuance cohort show {demo.cohort_id}")


def _release(demo: Demo, settings: Settings) -> None:
    """Airflow plans; the demo's releaser, who neither submitted nor planned, answers through Airflow's API."""
    run_id = f"{demo.cohort_id}.1"
    airflow = airflow_of("releaser", settings)
    patience = PATIENCE + demo.cards / 1000
    _await(lambda: _pending(airflow, run_id), "the plan to wait for its release", patience)
    demo.say("  planned; released by the second person")
    _await(lambda: _released_and_ended(airflow, demo.cohort_id, run_id), "dispatch to end", patience)


def _pending(airflow: Airflow, run_id: str) -> bool:
    state = airflow.run_state("card_dispatch", run_id)
    if state == "failed":
        raise Broken("DISPATCH_FAILED", f"failed tasks: {airflow.failed_tasks('card_dispatch', run_id)}")
    return state is not None and bool(airflow.pending_approvals("card_dispatch", run_id))


def _released_and_ended(airflow: Airflow, cohort_id: str, run_id: str) -> bool:
    """Answer whenever the release is asked for (a slow scheduler can lose an answer and ask again), until the end."""
    if airflow.pending_approvals("card_dispatch", run_id):
        as_user("releaser", "cohort", "release", cohort_id, "1")
    return _ended(airflow, "card_dispatch", run_id)


def _ended(airflow: Airflow, dag_id: str, run_id: str) -> bool:
    state = airflow.run_state(dag_id, run_id)
    if state == "failed":
        raise Broken("RUN_FAILED", f"{dag_id} {run_id} failed: {airflow.failed_tasks(dag_id, run_id)}")
    return state == "success"


def _await_life(demo: Demo, settings: Settings) -> None:
    """Start the process that steps the days, and watch the ledger until the cohort closes.

    That process stays when the demo has ended, so that cohorts of one's own move too; `issuance stack down` ends it.
    """
    with (demo.directory / "follow.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "issuance.demo.follow", str(demo.directory), "--seed", str(demo.seed)],
            env={**os.environ, MARK: str(STACK_DIR.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    told = time.monotonic()
    while not _closed(settings, demo.cohort_id):
        if process.poll() is not None:
            tail = (demo.directory / "follow.log").read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise Broken("STEPPER_ENDED", f"stepping the days ended: {''.join(tail)}")
        if time.monotonic() - told > 15:
            told = time.monotonic()
            demo.say(f"  {_progress(settings, demo.cohort_id)}")
        time.sleep(0.5)
    demo.say(f"  {_progress(settings, demo.cohort_id)}: closed")


def _progress(settings: Settings, cohort_id: str) -> str:
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT tally.state, cards FROM tally JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND cards > 0"
            " ORDER BY cards DESC",
            (cohort_id,),
        ).fetchall()
        day = business_day(connection)
    return f"{day}: " + ", ".join(f"{state} {cards:,}" for state, cards in rows[:6])


def _closed(settings: Settings, cohort_id: str) -> bool:
    with transaction(settings.database_url) as connection:
        row = connection.execute("SELECT state FROM cohort WHERE cohort_id = %s", (cohort_id,)).fetchone()
    return row is not None and row[0] == "CLOSED"


def _run_timed_once(demo: Demo) -> None:
    """Every timed DAG also runs once, by hand."""
    with demo.stage("timed DAGs"):
        airflow = airflow_of("pipeline", load_settings())
        _pause_timed(False)
        runs = [(dag_id, airflow.start_run(dag_id, {})) for dag_id in TIMED_DAGS]
        for dag_id, run_id in runs:
            _await(partial(_ended, airflow, dag_id, run_id), f"{dag_id} to end")


def _pause_timed(paused: bool) -> None:
    """Business time is stepped: the timed DAGs would decide in the middle of a day."""
    airflow = airflow_of("pipeline", load_settings())
    for dag_id in TIMED_DAGS:
        _await(partial(airflow.pause, dag_id, paused), f"the DAG {dag_id} to be known")


def airflow_of(user: str, settings: Settings) -> Airflow:
    """A session of one of the demo's users."""
    return Airflow.log_in(settings.airflow_api_url, user, password_of(user))


def _python(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken("COMMAND_FAILED", f"{words[0]}: {done.stderr.strip()[-500:]}")


def _await(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition of another process; polls twice a second."""
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise Unavailable("TOO_SLOW", f"waited {patience:.0f} s for {what}; see `issuance stack logs`")
        time.sleep(0.5)
