"""Runs that failed on a retryable error: retried at most three times, then a break for a person."""

from __future__ import annotations

from datetime import date

from issuance.airflow.client import Airflow
from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings, environment

WATCHED = ("cohort_intake", "card_dispatch")
CLEARED_AT_MOST = 3


def recover_runs(settings: Settings, tries_a_round: int) -> dict[str, list[tuple[str, str]]]:
    """Clear failed runs whose tasks used up their tries on Retryable errors; open PIPELINE_FAILED for the others.

    A Permanent error fails a task before its tries are used up (see dags/wiring), so the tries tell the two apart, and
    how often a run was cleared. Returns runs by what was done: cleared, given up.
    """
    airflow = Airflow.log_in(settings.airflow_api_url, "pipeline", environment()["AIRFLOW_USER_PIPELINE_PASSWORD"])
    done: dict[str, list[tuple[str, str]]] = {"cleared": [], "given up": []}
    for dag_id in WATCHED:
        for run_id in airflow.failed_runs(dag_id):
            failed = airflow.attempts_of_failed(dag_id, run_id)
            exhausted = bool(failed) and all(made >= allowed for _, made, allowed in failed)
            rounds = max((made for _, made, _ in failed), default=0) // tries_a_round
            if exhausted and rounds <= CLEARED_AT_MOST:
                airflow.clear_failed(dag_id, run_id)
                done["cleared"].append((dag_id, run_id))
            else:
                done["given up"].append((dag_id, run_id))
    with transaction(settings.database_url) as connection:
        note_failed_runs(connection, done["given up"], business_day(connection))
    return done


FAILED = f"""
SELECT {
    difference(
        "'PIPELINE_FAILED'",
        cohort_no="coalesce(c.cohort_no, 0)",
        reference="dag || ' ' || run",
        expected="'success'",
        actual="'failed'",
    )
}
FROM unnest(%(dags)s::text[], %(runs)s::text[]) AS failed (dag, run)
LEFT JOIN cohort c ON c.cohort_id = regexp_replace(run, '\\.[0-9]+$', '')
"""
"""A run's id is its cohort's id and the number of the submission or wave."""


def note_failed_runs(connection: Connection, runs: list[tuple[str, str]], day: date) -> int:
    """One break for each failed run (dag, run id), of the cohort that its id names."""
    values = {"dags": [dag for dag, _ in runs], "runs": [run for _, run in runs]}
    return settle(connection, day, ["PIPELINE_FAILED"], FAILED, values)
