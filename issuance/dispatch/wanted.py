"""Waves before they are planned: the row that says who wants one (design, principle 10)."""

from __future__ import annotations

from issuance.errors import Refused
from issuance.ledger.connection import Connection

SUBMITTERS = (
    "SELECT coalesce(array_agg(DISTINCT submitted_by ORDER BY submitted_by), '{}') FROM submission s"
    " WHERE s.cohort_no = c.cohort_no"
)


def want_wave(connection: Connection, cohort_id: str, wave: int, user: str) -> str:
    """Write the row of a wave before it is planned: who wants it. Returns who wanted it first. Locks the cohort.

    Its run plans it (`plan_wave`); a run without this row plans nothing.
    """
    connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, plastics, forecast)"
        f" SELECT cohort_no, %s, %s, ({SUBMITTERS}), 0, '{{}}' FROM cohort c WHERE cohort_id = %s"
        " ON CONFLICT DO NOTHING",
        (wave, user, cohort_id),
    )
    return wanted_by(connection, cohort_id, wave)


def wanted_by(connection: Connection, cohort_id: str, wave: int) -> str:
    """Who wanted a wave.

    Raises:
        Refused: NO_PLAN, nobody did.
    """
    row = connection.execute(
        "SELECT planned_by FROM wave JOIN cohort USING (cohort_no) WHERE (cohort_id, wave) = (%s, %s)",
        (cohort_id, wave),
    ).fetchone()
    if row is None:
        raise Refused(
            "NO_PLAN",
            f"账本中没有批次 {cohort_id} 的第 {wave} 制卡批：请在业务台编制（issuance cohort plan），"
            f"不要直接启动运行。 / the ledger has no wave {wave} of {cohort_id}: plan it at the desk"
            " (issuance cohort plan) instead of starting a run.",
        )
    return str(row[0])
