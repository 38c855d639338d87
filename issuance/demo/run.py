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
from issuance.demo.simulators import Simulators
from issuance.demo.stepper import Stepper
from issuance.errors import Broken, Refused, Unavailable
from issuance.ledger.connection import set_business_day, transaction
from issuance.lifecycle import BREAK_KINDS
from issuance.partners import load_registry
from issuance.reconcile.closing import ClosingStatement, close_statement
from issuance.settings import STACK_DIR, Settings, environment, load_settings

OPENS = date(2025, 10, 9)
"""The day from which all retirees of Beijing renew (domain.md)."""
TIMED_DAGS = ("clocks", "activation_reconciliation")
LAST_DAY = date(2026, 12, 31)
"""The working-day calendar ends here."""


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
    _require_empty(settings)
    _pause_timed(True)
    with demo.stage("generate"):
        rows = _generate(demo)
    with demo.stage("intake"):
        _submit(demo, settings, rows)
    with demo.stage("dispatch"):
        _release(demo, settings)
    with demo.stage("life"):
        _live(demo, settings)
    _run_timed_once(demo)
    return prove(demo, settings)


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
                f"账本中已有批次 {row[0]}；演示需要空账本：issuance stack reset。"
                f" / the ledger holds cohort {row[0]}; the demo needs an empty one: issuance stack reset.",
            )
        set_business_day(connection, OPENS)


def _generate(demo: Demo) -> int:
    demo.directory.mkdir(parents=True, exist_ok=True)
    _python("producers.generate", str(demo.directory), "--cards", str(demo.cards), "--seed", str(demo.seed),
            "--opens", OPENS.isoformat())  # fmt: skip
    return int(json.loads((demo.directory / "truth.json").read_text(encoding="utf-8"))["rows"])


def _submit(demo: Demo, settings: Settings, rows: int) -> None:
    """As the demo's submitter, with the public command."""
    answer = _as_user(
        "submitter", "submit", str(demo.directory / "applications.csv"), "--cohort", demo.cohort_id, "--city",
        load_registry(settings.partners_file).city, "--category", "retiree", "--opens", OPENS.isoformat(),
        "--declared", str(rows), "--wait", "--json",
    )  # fmt: skip
    state = json.loads(answer)["state"]
    demo.say(f"  {rows:,} rows, submission {state.lower()}")
    if state != "ACCEPTED":
        raise Broken("INTAKE_NOT_ACCEPTED", f"intake ended {state}: issuance cohort show {demo.cohort_id}")


def _release(demo: Demo, settings: Settings) -> None:
    """Airflow plans; the demo's releaser, who neither submitted nor planned, answers through Airflow's API."""
    run_id = f"{demo.cohort_id}.1"
    airflow = airflow_of("releaser", settings)
    _await(lambda: _pending(airflow, run_id), "the plan to wait for its release")
    demo.say("  planned; released by the second person")
    _as_user("releaser", "cohort", "release", demo.cohort_id, "1")
    _await(lambda: _ended(airflow, "card_dispatch", run_id), "dispatch to end")


def _pending(airflow: Airflow, run_id: str) -> bool:
    state = airflow.run_state("card_dispatch", run_id)
    if state == "failed":
        raise Broken("DISPATCH_FAILED", f"failed tasks: {airflow.failed_tasks('card_dispatch', run_id)}")
    return state is not None and bool(airflow.pending_approvals("card_dispatch", run_id))


def _ended(airflow: Airflow, dag_id: str, run_id: str) -> bool:
    state = airflow.run_state(dag_id, run_id)
    if state == "failed":
        raise Broken("RUN_FAILED", f"{dag_id} {run_id} failed: {airflow.failed_tasks(dag_id, run_id)}")
    return state == "success"


def _live(demo: Demo, settings: Settings) -> None:
    """Step the days until the cohort closes."""
    with Simulators(demo.directory, demo.seed) as simulators:
        stepper = Stepper(settings, simulators)
        day: date | None = OPENS
        steps = 0
        while day is not None and day <= LAST_DAY:
            due = stepper.step(day)
            steps += 1
            if steps % 10 == 0:
                demo.say(f"  {day}: {_progress(settings, demo.cohort_id)}")
            if resolve_breaks(settings, demo.cohort_id) == 0 and _closed(settings, demo.cohort_id):
                demo.say(f"  {day}: closed after {steps} stepped days")
                break
            day = due
        stepper.close()


def _progress(settings: Settings, cohort_id: str) -> str:
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT state, cards FROM tally JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND cards > 0"
            " ORDER BY cards DESC",
            (cohort_id,),
        ).fetchall()
    return ", ".join(f"{state} {cards:,}" for state, cards in rows[:6])


def _closed(settings: Settings, cohort_id: str) -> bool:
    with transaction(settings.database_url) as connection:
        row = connection.execute("SELECT state FROM cohort WHERE cohort_id = %s", (cohort_id,)).fetchone()
    return row is not None and row[0] == "CLOSED"


def resolve_breaks(settings: Settings, cohort_id: str) -> int:
    """The demo's operator explains, by the public command, the breaks that do not close themselves."""
    lasting = [kind.name for kind in BREAK_KINDS.values() if not kind.closes_itself]
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT break_id FROM break JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND break.closed_on IS NULL"
            " AND kind = ANY (%s)",
            (cohort_id, lasting),
        ).fetchall()
    for (break_id,) in rows:
        _as_user("planner", "break", "resolve", str(break_id), "--note", "explained by the demo's operator")
    return len(rows)


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


def password_of(user: str) -> str:
    """The generated password of a demo user."""
    return environment()[f"AIRFLOW_USER_{user.upper()}_PASSWORD"]


def _as_user(user: str, *words: str) -> str:
    """Run the public command as a demo user; returns its output."""
    home = STACK_DIR / "demo" / "home" / user
    env = {**os.environ, "XDG_CONFIG_HOME": str(home), "ISSUANCE_PASSWORD": password_of(user)}
    if not (home / "issuance" / "login.json").exists():
        _issuance(env, "login", user)
    return _issuance(env, *words)


def _issuance(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "issuance.cli", *words], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Broken("COMMAND_FAILED", f"issuance {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _python(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken("COMMAND_FAILED", f"{words[0]}: {done.stderr.strip()[-500:]}")


def _await(condition: Callable[[], bool], what: str, patience: float = 300.0) -> None:
    """Wait for a condition of another process; polls twice a second."""
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise Unavailable("TOO_SLOW", f"waited {patience:.0f} s for {what}; see `issuance stack logs`")
        time.sleep(0.5)
