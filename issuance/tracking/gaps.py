"""Gaps in partners' sequences: asked for once a day, and a break until they are filled."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import find_breaks, settle_breaks
from issuance.ledger.connection import Connection
from issuance.reconcile.statements import ask_missing_chunks
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice


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
