"""
### Cohort starter

Starts what the ledger says is due: intake of a registered submission, dispatch of an accepted cohort that has opened,
its next wave when what is released is nearly made.
Woken by `cohort-events`, with a timer as a safety net. Runs that wait for a decision that stands already are woken.
Runs that failed on a Retryable error are run again, at most three times; then, and after a Permanent error, a
PIPELINE_FAILED break names the run.

**When it fails**: nothing is lost, the next run asks the ledger again. `issuance cohort list` shows what waits.

Owner: issuance operations.
"""

from __future__ import annotations

import pendulum
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import AssetOrTimeSchedule, DeltaTriggerTimetable, dag, task

from dags.cohort_events import COHORT_EVENTS
from dags.wiring import DEFAULTS, EVERY, Tag, by_error_tree


@dag(
    schedule=AssetOrTimeSchedule(timetable=DeltaTriggerTimetable(EVERY), assets=[COHORT_EVENTS]),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=[Tag.INTAKE.value, Tag.DISPATCH.value],
    doc_md=__doc__,
)
def cohort_starter() -> None:
    """Ask the ledger, start runs; a run that already exists is left alone."""

    @task
    @by_error_tree
    def find_intakes() -> list[dict[str, object]]:
        from issuance.intake.pending import due_intakes
        from issuance.settings import load_settings

        return due_intakes(load_settings())

    @task
    @by_error_tree
    def find_dispatches() -> list[dict[str, object]]:
        from issuance.dispatch.openings import due_dispatches
        from issuance.settings import load_settings

        return due_dispatches(load_settings())

    @task
    @by_error_tree
    def recover_runs() -> dict[str, list[str]]:
        from issuance.airflow.recovery import recover_runs as recover
        from issuance.settings import load_settings

        return recover(load_settings(), DEFAULTS["retries"] + 1)

    @task
    @by_error_tree
    def wake_decided() -> list[tuple[str, str]]:
        from dags.approvals import is_decided
        from issuance.airflow.waking import wake_decided as wake
        from issuance.settings import load_settings
        from issuance.users.airflow_issuer import service_session

        return wake(service_session(load_settings()), is_decided)

    recover_runs()
    wake_decided()
    for dag_id, due in (("cohort_intake", find_intakes()), ("card_dispatch", find_dispatches())):
        TriggerDagRunOperator.partial(
            task_id=f"start_{dag_id}", trigger_dag_id=dag_id, skip_when_already_exists=True
        ).expand_kwargs(due)


cohort_starter()
