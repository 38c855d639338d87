"""What time alone brings about: unanswered jobs, gaps in sequences, hand-over counts, re-make jobs, notice batches."""

from __future__ import annotations

from datetime import date
from typing import Any

from issuance.clock import add_working_days
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal import Sealer
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.outbox import Outgoing, write_outbox
from issuance.partners import load_registry
from issuance.policy import Policy, load_policy
from issuance.reconcile.statements import ask_missing_chunks
from issuance.settings import Settings
from issuance.tracking.breaks import settle_breaks
from issuance.tracking.decide import decide
from issuance.tracking.notices import send_notices
from issuance.wire.notices import partner_notice


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
        written += watch_handovers(connection, day)
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
    return _write_new(connection, messages, day) + _gap_breaks(connection, day)


def _write_new(connection: Connection, messages: list[Outgoing], day: date) -> int:
    """Write messages; returns how many were not written before."""
    before = connection.execute(
        "SELECT count(*) FROM outbox WHERE ce_id = ANY (%s)", ([message.ce_id for message in messages],)
    ).fetchone() or (0,)
    write_outbox(connection, messages, day)
    return len(messages) - int(before[0])


def _gap_breaks(connection: Connection, day: date) -> int:
    _found(
        connection,
        "SELECT 'SEQUENCE_GAP', 0, NULL::uuid, NULL::smallint, partner || '/' || stream, 'every sequence',"
        " (int8multirange(int8range(1, upper(seen))) - seen)::text FROM partner_stream"
        " WHERE NOT isempty(int8multirange(int8range(1, upper(seen))) - seen)",
    )
    return settle_breaks(connection, day, ["SEQUENCE_GAP"], "true")


def watch_jobs(connection: Connection, policy: Policy, day: date) -> int:
    """A break for every job without an answer after the policy's working days; it closes when the answer comes."""
    sent = connection.execute(
        "SELECT DISTINCT sent_on FROM sealed_job JOIN job USING (job_id)"
        " WHERE job_accepted IS NULL AND job_refused IS NULL"
    ).fetchall()
    late = [sent_on for (sent_on,) in sent if add_working_days(sent_on, policy.answer_days) < day]
    _found(
        connection,
        "SELECT 'JOB_UNANSWERED', j.cohort_no, NULL::uuid, NULL::smallint, job_id, 'an answer', 'none'"
        " FROM sealed_job JOIN job j USING (job_id) WHERE job_accepted IS NULL AND job_refused IS NULL"
        " AND sent_on = ANY (%(late)s::date[])",
        {"late": late},
    )
    return settle_breaks(connection, day, ["JOB_UNANSWERED"], "true")


def watch_handovers(connection: Connection, day: date) -> int:
    """Three-way match of a hand-over: what the giver signed, what was listed, what the receiver signed."""
    _found(
        connection,
        """
        SELECT 'HANDOVER_COUNT', min(c.cohort_no), NULL::uuid, NULL::smallint, consignment_id,
               coalesce(min((mark_content(handed) ->> 'handover_count')::int)::text, 'not signed'),
               count(*) || ' listed, ' || coalesce(
                   min((mark_content(received_at_place) ->> 'handover_count')::int)::text, 'not') || ' received'
        FROM (SELECT *, coalesce(handed_over, sent_back) AS handed FROM carriage
              WHERE consignment_id LIKE 'H:%%') h JOIN card c USING (card_ref)
        GROUP BY consignment_id
        HAVING count(received_at_place) > 0 AND (
            count(*) <> coalesce(min((mark_content(handed) ->> 'handover_count')::int), -1)
            OR count(received_at_place) <> count(*)
            OR count(received_at_place) <> min((mark_content(received_at_place) ->> 'handover_count')::int))
        """,
        {},
    )
    return settle_breaks(connection, day, ["HANDOVER_COUNT"], "true")


def _found(connection: Connection, query: str, values: dict[str, Any] | None = None) -> None:
    """Make `found_break` of a query in its column order."""
    connection.execute("DROP TABLE IF EXISTS found_break")
    connection.execute(
        "CREATE TEMP TABLE found_break ON COMMIT DROP AS SELECT * FROM (" + query + ")"
        " AS found (kind, cohort_no, card_ref, attempt, reference, expected, actual)",
        values,
    )


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
