"""What time alone brings about: silence of partners, gaps in sequences, hand-over counts, re-make jobs, notices."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import find_breaks, settle_breaks
from issuance.city.calendar import add_working_days
from issuance.city.partners import load_registry
from issuance.city.policy import Policy, load_policy
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal import Sealer
from issuance.ledger.connection import Connection, business_day, business_now, transaction
from issuance.reconcile.beyond_order import watch_making
from issuance.reconcile.lateness import watch_statements
from issuance.reconcile.statements import ask_missing_chunks
from issuance.settings import Settings
from issuance.tracking.custody import watch_custody
from issuance.tracking.decide import decide, request_notice
from issuance.tracking.decisions import UNANSWERED
from issuance.tracking.notices import send_notices
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused


def run_clocks(settings: Settings) -> int:
    """Decide, then all that time brings about; returns how much was written (0: at rest)."""
    registry = load_registry(settings.partners_file)
    policy = load_policy(settings.policies_dir, registry.city)
    written = decide(settings)
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        written += plan_remakes(connection, day)
        written += ask_missing(connection, day)
        written += watch_jobs(connection, policy, day)
        written += watch_custody(connection, policy, day, registry.hrss)
        written += watch_requests(connection, day)
        written += watch_making(connection, day)
        written += watch_statements(connection, registry, business_now(connection), day)
    written += seal_remakes(settings)
    written += send_notices(settings)
    return written


def ask_missing(connection: Connection, day: date) -> int:
    """Ask for gaps in partners' sequences and for missing chunks, each once a day; paused partners are not asked."""
    rows = connection.execute(
        "UPDATE partner_stream p SET asked = seen + gaps FROM ("
        " SELECT partner, stream, int8multirange(int8range(1, upper(seen))) - seen AS gaps FROM partner_stream"
        " WHERE partner NOT IN (SELECT partner FROM partner_standing WHERE paused_on IS NOT NULL)) g"
        " WHERE (p.partner, p.stream) = (g.partner, g.stream) AND NOT isempty(gaps) AND NOT gaps <@ asked"
        " RETURNING p.partner, p.stream, gaps"
    ).fetchall()
    messages = [
        partner_notice(
            partner, "MISSING", None, {"stream": stream, "first": gap.lower, "last": gap.upper - 1},
            f"{stream}/{gap.lower}/{gap.upper}/{day}",
        )
        for partner, stream, gaps in rows
        for gap in gaps
    ]  # fmt: skip
    messages += ask_missing_chunks(connection, day)
    return write_outbox(connection, messages, day) + _gap_breaks(connection, day)


def _gap_breaks(connection: Connection, day: date) -> int:
    find_breaks(
        connection,
        "SELECT 'SEQUENCE_GAP', 0, NULL::uuid, NULL::smallint, partner || '/' || stream, 'every sequence',"
        " (int8multirange(int8range(1, upper(seen))) - seen)::text, partner FROM partner_stream"
        " WHERE NOT isempty(int8multirange(int8range(1, upper(seen))) - seen)",
    )
    return settle_breaks(connection, day, ["SEQUENCE_GAP"], "true")


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


def watch_requests(connection: Connection, day: date) -> int:
    """A break for every request that stands unanswered past its due day; it closes when the answer comes.

    The partner is asked once more, under the same request_id.
    """
    find_breaks(
        connection,
        "SELECT 'REQUEST_OVERDUE', c.cohort_no, d.card_ref, d.attempt,"
        " d.card_ref || '/' || d.attempt || ' ' || d.occasion, 'an answer by ' || d.due_on, 'none', d.partner"
        " FROM decision d JOIN card c USING (card_ref) JOIN plastic p USING (card_ref, attempt)"
        f" WHERE d.kind = 'REQUEST' AND d.due_on < %(day)s AND {UNANSWERED}",
        {"day": day},
    )
    overdue = connection.execute(
        "SELECT d.partner, d.batch_id, split_part(d.occasion, ':', 1), min(d.reason), min(d.due_on),"
        " array_agg(ARRAY[d.card_ref::text, d.attempt::text] ORDER BY d.card_ref, d.attempt)"
        " FROM found_break f JOIN decision d ON d.kind = 'REQUEST' AND d.batch_id IS NOT NULL"
        " AND (d.card_ref, d.attempt) = (f.card_ref, f.attempt)"
        " AND f.reference = d.card_ref || '/' || d.attempt || ' ' || d.occasion GROUP BY 1, 2, 3"
    ).fetchall()
    again = [
        request_notice(partner, request_id, request, reason, due_on, [(r, int(n)) for r, n in plastics], "/overdue")
        for partner, request_id, request, reason, due_on, plastics in overdue
    ]
    return settle_breaks(connection, day, ["REQUEST_OVERDUE"], "true") + write_outbox(connection, again, day)


def seal_remakes(settings: Settings) -> int:
    """Seal and send the re-make jobs of released waves; returns how many."""
    with transaction(settings.database_url) as connection:
        waves = connection.execute(
            "SELECT DISTINCT cohort_id, wave FROM job JOIN cohort USING (cohort_no) LEFT JOIN sealed_job s"
            " USING (job_id, cohort_no, wave) WHERE remake AND s.job_id IS NULL ORDER BY 1, 2"
        ).fetchall()
    if not waves:
        return 0
    sealer = Sealer(settings)
    return sum(sealer.seal_wave(cohort_id, wave) for cohort_id, wave in waves)
