"""
### Retention

Erases the personal data of every cohort whose day has come (the policy's days after closing): the key first, then the
objects, then the hashes; each with a certificate. Completes interrupted erasures. When run by hand, `cohort_id`
names one cohort.

**When it fails**: clear it; every step is idempotent. NOT_CLOSED, BREAKS_OPEN and NOT_DUE say why a cohort that was
named is not erased; `issuance retention list` shows all of them.

Owner: issuance operations.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from dags.wiring import DEFAULTS, Tag, by_error_tree


@dag(
    schedule=CronTriggerTimetable("30 21 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={"cohort_id": Param("", type="string", title="批次，空为全部到期的 / cohort, empty: all that are due")},
    tags=[Tag.RETENTION.value],
    doc_md=__doc__,
)
def retention() -> None:
    """Erase what is due."""

    @task
    @by_error_tree
    def erase_due() -> list[int]:
        from issuance.ledger.audit import PIPELINE
        from issuance.retention.cohorts import run_retention
        from issuance.settings import load_settings

        context: Any = get_current_context()
        named = [name for name in (context["params"]["cohort_id"],) if name]
        return [found["certificate"] for found in run_retention(load_settings(), PIPELINE, named)]

    erase_due()


retention()
