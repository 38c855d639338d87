"""Who may release a wave: the operators known to the ledger, except those who submitted or planned it."""

from __future__ import annotations

from issuance.dispatch.release import may_not_release
from issuance.errors import Refused
from issuance.ledger.connection import transaction
from issuance.settings import Settings


def approvers(settings: Settings, cohort_id: str, wave: int) -> list[dict[str, str]]:
    """The users to assign, as Airflow names them: id and name; never empty.

    Raises:
        Refused: nobody else may release.
    """
    barred = may_not_release(settings, cohort_id, wave)
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT airflow_id, name FROM operator WHERE NOT name = ANY (%s) ORDER BY name", (barred,)
        ).fetchall()
    if not rows:
        raise Refused(
            "NOBODY_MAY_RELEASE",
            "没有可放行的第二人：请另一位操作员先登录一次（issuance login），再重跑此任务（Clear）。"
            " / nobody else may release: another operator must log in once (issuance login), then clear this task.",
            barred=barred,
        )
    return [{"id": airflow_id, "name": name} for airflow_id, name in rows]
