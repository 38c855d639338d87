"""Runs that failed although they might have succeeded: run again, at most three times, then a break for a person."""

from __future__ import annotations

from datetime import date

from issuance.airflow.client import Airflow
from issuance.breaks.settle import settle_breaks
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings, environment

WATCHED = ("cohort_intake", "card_dispatch")
CLEARED_AT_MOST = 3


def recover_runs(settings: Settings, tries_a_round: int) -> dict[str, list[str]]:
    """Clear failed runs whose tasks used up their tries on Retryable errors; open PIPELINE_FAILED for the others.

    A Permanent error fails a task before its tries are used up (see dags/wiring), so the tries tell the two apart, and
    how often a run was cleared. Returns runs by what was done: cleared, given up.
    """
    airflow = Airflow.log_in(settings.airflow_api_url, "pipeline", environment()["AIRFLOW_USER_PIPELINE_PASSWORD"])
    done: dict[str, list[str]] = {"cleared": [], "given up": []}
    for dag_id in WATCHED:
        for run_id in airflow.failed_runs(dag_id):
            failed = airflow.attempts_of_failed(dag_id, run_id)
            exhausted = bool(failed) and all(made >= allowed for _, made, allowed in failed)
            rounds = max((made for _, made, _ in failed), default=0) // tries_a_round
            if exhausted and rounds <= CLEARED_AT_MOST:
                airflow.clear_failed(dag_id, run_id)
                done["cleared"].append(f"{dag_id} {run_id}")
            else:
                done["given up"].append(f"{dag_id} {run_id}")
    with transaction(settings.database_url) as connection:
        note_failed_runs(connection, done["given up"], business_day(connection))
    return done


def note_failed_runs(connection: Connection, runs: list[str], day: date) -> int:
    """One break for each of the runs ("DAG RUN_ID") that stand failed, of the cohort that its id names."""
    connection.execute("DROP TABLE IF EXISTS found_break")
    connection.execute(
        "CREATE TEMP TABLE found_break ON COMMIT DROP AS"
        " SELECT 'PIPELINE_FAILED' AS kind, coalesce(c.cohort_no, 0) AS cohort_no, NULL::uuid AS card_ref,"
        " NULL::smallint AS attempt, run AS reference, 'success' AS expected, 'failed' AS actual"
        " FROM unnest(%s::text[]) AS run"
        " LEFT JOIN cohort c ON c.cohort_id = regexp_replace(split_part(run, ' ', 2), '\\.[0-9]+$', '')",
        (runs,),
    )
    return settle_breaks(connection, day, ["PIPELINE_FAILED"], "true")
