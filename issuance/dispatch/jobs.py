"""The life of a job as data: its states, each the first whose condition holds over the job's facts and plastics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import rows_of


@dataclass(frozen=True)
class JobState:
    """A state of a job: the SQL condition over `job` j, `sealed_job` s, `release` r and the counts n that gives it."""

    name: str
    when: str
    zh: str
    en: str


JOB_STATES: tuple[JobState, ...] = (
    JobState("cancelled", "j.cancelled_on IS NOT NULL AND n.cancelled = j.card_count", "已取消", "cancelled in time"),
    JobState("cancelling", "j.cancelled_on IS NOT NULL", "取消中", "a cancel was sent, no answer yet"),
    JobState("refused", "j.job_refused IS NOT NULL AND n.accepted = 0", "已拒绝", "refused as a whole"),
    JobState(
        "complete", "n.accepted > 0 AND n.finished = j.card_count", "已完成", "every plastic handed over or ended"
    ),
    JobState("in_production", "n.made > 0", "制卡中", "the first plastics are made"),
    JobState("accepted_in_part", "n.accepted > 0 AND n.refused > 0", "部分受理", "some plastics were refused"),
    JobState("accepted", "n.accepted > 0", "已受理", "accepted whole"),
    JobState("received", "j.job_received IS NOT NULL", "已接收", "fetched; hash, count and hash total agree"),
    JobState("sent", "s.sent_on IS NOT NULL", "已发送", "sealed and sent"),
    JobState("released", "r.wave IS NOT NULL", "已放行", "released, not sealed yet"),
    JobState("planned", "true", "已计划", "waiting for its release"),
)
ENDED = ("cancelled", "refused", "complete")

COUNTS = """
SELECT count(*) FILTER (WHERE refusal IS NULL AND coalesce(p.item_accepted, j.job_accepted) IS NOT NULL) AS accepted,
       count(refusal) AS refused, count(*) FILTER (WHERE mark_reason(refusal) = 'CANCELLED') AS cancelled,
       count(p.made) AS made, count(p.spoiled) AS spoiled, count(*) FILTER (WHERE handed) AS handed_over,
       count(*) FILTER (WHERE refusal IS NOT NULL OR handed OR coalesce(p.spoiled, p.destroyed, p.ss_cancelled)
                        IS NOT NULL) AS finished
FROM plastic p, LATERAL (SELECT
    coalesce(p.item_refused, CASE WHEN p.item_accepted IS NULL AND j.job_accepted IS NULL THEN j.job_refused END)
        AS refusal,
    EXISTS (SELECT FROM plastic_in_consignment a WHERE (a.card_ref, a.attempt) = (p.card_ref, p.attempt)
            AND a.handed_over IS NOT NULL) AS handed) f
WHERE p.job_id = j.job_id
"""
"""What became of a job's plastics (of one job j); columns in the order of their life cycle."""

LIST = f"""
SELECT j.job_id, c.city, j.factory, j.bank, j.wave, j.card_count, j.due_on, j.start_on,
       CASE {" ".join(f"WHEN {state.when} THEN '{state.name}'" for state in JOB_STATES)} END AS state,
       s.resent, n.accepted, n.refused, n.made, n.spoiled, n.handed_over
FROM job j JOIN cohort c USING (cohort_no) LEFT JOIN sealed_job s USING (job_id)
LEFT JOIN release r ON (r.cohort_no, r.wave) = (j.cohort_no, j.wave)
CROSS JOIN LATERAL ({COUNTS}) n
WHERE (%(cohort)s::text IS NULL OR c.cohort_id = %(cohort)s) AND (%(job)s::text IS NULL OR j.job_id = %(job)s)
ORDER BY j.job_id
"""


def list_jobs(connection: Connection, cohort_id: str | None = None, job_id: str | None = None) -> list[dict[str, Any]]:
    """Jobs with their state, the counts of their plastics, and whether they are late on the business day."""
    day = business_day(connection)
    rows = rows_of(connection, LIST, {"cohort": cohort_id, "job": job_id})
    return [{**row, "late": _is_late(row, day)} for row in rows]


def _is_late(row: dict[str, Any], day: date) -> bool:
    return bool(row["due_on"] < day and row["state"] not in ENDED)
