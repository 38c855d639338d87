"""
### Activation reconciliation

Compares the newest complete statements with the ledger, opens and closes breaks, closes cohorts that have ended and
whose closing equations hold, reopens those that no longer do, and makes the report of the last whole day.

**When it fails**: clear it; every step is idempotent. A cohort that stays open: `issuance cohort statement COHORT`
names what differs, `issuance break list --cohort COHORT` what to do next.

Owner: issuance operations.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import CronTriggerTimetable, dag, task

from dags.wiring import DEFAULTS, Tag, by_error_tree


@dag(
    schedule=CronTriggerTimetable("30 20 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=[Tag.RECONCILE.value],
    doc_md=__doc__,
)
def activation_reconciliation() -> None:
    """Reconcile, close, report."""

    @task
    @by_error_tree
    def reconcile_statements() -> int:
        from issuance.reconcile.activation import reconcile_activation
        from issuance.settings import load_settings

        return reconcile_activation(load_settings())

    @task
    @by_error_tree
    def close_ended(differences: int) -> list[str]:
        from issuance.reconcile.closing import close_cohorts
        from issuance.settings import load_settings

        return close_cohorts(load_settings())

    @task
    @by_error_tree
    def report_day(closed: list[str]) -> str:
        from issuance.reconcile.daily_report import make_daily_report
        from issuance.settings import load_settings

        return str(make_daily_report(load_settings())["csv_object"])

    report_day(close_ended(reconcile_statements()))


activation_reconciliation()
