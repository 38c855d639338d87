"""Jobs without an answer of their factory, and factories that are told what they owe."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import find_breaks, settle_breaks
from issuance.city.calendar import add_working_days
from issuance.city.policy import Policy
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused


def watch_jobs(connection: Connection, policy: Policy, day: date) -> int:
    """A break for every job without an answer after the policy's working days; it closes when the answer comes.

    The factory is told once of each job that it owes an answer to, and of each that holds overdue plastics.
    """
    sent = connection.execute(
        "SELECT DISTINCT sent_on FROM sealed_job JOIN job USING (job_id)"
        " WHERE job_accepted IS NULL AND job_refused IS NULL"
    ).fetchall()
    late = [sent_on for (sent_on,) in sent if add_working_days(sent_on, policy.answer_days) < day]
    find_breaks(
        connection,
        "SELECT 'JOB_UNANSWERED', j.cohort_no, NULL::uuid, NULL::smallint, job_id, 'an answer',"
        " CASE WHEN job_received IS NULL THEN 'not received' ELSE 'received only' END,"
        " j.factory FROM sealed_job JOIN job j USING (job_id) WHERE job_accepted IS NULL AND job_refused IS NULL"
        " AND sent_on = ANY (%(late)s::date[])",
        {"late": late},
    )
    owed = connection.execute("SELECT reference, waits_on, 'answer' FROM found_break").fetchall()
    owed += connection.execute(
        "SELECT DISTINCT p.job_id, p.factory, 'overdue' FROM break b JOIN card c USING (card_ref)"
        " JOIN plastic p ON (p.card_ref, p.attempt) = (c.card_ref, c.effective)"
        f" WHERE b.kind = 'OVERDUE' AND b.closed_on IS NULL AND p.job_id IS NOT NULL AND NOT {paused('p.factory')}"
    ).fetchall()
    told = [
        partner_notice(factory, "MISSING", None, {"job_id": job_id}, f"{job_id}/{what}")
        for job_id, factory, what in owed
    ]
    return settle_breaks(connection, day, ["JOB_UNANSWERED"], "true") + write_outbox(connection, told, day)
