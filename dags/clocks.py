"""
### Clocks

Decides: re-makes, re-sends, cancellations, requests, notices, expiry, overdue cards, unanswered jobs, sequence gaps.
Facts are merged by the consumers; only this pass decides, every few minutes, or by hand.

**When it fails**: clear it. `issuance break list` shows what it found.

Owner: issuance operations.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DeltaTriggerTimetable, dag, task

from dags.wiring import DEFAULTS, EVERY, Tag, by_error_tree


@dag(
    schedule=DeltaTriggerTimetable(EVERY),
    start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=[Tag.TRACKING.value],
    doc_md=__doc__,
)
def clocks() -> None:
    """One pass."""

    @task
    @by_error_tree
    def run_clocks() -> int:
        from issuance.passes import run_clocks as run
        from issuance.settings import load_settings

        return run(load_settings())

    run_clocks()


clocks()
