"""Intake and dispatch of many small cohorts at once, by the functions that the DAGs' tasks call, without their runs.

A task of Airflow costs seconds of its own, which a dozen cohorts of a few cards would mostly consist of. One cohort
always goes through Airflow (demo.run); what happens to it after dispatch is the same either way.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from issuance.demo.people import as_user
from issuance.demo.plays import OPENS, Play
from issuance.demo.waiting import await_condition
from issuance.dispatch.plan import plan_factories
from issuance.dispatch.release import release_wave
from issuance.dispatch.seal import Sealer, finish_dispatch
from issuance.errors import Broken
from issuance.intake.accept import accept_part, finish_submission
from issuance.intake.decide_rows import decide_rows
from issuance.intake.session import list_parts, open_intake
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import transaction
from issuance.partners import load_registry
from issuance.settings import Settings


def submit_play(settings: Settings, play: Play, rows: int, wait: bool) -> str:
    """Submit a cohort as the demo's submitter, with the public command; returns the submission's state."""
    answer = as_user(
        "submitter", "submit", str(play.directory / "applications.csv"), "--cohort", play.cohort_id, "--city",
        load_registry(settings.partners_file).city, "--category", "retiree", "--opens", OPENS.isoformat(),
        "--declared", str(rows), "--json", *(["--wait"] if wait else []),
    )  # fmt: skip
    return str(json.loads(answer)["state"]).upper()


def dispatch_directly(settings: Settings, plays: dict[Play, int]) -> None:
    """Take in and dispatch cohorts (and the rows of each) in this process.

    Raises:
        Broken: a cohort is not accepted.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(partial(submit_play, settings, wait=False), plays.keys(), plays.values()))
    for play in plays:
        await_condition(partial(_registered, settings, play.cohort_id), "the submission to be registered")
        _take_in(settings, play.cohort_id)
        plan_factories(settings, play.cohort_id, 1, "pipeline")
        release_wave(settings, play.cohort_id, 1, "releaser")
        Sealer(settings).seal_wave(play.cohort_id, 1)
        finish_dispatch(settings, play.cohort_id, 1)


def _registered(settings: Settings, cohort_id: str) -> bool:
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = %s", (cohort_id,)
        ).fetchone()
    return row is not None


def _take_in(settings: Settings, cohort_id: str) -> None:
    intake = open_intake(settings, cohort_id, 0)
    parts = list_parts(intake)
    for part in parts:
        validate_part(intake, part)
    state = decide_rows(intake)
    if state != "VALIDATED":
        raise Broken("INTAKE_NOT_ACCEPTED", f"intake ended {state}: issuance cohort show {cohort_id}")
    for part in parts:
        accept_part(intake, part)
    finish_submission(intake)
