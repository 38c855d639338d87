"""Approvals whose answer is written to the ledger: the release of a wave, and intake past its warning threshold."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags.wiring import by_error_tree

REASON = {"reason": Param("", type="string", title="原因 / reason")}


class ReleaseApproval(ApprovalOperator):
    """Waits for a second person whom the ledger allows to release; that user is recorded as the releaser.

    Setting this task to success releases nothing: sealing asks the ledger for the release row.
    """

    @by_error_tree
    def execute(self, context: Context) -> Any:
        """Assign the people who neither submitted nor planned, and show them the forecast.

        What is already in the ledger is not asked again: a slow scheduler can restart a resumed task after its answer
        was written. Nothing is asked if there was nothing to plan, either.
        """
        from issuance.dispatch.approvers import approvers
        from issuance.dispatch.release import describe_wave, wave_state
        from issuance.settings import load_settings

        conf = context["dag_run"].conf or {}
        state = wave_state(load_settings(), conf["cohort_id"], int(conf["wave"]))
        if state == "released":
            return None
        if state != "waiting":
            raise AirflowSkipException(f"wave {conf['wave']} of {conf['cohort_id']}: {state}")
        self.assigned_users = approvers(load_settings(), conf["cohort_id"], int(conf["wave"]))
        self.body = describe_wave(load_settings(), conf["cohort_id"], int(conf["wave"]))
        return super().execute(context)

    @by_error_tree
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the release, or the refusal with its reason; then let Airflow go on or skip.

        A refusal without a reason is not an answer: the task is retried and asks again.
        """
        from issuance.dispatch.release import refuse_wave, release_wave
        from issuance.settings import load_settings

        reason = str((event["params_input"] or {}).get("reason") or "").strip()
        if event["chosen_options"] != [self.APPROVE] and not reason:
            raise AirflowException("拒绝放行须写明原因，请重新答复。 / a refusal needs a reason; answer again.")
        answer = super().execute_complete(context, event)
        conf, user = context["dag_run"].conf or {}, answer["responded_by_user"]["name"]
        if answer["chosen_options"] == [self.APPROVE]:
            release_wave(load_settings(), conf["cohort_id"], int(conf["wave"]), user)
        else:
            refuse_wave(load_settings(), conf["cohort_id"], int(conf["wave"]), user, reason)
        return answer


class IntakeApproval(ApprovalOperator):
    """Asks a person only if the submission exceeds the policy's warning threshold."""

    @by_error_tree
    def execute(self, context: Context) -> Any:
        """Ask, or continue if nobody has to be asked; a refused submission stops here."""
        from issuance.intake.session import submission_state
        from issuance.settings import load_settings

        conf = context["dag_run"].conf or {}
        state = submission_state(load_settings(), conf["cohort_id"], int(conf["submission"]))
        if state == "REFUSED":
            raise AirflowSkipException(f"submission {conf['submission']} of {conf['cohort_id']} was refused")
        if state != "WAITING_FOR_OPERATOR":
            return None
        return super().execute(context)

    @by_error_tree
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record who continued, or refuse the submission; if its cohort was withdrawn meanwhile, stop."""
        from issuance.intake.session import answer_operator, submission_state
        from issuance.settings import load_settings

        answer = super().execute_complete(context, event)
        conf, user = context["dag_run"].conf or {}, answer["responded_by_user"]["name"]
        answer_operator(
            load_settings(),
            conf["cohort_id"],
            int(conf["submission"]),
            user,
            answer["chosen_options"] == [self.APPROVE],
        )
        state = submission_state(load_settings(), conf["cohort_id"], int(conf["submission"]))
        if state == "REFUSED" and answer["chosen_options"] == [self.APPROVE]:
            raise AirflowSkipException(f"submission {conf['submission']} of {conf['cohort_id']} is refused")
        return answer
