"""`issuance demo`: one cohort of synthetic retirees through its whole life, by the public commands and interfaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from issuance.demo.check import Truth, check_outcome, check_planted, read_truth
from issuance.demo.direct import dispatch_directly, submit_play
from issuance.demo.operator import ended, release_wave
from issuance.demo.people import airflow_of
from issuance.demo.plays import OPENS, Play, plays_of, write_world
from issuance.demo.scenarios import Scenario
from issuance.demo.waiting import PATIENCE, await_condition
from issuance.errors import Broken, Refused
from issuance.ledger.connection import business_day, set_business_day, transaction
from issuance.reconcile.closing import ClosingStatement, close_statement
from issuance.settings import STACK_DIR, Settings, load_settings
from issuance.stack.place import MARK

TIMED_DAGS = ("clocks", "activation_reconciliation", "retention")
STEPPED_DAGS = (*TIMED_DAGS, "cohort_starter", "card_dispatch")
"""The DAGs that are paused while several cohorts go through the same steps directly; a release wakes the last."""


@dataclass
class Demo:
    """One demonstration: its cohorts, where their files are, and what each stage took."""

    cards: int
    """Of each cohort."""
    seed: int
    say: Callable[[str], None]
    scenarios: tuple[Scenario, ...] = ()
    """Empty: one cohort with everything that usually happens."""
    directory: Path = field(init=False)
    plays: tuple[Play, ...] = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = STACK_DIR / "demo" / (f"scenarios-{self.seed}" if self.scenarios else f"demo-{self.seed}")
        self.plays = plays_of(self.directory, self.cards, self.seed, self.scenarios)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and report it."""
        started = time.monotonic()
        self.say(f"· {name} …")
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        self.say(f"  {name}: {self.seconds[name]} s")


class Proof(NamedTuple):
    """The result of a demo's cohort: its closing statement, and planted = found, as the contract's demo JSON."""

    play: Play
    statement: ClosingStatement
    result: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Closed, every equation holds, and exactly what was done was found."""
        return self.statement.holds and self.statement.state == "CLOSED" and not self.result["differences"]


def run_demo(demo: Demo) -> list[Proof]:
    """Everything after the stack is up.

    Raises:
        Refused: the demo ledger is not empty.
        Broken: a cohort does not close.
    """
    settings = load_settings()
    dispatch_cohorts(demo, settings)
    with demo.stage("life"):
        _await_life(demo, settings)
    _run_timed_once(demo)
    return prove(demo, settings)


def dispatch_cohorts(demo: Demo, settings: Settings) -> None:
    """Generate, submit, plan, release and dispatch the cohorts on an empty ledger; a single one through Airflow.

    Raises:
        Refused: the demo ledger is not empty.
    """
    _require_empty(settings)
    _pause(STEPPED_DAGS if len(demo.plays) > 1 else TIMED_DAGS, True)
    with demo.stage("generate"):
        rows = {play: _generate(play) for play in demo.plays}
        write_world(demo.directory, demo.plays)
    if len(demo.plays) > 1:
        with demo.stage("intake and dispatch"):
            dispatch_directly(settings, rows)
            for play in demo.plays:
                airflow_of("pipeline", settings).delete_run("card_dispatch", f"{play.cohort_id}.1")
            _pause(("card_dispatch",), False)  # re-makes past the allowance are released by people
    else:
        _through_airflow(demo, settings, *next(iter(rows.items())))


def prove(demo: Demo, settings: Settings) -> list[Proof]:
    """The closing statements, and planted = found: the truth files against the ledger alone."""
    with demo.stage("proof"):
        world = read_truth(demo.directory)
        several = len(demo.plays) > 1
        truths = {play: world.of_cohort(play) if several else world for play in demo.plays}
        return [_prove_cohort(demo, play, truth, settings) for play, truth in truths.items()]


def _prove_cohort(demo: Demo, play: Play, truth: Truth, settings: Settings) -> Proof:
    statement = close_statement(settings, play.cohort_id)
    with transaction(settings.database_url) as connection:
        checked = [check_planted(connection, play, truth)]
        outcomes = play.scenario.outcomes if play.scenario else ()
        checked += [check_outcome(connection, play, truth, outcome) for outcome in outcomes]
    differences = [difference for one in checked for difference in one.differences]
    for difference in differences[:20]:
        demo.say(f"  {play.cohort_id} DIFFERS: {difference}")
    planted = {kind: counts for one in checked for kind, counts in one.planted.items()}
    result = {"planted": planted, "differences": len(differences), "seconds": demo.seconds}
    return Proof(play, statement, statement.as_dict() | result)


def _require_empty(settings: Settings) -> None:
    with transaction(settings.database_url) as connection:
        row = connection.execute("SELECT cohort_id FROM cohort LIMIT 1").fetchone()
        if row:
            raise Refused(
                "LEDGER_NOT_EMPTY",
                f"账本中已有批次 {row[0]}；演示需要空账本：先停止（make down），再删除 {STACK_DIR}。"
                f" / the ledger already has cohort {row[0]}, the demo needs an empty one:"
                f" run make down, then remove {STACK_DIR}.",
            )
        set_business_day(connection, OPENS)


def _generate(play: Play) -> int:
    play.directory.mkdir(parents=True, exist_ok=True)
    methods = [word for method in (play.scenario.methods if play.scenario else ()) for word in ("--method", method)]
    kinds = [word for kind in (play.scenario.kinds if play.scenario else ()) for word in ("--kind", kind)]
    _python("producers.generate", str(play.directory), "--cards", str(play.cards), "--seed", str(play.seed),
            "--opens", OPENS.isoformat(), *methods, *kinds, *(["--unmarked"] if play.scenario else []))  # fmt: skip
    return int(json.loads((play.directory / "truth.json").read_text(encoding="utf-8"))["rows"])


def _through_airflow(demo: Demo, settings: Settings, play: Play, rows: int) -> None:
    """The cohort's intake and dispatch by Airflow: it plans, the demo's releaser answers through its API."""
    with demo.stage("intake"):
        state = submit_play(settings, play, rows, wait=True)
        if state != "ACCEPTED":
            raise Broken("INTAKE_NOT_ACCEPTED", f"intake ended {state}: issuance cohort show {play.cohort_id}")
        demo.say(f"  {rows:,} rows, submission accepted")
    with demo.stage("dispatch"):
        release_wave(settings, play.cohort_id, 1, PATIENCE + demo.cards / 1000)
        demo.say("  planned, and released by the second person")


def _await_life(demo: Demo, settings: Settings) -> None:
    """Start the process that steps the days, and watch the ledger until the cohort closes.

    That process outlives the demo, so that your own cohorts move too; `issuance stack down` ends it.
    """
    with (demo.directory / "follow.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "issuance.demo.afterwards", str(demo.directory), "--seed", str(demo.seed)],
            env={**os.environ, MARK: str(STACK_DIR.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    told = time.monotonic()
    while under_way := _under_way(settings, demo.plays):
        if process.poll() is not None:
            tail = (demo.directory / "follow.log").read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise Broken("STEPPER_ENDED", f"the process that steps the days has ended: {''.join(tail)}")
        if time.monotonic() - told > 15:
            told = time.monotonic()
            demo.say(f"  {_progress(settings, under_way)}")
        time.sleep(0.5)
    demo.say(f"  {_progress(settings, [play.cohort_id for play in demo.plays])}: closed")


def _progress(settings: Settings, cohorts: Sequence[str]) -> str:
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT tally.state, sum(cards) FROM tally JOIN cohort USING (cohort_no) WHERE cohort_id = ANY (%s)"
            " AND cards > 0 GROUP BY 1 ORDER BY 2 DESC",
            (list(cohorts),),
        ).fetchall()
        day = business_day(connection)
    waiting = f" ({', '.join(cohorts)})" if 1 < len(cohorts) < 4 else ""
    return f"{day}: " + ", ".join(f"{state} {cards:,}" for state, cards in rows[:6]) + waiting


def _under_way(settings: Settings, plays: Sequence[Play]) -> list[str]:
    """The cohorts that are not closed."""
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT cohort_id FROM cohort WHERE cohort_id = ANY (%s) AND state <> 'CLOSED' ORDER BY 1",
            ([play.cohort_id for play in plays],),
        ).fetchall()
    return [cohort_id for (cohort_id,) in rows]


def _run_timed_once(demo: Demo) -> None:
    """Run every scheduled DAG once, by hand."""
    with demo.stage("timed DAGs"):
        airflow = airflow_of("pipeline", load_settings())
        _pause(STEPPED_DAGS, False)
        runs = [(dag_id, airflow.start_run(dag_id, {})) for dag_id in TIMED_DAGS]
        for dag_id, run_id in runs:
            await_condition(partial(ended, airflow, dag_id, run_id), f"{dag_id} to end")


def _pause(dags: Sequence[str], paused: bool) -> None:
    """Pause the scheduled DAGs: business time is stepped, and they would decide in the middle of a day."""
    airflow = airflow_of("pipeline", load_settings())
    for dag_id in dags:
        await_condition(partial(airflow.pause, dag_id, paused), f"the DAG {dag_id} to be known")


def _python(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken("COMMAND_FAILED", f"{words[0]}: {done.stderr.strip()[-500:]}")
