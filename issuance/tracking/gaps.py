"""Gaps in partners' sequences: requested once a day, and a break until they are filled."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused

KIND = "SEQUENCE_GAP"
GAPS = "sequence_gaps(seen)"
OPEN = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="partner || '/' || stream",
        expected="'every sequence'",
        actual=f"{GAPS}::text",
        answers_for="partner",
        waits_on="partner",
    )
}
FROM partner_stream WHERE NOT isempty({GAPS})
"""


def watch_gaps(connection: Connection, day: date) -> int:
    """Request the gaps in partners' sequences, each once a day; a break stays open until they are filled. Paused
    partners are not asked. Returns how much was written."""
    rows = connection.execute(
        f"UPDATE partner_stream p SET asked = asked + gaps, asked_on = %(day)s FROM ("
        f" SELECT partner, stream, {GAPS} AS gaps FROM partner_stream WHERE NOT {paused('partner')}) g"
        " WHERE (p.partner, p.stream) = (g.partner, g.stream) AND NOT isempty(gaps)"
        " AND (NOT gaps <@ asked OR p.asked_on < %(day)s) RETURNING p.partner, p.stream, gaps",
        {"day": day},
    ).fetchall()
    messages = [
        partner_notice(
            partner, "MISSING", None, {"stream": stream, "first": gap.lower, "last": gap.upper - 1},
            f"{stream}/{gap.lower}/{gap.upper}/{day}",
        )
        for partner, stream, gaps in rows
        for gap in gaps
    ]  # fmt: skip
    return write_outbox(connection, messages, day) + settle(connection, day, [KIND], OPEN)
