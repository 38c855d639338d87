"""Jobs that their factory has not answered, and reminders to factories."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused

KIND = "JOB_UNANSWERED"
UNANSWERED = "job_accepted IS NULL AND job_refused IS NULL"
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
FROM sealed_job JOIN job j USING (job_id) WHERE {UNANSWERED} AND sent_on = ANY (%(late)s::date[])
"""
OWED = f"""
SELECT reference, answers_for, 'answer' FROM break WHERE kind = '{KIND}' AND closed_on IS NULL
UNION ALL
SELECT DISTINCT p.job_id, p.factory, 'overdue' FROM break b JOIN card c USING (card_ref)
JOIN plastic p ON (p.card_ref, p.attempt) = (c.card_ref, c.effective)
WHERE b.kind = 'OVERDUE' AND b.closed_on IS NULL AND p.job_id IS NOT NULL AND NOT {paused("p.factory")}
"""


def watch_jobs(connection: Connection, city: City, day: date) -> int:
    """A break for every job without an answer after the policy's working days; it closes when the answer arrives.

    The factory is reminded once of each unanswered job, and of each with overdue plastics.
    """
    sent = connection.execute(f"SELECT DISTINCT sent_on FROM sealed_job JOIN job USING (job_id) WHERE {UNANSWERED}")
    patience = city.policy.answer_days
    late = [sent_on for (sent_on,) in sent if city.calendar.add_working_days(sent_on, patience) < day]
    turned = settle(connection, day, [KIND], LATE, {"late": late})
    told = [
        partner_notice(factory, "MISSING", None, {"job_id": job_id}, f"{job_id}/{what}")
        for job_id, factory, what in connection.execute(OWED).fetchall()
    ]
    return turned + write_outbox(connection, told, day)
