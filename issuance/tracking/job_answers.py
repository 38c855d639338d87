"""Jobs that their factory has not answered, and reminders to factories."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.ledger.connection import Connection
from issuance.tracking.fold import stands
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused

KIND = "JOB_UNANSWERED"
UNANSWERED = """
j.job_accepted IS NULL AND j.job_refused IS NULL AND EXISTS (
    SELECT FROM job_item i JOIN plastic p USING (card_ref, attempt)
    WHERE i.job_id = j.job_id AND coalesce(p.item_accepted, p.item_refused, p.made, p.spoiled) IS NULL
    AND NOT EXISTS (SELECT FROM request q WHERE (q.card_ref, q.attempt, q.kind, q.ending)
                    = (p.card_ref, p.attempt, 'CANCEL', 'waived')))
"""
"""Whether a job (j) is not answered: neither as a whole, nor each of its items, nor is its cancel waived."""
LATE = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="job_id",
        expected="'an answer'",
        actual="CASE WHEN job_received IS NULL THEN 'not received' ELSE 'received only' END",
        cohort_no="j.cohort_no",
        answers_for="j.factory",
        waits_on="j.factory",
    )
}
FROM sealed_job JOIN job j USING (job_id) WHERE sent_on = ANY (%(late)s::date[]) AND {UNANSWERED}
"""
CONFLICTS = f"""
SELECT {
    difference(
        "'CONFLICT'",
        reference="j.job_id || ' ' || two.milestone",
        expected="'one value'",
        actual="'two values'",
        cohort_no="j.cohort_no",
        answers_for="j.factory",
    )
}
FROM job j CROSS JOIN LATERAL (SELECT f.milestone FROM fact f WHERE f.job_id = j.job_id AND f.subject = 'job'
    AND {stands("f")} GROUP BY f.milestone HAVING min(f.mark) <> max(f.mark)) two
WHERE j.conflict
"""
OWED = f"""
SELECT reference, answers_for, 'answer' FROM break WHERE kind = '{KIND}' AND closed_on IS NULL
UNION ALL
SELECT DISTINCT p.job_id, p.factory, 'overdue' FROM break b JOIN card c USING (card_ref)
JOIN plastic p ON (p.card_ref, p.attempt) = (c.card_ref, c.effective)
WHERE b.kind = 'OVERDUE' AND b.closed_on IS NULL AND p.job_id IS NOT NULL AND NOT {paused("p.factory")}
"""


def watch_jobs(connection: Connection, city: City, day: date) -> int:
    """A break for every conflict of a job's facts, and for every job without an answer after its working days.

    That closes when the answer arrives, or item by item. The factory is reminded once of each unanswered job, and of
    each with overdue plastics.
    """
    sent = connection.execute(
        "SELECT DISTINCT sent_on FROM sealed_job JOIN job USING (job_id)"
        " WHERE job_accepted IS NULL AND job_refused IS NULL"
    )
    patience = city.policy.answer_days
    late = [sent_on for (sent_on,) in sent if city.calendar.add_working_days(sent_on, patience) < day]
    turned = settle(connection, day, [KIND], LATE, {"late": late})
    turned += settle(connection, day, ["CONFLICT"], CONFLICTS, scope="card_ref IS NULL")
    told = [
        partner_notice(factory, "MISSING", None, {"job_id": job_id}, f"{job_id}/{what}")
        for job_id, factory, what in connection.execute(OWED).fetchall()
    ]
    return turned + write_outbox(connection, told, day)
