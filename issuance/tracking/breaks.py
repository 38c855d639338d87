"""Breaks: differences that somebody must explain. Those that later evidence explains close themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.ledger.news import audit
from issuance.ledger.outbox import Outgoing, write_outbox
from issuance.lifecycle import BREAK_KINDS
from issuance.partners import topic_of
from issuance.tracking.decisions import BREAKS, CARD_BREAKS, paused

RETURNING = "break_id, cohort_no, kind, reference, expected, actual, opened_on, closed_on"


def note_breaks(connection: Connection, day: date, hrss: str | None = None) -> None:
    """Open the breaks that hold for the cards in `work` and close those that no longer do.

    `hrss` is the city's: while it is paused, cards are not overdue.
    """
    found = " UNION ALL ".join(
        [
            f"SELECT '{kind}', k.cohort_no, s.card_ref, s.attempt, s.card_ref || '/' || s.attempt, {expected}, {actual}"
            f" FROM standing s JOIN card_standing k USING (card_ref) WHERE {condition}"
            for kind, condition, expected, actual in BREAKS
        ]
        + [
            f"SELECT '{kind}', k.cohort_no, k.card_ref, NULL::smallint, k.card_ref::text, {expected}, {actual}"
            f" FROM card_standing k JOIN card c USING (card_ref) WHERE {condition}"
            for kind, condition, expected, actual in CARD_BREAKS
        ]
    )
    connection.execute(
        "CREATE TEMP TABLE found_break ON COMMIT DROP AS SELECT * FROM (" + found + ")"
        " AS found (kind, cohort_no, card_ref, attempt, reference, expected, actual)",
        {"day": day, "hrss": hrss},
    )
    kinds = [kind for kind, *_ in (*BREAKS, *CARD_BREAKS)]
    settle_breaks(connection, day, kinds, "card_ref IN (SELECT card_ref FROM work)")


def settle_breaks(connection: Connection, day: date, kinds: Sequence[str], scope: str) -> int:
    """Bring the breaks of these kinds within a scope in line with the table `found_break`.

    A break of a kind that closes itself is opened again when its difference comes back. Returns how many changed.
    """
    opened = connection.execute(
        "INSERT INTO break (break_id, cohort_no, kind, reference, card_ref, attempt, expected, actual, opened_on)"
        " SELECT DISTINCT ON (kind, reference) md5(kind || '|' || reference)::uuid, cohort_no, kind, reference,"
        " card_ref, attempt, expected, actual, %(day)s FROM found_break ORDER BY kind, reference"
        " ON CONFLICT (break_id) DO UPDATE SET closed_on = NULL, closed_by = NULL, opened_on = excluded.opened_on,"
        " expected = excluded.expected, actual = excluded.actual"
        f" WHERE break.closed_on IS NOT NULL AND break.kind = ANY (%(itself)s) RETURNING {RETURNING}",
        {"day": day, "itself": [kind.name for kind in BREAK_KINDS.values() if kind.closes_itself]},
    ).fetchall()
    closed = connection.execute(
        "UPDATE break SET closed_on = %(day)s, closed_by = 'evidence'"
        f" WHERE closed_on IS NULL AND kind = ANY (%(kinds)s) AND {scope}"
        " AND NOT EXISTS (SELECT FROM found_break f WHERE f.kind = break.kind AND f.reference = break.reference)"
        f" RETURNING {RETURNING}",
        {"day": day, "kinds": [kind for kind in kinds if BREAK_KINDS[kind].closes_itself]},
    ).fetchall()
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
        " WHERE b.kind = f.kind AND b.reference = f.reference AND b.closed_on IS NULL)"
    )


def resolve_break(connection: Connection, break_id: str, user: str, note: str, day: date) -> None:
    """An operator explains a break; the note stays with it.

    Raises:
        Refused: there is no such open break, or no note.
    """
    if not note.strip():
        raise Refused("NOTE_MISSING", "请写明原因。 / say why: --note TEXT.")
    rows = connection.execute(
        f"UPDATE break SET closed_on = %s, closed_by = %s, note = %s WHERE break_id::text = %s AND closed_on IS NULL"
        f" RETURNING {RETURNING}",
        (day, user, note, break_id),
    ).fetchall()
    if not rows:
        raise Refused("BREAK_UNKNOWN", f"没有该未决差异。 / no open break {break_id}.")
    audit(connection, user, "resolve", break_id, day, {"note": note})
    write_outbox(connection, _messages(connection, rows, day), day)


def assign_break(connection: Connection, break_id: str, user: str, owner: str, day: date) -> None:
    """Give a break an owner."""
    done = connection.execute(
        "UPDATE break SET owner = %s WHERE break_id::text = %s AND closed_on IS NULL", (owner, break_id)
    )
    if not done.rowcount:
        raise Refused("BREAK_UNKNOWN", f"没有该未决差异。 / no open break {break_id}.")
    audit(connection, user, "assign", break_id, day, {"owner": owner})


def _messages(connection: Connection, rows: Iterable[Any], day: date) -> Iterable[Outgoing]:
    cohorts: dict[int, str] = dict(connection.execute("SELECT cohort_no, cohort_id FROM cohort").fetchall())
    for break_id, cohort_no, kind, reference, expected, actual, opened_on, closed_on in rows:
        cohort_id = cohorts.get(cohort_no, "")
        action = "CLOSED" if closed_on else "OPENED"
        value = {
            "break_id": str(break_id),
            "cohort_id": cohort_id,
            "kind": kind,
            "action": action,
            "reference": reference,
            "expected": expected,
            "actual": actual,
            "opened_on": opened_on,
            "age_days": (day - opened_on).days,
        }
        ce_id = f"{break_id}/{action}/{opened_on}/{closed_on or ''}"
        yield Outgoing(ce_id, topic_of("breaks"), cohort_id, "break", value)
