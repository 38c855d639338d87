"""Intake and dispatch of many small cohorts at once, by the desk and the functions that the DAGs' tasks call.

An Airflow task has seconds of overhead, which would dominate a dozen cohorts of a few cards. A single cohort
always goes through Airflow (demo.run); what happens after dispatch is the same either way.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from issuance.city.partners import load_registry
from issuance.demo.people import as_user
from issuance.demo.plays import OPENS, Play
from issuance.demo.waiting import await_condition
from issuance.dispatch.plan import plan_factories
from issuance.dispatch.seal import Sealer, finish_dispatch
from issuance.dispatch.wanted import want_wave
from issuance.errors import Broken
from issuance.intake.in_process import is_registered, take_in_whole
from issuance.ledger.audit import PIPELINE
from issuance.ledger.connection import transaction
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
        Broken: a cohort was not accepted.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(partial(submit_play, settings, wait=False), plays.keys(), plays.values()))
    for play in plays:
        await_condition(partial(is_registered, settings, play.cohort_id), "the submission to be registered")
        if not take_in_whole(settings, play.cohort_id):
            raise Broken("INTAKE_NOT_ACCEPTED", f"not accepted as expected: issuance cohort show {play.cohort_id}")
        with transaction(settings.database_url) as connection:
            want_wave(connection, play.cohort_id, 1, PIPELINE)
        plan_factories(settings, play.cohort_id, 1)
        as_user("releaser", "cohort", "release", play.cohort_id, "1")
        Sealer(settings).seal_wave(play.cohort_id, 1)
        finish_dispatch(settings, play.cohort_id, 1)
