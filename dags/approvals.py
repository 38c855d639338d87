"""Tasks that wait for a person's act at the desk: the release of a wave, and intake past its warning threshold.

The act is a row in the ledger. These tasks belong to the desk's service user alone, which answers them once the row
stands; what they do next is read from the ledger, so neither an answer nor a task set to success decides anything.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseOperator, BaseOperatorLink, Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags.wiring import by_error_tree


class DeskLink(BaseOperatorLink):
    """业务台 / desk: where the decision is made."""

    name = "业务台 / desk"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """The desk's page about the run's cohort; run id = cohort.number."""
        from issuance.ledger.connection import transaction
        from issuance.settings import load_settings
        from issuance.users.register import read_service

        cohort_id, _, number = str(getattr(ti_key, "run_id", "")).rpartition(".")
        with transaction(load_settings().database_url) as connection:
            service = read_service(connection)
        return service.link(cohort_id, getattr(ti_key, "dag_id", ""), number)


class DeskApproval(ApprovalOperator):
    """Waits until the ledger holds the decision that the run needs; `matter` is a key of MATTERS."""

    operator_extra_links = (DeskLink(),)

    def __init__(self, *, matter: str, **values: Any) -> None:
        super().__init__(**values)
        self.matter = matter

    @by_error_tree
    def execute(self, context: Context) -> Any:
        """Ask, unless the ledger holds the decision already."""
        from issuance.ledger.connection import transaction
        from issuance.settings import load_settings
        from issuance.users.register import read_service

        conf, run = context["dag_run"].conf or {}, context["dag_run"]
        is_decided, describe = MATTERS[self.matter]
        if is_decided(conf):
            return None
        with transaction(load_settings().database_url) as connection:
            service = read_service(connection)
        self.assigned_users = [{"id": service.user_id, "name": service.name}]
        link = service.link(conf["cohort_id"], run.dag_id, str(run.run_id).rpartition(".")[2])
        self.body = f"{describe(conf)}\n\n[在业务台决定 / decide at the desk]({link})"
        return super().execute(context)

    @by_error_tree
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on by what the ledger says; an answer without a decision in the ledger is none, and it is asked again."""
        is_decided, _ = MATTERS[self.matter]
        if not is_decided(context["dag_run"].conf or {}):
            raise AirflowException("账本中尚无决定：请在业务台决定。 / nothing is decided yet: decide at the desk.")


def wave_is_released(conf: dict[str, Any]) -> bool:
    """Whether the run's wave is released; skips one that was refused, or that there was nothing to plan for.

    Sealing asks the ledger for the release row in any case.
    """
    from issuance.dispatch.release import wave_state
    from issuance.settings import load_settings

    state = wave_state(load_settings(), conf["cohort_id"], int(conf["wave"]))
    if state in ("refused", "absent"):
        raise AirflowSkipException(f"wave {conf['wave']} of {conf['cohort_id']}: {state}")
    return state == "released"


def describe_wave(conf: dict[str, Any]) -> str:
    """Jobs, finishing days, cards that will breach (Markdown)."""
    from issuance.dispatch.release import describe_wave as described
    from issuance.settings import load_settings

    return described(load_settings(), conf["cohort_id"], int(conf["wave"]))


def intake_goes_on(conf: dict[str, Any]) -> bool:
    """Whether nobody has to be asked (any more); skips a submission that is refused or withdrawn."""
    from issuance.intake.session import submission_state
    from issuance.settings import load_settings

    state = submission_state(load_settings(), conf["cohort_id"], int(conf["submission"]))
    if state == "REFUSED":
        raise AirflowSkipException(f"submission {conf['submission']} of {conf['cohort_id']} is refused")
    return state != "WAITING_FOR_OPERATOR"


def describe_submission(conf: dict[str, Any]) -> str:
    """Which submission; its Data Docs are linked beside it."""
    return (
        f"批次 {conf['cohort_id']} 第 {conf['submission']} 次提交的隔离行超过警戒线。"
        f" / submission {conf['submission']} of {conf['cohort_id']} is past the warning threshold."
    )


MATTERS = {
    "release": (wave_is_released, describe_wave),
    "intake": (intake_goes_on, describe_submission),
}
"""Matter: whether it is decided, and what a person should know before deciding it."""


def is_decided(dag_id: str, cohort_id: str, number: int) -> bool:
    """Whether what a run waits for is decided, one way or the other; run id = cohort.number."""
    from issuance.dispatch.release import wave_state
    from issuance.intake.session import submission_state
    from issuance.settings import load_settings

    if dag_id == "card_dispatch":
        return wave_state(load_settings(), cohort_id, number) not in ("wanted", "waiting")
    return submission_state(load_settings(), cohort_id, number) != "WAITING_FOR_OPERATOR"
