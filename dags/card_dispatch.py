"""
### Card dispatch

Plans a wave, waits for its release by a second person, seals its jobs and sends them. Run id = cohort.wave; conf:
cohort_id, wave. Re-makes are sent by the `clocks` DAG under the same release.

**When it waits**: the release or refusal is an act at the desk (`issuance cohort release`), by a user who neither
submitted nor planned; `wait_for_release` shows jobs, finishing days and the cards that will breach, and links to the
desk. It belongs to the desk's service user, who answers it once the release stands. Setting it to success releases
nothing.
**When it fails**: NO_PLAN means that nobody wanted this wave: plan it at the desk, a run by hand plans nothing;
NOT_RELEASED that there is no release row; OBJECT_* that a vault block cannot be read.

Owner: issuance operations.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from dags.approvals import DeskApproval
from dags.wiring import DEFAULTS, Tag, by_error_tree


@dag(
    schedule=None,
    catchup=False,
    default_args=DEFAULTS,
    params={"cohort_id": Param(type="string"), "wave": Param(1, type="integer", minimum=1)},
    tags=[Tag.DISPATCH.value],
    doc_md=__doc__,
)
def card_dispatch() -> None:
    """Plan, wait, seal by factory, finish."""

    @task
    @by_error_tree
    def plan_wave() -> list[str]:
        from issuance.dispatch.plan import plan_factories
        from issuance.settings import load_settings

        params = get_current_context()["params"]
        return plan_factories(load_settings(), params["cohort_id"], int(params["wave"]))

    @task
    @by_error_tree
    def seal_jobs(factory: str) -> int:
        from issuance.dispatch.seal import Sealer
        from issuance.settings import load_settings

        params = get_current_context()["params"]
        return Sealer(load_settings()).seal_wave(params["cohort_id"], int(params["wave"]), factory)

    @task
    @by_error_tree
    def finish_dispatch(sealed: Any) -> None:
        from issuance.dispatch.seal import finish_dispatch as finish
        from issuance.settings import load_settings

        params = get_current_context()["params"]
        finish(load_settings(), params["cohort_id"], int(params["wave"]))

    factories = plan_wave()
    approval = DeskApproval(matter="release", task_id="wait_for_release", subject="放行制卡批 / release {{ run_id }}")
    sealed = seal_jobs.expand(factory=factories)
    factories >> approval >> sealed
    finish_dispatch(sealed)


card_dispatch()
