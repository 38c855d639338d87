"""Breaks: differences that somebody must explain. Those that later evidence explains close themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from issuance.breaks.kinds import BREAK_KINDS
from issuance.breaks.messages import RETURNING, _messages
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.pauses import paused

FOUND = (
    "SELECT DISTINCT ON (kind, reference) md5(kind || '|' || reference)::uuid AS break_id, f.* FROM found_break f"
    " ORDER BY kind, reference"
)
"""The differences that a pass has found, by the id of their break."""

DIFFERS = "(b.expected, b.actual) IS DISTINCT FROM (f.expected, f.actual)"


def settle_breaks(connection: Connection, day: date, kinds: Sequence[str], scope: str) -> int:
    """Bring the breaks of these kinds within a scope in line with the table `found_break`.

    A difference that comes back opens its break again. What a person has explained stays closed while the difference
    stands as it was: it is opened again when the difference has changed, or had gone and came back. Returns how many
    were opened or closed. Locks the breaks it changes.
    """
    _note_changed(connection, day)
    opened = connection.execute(
        f"WITH opened AS (INSERT INTO break AS b (break_id, cohort_no, kind, reference, card_ref, attempt, expected,"
        f" actual, opened_on) SELECT break_id, cohort_no, kind, reference, card_ref, attempt, expected, actual,"
        f" %(day)s FROM ({FOUND}) f ON CONFLICT (break_id) DO UPDATE SET closed_on = NULL, closed_by = NULL,"
        " gone = false, opened_on = excluded.opened_on, expected = excluded.expected, actual = excluded.actual"
        " WHERE b.closed_on IS NOT NULL AND (b.closed_by = 'evidence' OR b.gone"
        f" OR {DIFFERS.replace('f.', 'excluded.')}) RETURNING {RETURNING}),"
        " noted AS (INSERT INTO break_event (break_id, business_day, event, done_by, expected, actual)"
        " SELECT break_id, %(day)s, CASE WHEN EXISTS (SELECT FROM break_event e WHERE e.break_id = o.break_id)"
        " THEN 'REOPENED' ELSE 'OPENED' END, 'evidence', expected, actual FROM opened o)"
        " SELECT * FROM opened",
        {"day": day},
    ).fetchall()
    closed = connection.execute(
        "WITH closed AS (UPDATE break SET closed_on = %(day)s, closed_by = 'evidence'"
        f" WHERE closed_on IS NULL AND kind = ANY (%(kinds)s) AND {scope}"
        f" AND NOT EXISTS (SELECT FROM found_break f WHERE f.kind = break.kind AND f.reference = break.reference)"
        f" RETURNING {RETURNING}),"
        " noted AS (INSERT INTO break_event (break_id, business_day, event, done_by)"
        " SELECT break_id, %(day)s, 'CLOSED', 'evidence' FROM closed)"
        " SELECT * FROM closed",
        {"day": day, "kinds": [kind for kind in kinds if BREAK_KINDS[kind].closes_itself]},
    ).fetchall()
    _note_gone(connection, kinds, scope)
    write_outbox(connection, _messages(connection, opened, day), day)
    write_outbox(connection, _messages(connection, closed, day), day)
    return len(opened) + len(closed)


def find_breaks(connection: Connection, query: str, values: dict[str, Any] | None = None) -> None:
    """Make `found_break` of a query in its column order, the last column the partner that the clock waits on.

    The clock of a paused partner stands still: what is open stays open, and nothing is opened.
    """
    connection.execute("DROP TABLE IF EXISTS found_break")
    connection.execute(
        "CREATE TEMP TABLE found_break ON COMMIT DROP AS SELECT * FROM (" + query + ")"
        " AS found (kind, cohort_no, card_ref, attempt, reference, expected, actual, waits_on)",
        values,
    )
    connection.execute(
        f"DELETE FROM found_break f WHERE {paused('f.waits_on')} AND NOT EXISTS (SELECT FROM break b"
        " WHERE b.kind = f.kind AND b.reference = f.reference AND coalesce(b.closed_by, '') <> 'evidence')"
    )


def _note_changed(connection: Connection, day: date) -> None:
    """An open break shows its difference as it is now."""
    connection.execute(
        f"WITH changed AS (UPDATE break b SET expected = f.expected, actual = f.actual FROM ({FOUND}) f"
        f" WHERE b.break_id = f.break_id AND b.closed_on IS NULL AND {DIFFERS}"
        " RETURNING b.break_id, b.expected, b.actual)"
        " INSERT INTO break_event (break_id, business_day, event, done_by, expected, actual)"
        " SELECT break_id, %s, 'CHANGED', 'evidence', expected, actual FROM changed",
        (day,),
    )


def _note_gone(connection: Connection, kinds: Sequence[str], scope: str) -> None:
    """Remember of explained breaks that their difference went away: should it come back, it is a new one."""
    connection.execute(
        "UPDATE break SET gone = true WHERE closed_on IS NOT NULL AND closed_by <> 'evidence' AND NOT gone"
        f" AND kind = ANY (%s) AND {scope}"
        " AND NOT EXISTS (SELECT FROM found_break f WHERE f.kind = break.kind AND f.reference = break.reference)",
        (list(kinds),),
    )
