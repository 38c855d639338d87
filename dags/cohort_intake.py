"""
### Cohort intake

Takes one submission from sealed parts to accepted cards: parts validated side by side, one decision for all rows,
sealed blocks. Run id = cohort.submission; conf: cohort_id, submission.

**When it fails**: a part cannot be opened or a component is unavailable; clear the failed task, every step is
idempotent.
**When it waits**: past the policy's warning threshold a person decides at the desk (`issuance cohort continue` or
`refuse`), never the submitter to go on; past the refusal threshold, or when totals
differ, the submission is refused with its reason: `issuance cohort show COHORT`. What each rule found: the link
`Data Docs` of the task publish_data_docs.

Owner: issuance operations.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from dags.approvals import DeskApproval
from dags.data_docs import PublishDataDocs
from dags.wiring import DEFAULTS, Tag, by_error_tree


def _intake() -> Any:
    """The intake this run is about."""
    from issuance.intake.session import open_intake
    from issuance.settings import load_settings

    params = get_current_context()["params"]
    return open_intake(load_settings(), params["cohort_id"], int(params["submission"]))


@dag(
    schedule=None,
    catchup=False,
    default_args=DEFAULTS,
    params={"cohort_id": Param(type="string"), "submission": Param(0, type="integer", minimum=0)},
    tags=[Tag.INTAKE.value],
    doc_md=__doc__,
    render_template_as_native_obj=True,
)
def cohort_intake() -> None:
    """List parts, validate each, decide, publish what was found, ask when needed, accept each, finish."""

    @task
    @by_error_tree
    def list_parts() -> list[int]:
        from issuance.intake.session import list_parts as listed

        return listed(_intake())

    @task
    @by_error_tree
    def validate_part(part: int) -> dict[str, int]:
        from issuance.intake.validate_part import validate_part as validate

        return validate(_intake(), part)

    @task
    @by_error_tree
    def decide_rows(validated: Any) -> str:
        from issuance.intake.decide_rows import decide_rows as decide

        return decide(_intake())

    @task
    @by_error_tree
    def accept_part(part: int) -> int:
        from issuance.intake.accept import accept_part as accept

        return accept(_intake(), part)

    @task
    @by_error_tree
    def finish_submission(accepted: Any) -> dict[str, int]:
        from issuance.intake.accept import finish_submission as finish

        return finish(_intake())

    parts = list_parts()
    decided = decide_rows(validate_part.expand(part=parts))
    approval = DeskApproval(
        matter="intake",
        task_id="ask_operator",
        subject="隔离行过多，是否继续 / many rows are quarantined: {{ run_id }}",
    )
    accepted = accept_part.expand(part=parts)
    decided >> PublishDataDocs(task_id="publish_data_docs")
    decided >> approval >> accepted
    finish_submission(accepted)


cohort_intake()
