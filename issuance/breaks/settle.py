"""Breaks: differences that somebody must explain. Those that later evidence explains close themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from issuance.breaks.kinds import BREAK_KINDS
from issuance.city.partners import topic_of
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection
from issuance.tracking.decisions import BREAKS, CARD_BREAKS
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.wire.pauses import paused

RETURNING = "break_id, cohort_no, kind, reference, expected, actual, opened_on, closed_on, owner, closed_by"


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


def resolve_break(connection: Connection, break_id: str, user: str, note: str, day: date) -> None:
    """An operator explains a break; the note stays with it.

    Raises:
        Refused: there is no such open break, or no note.
    """
    require_note(note)
    rows = connection.execute(
        "UPDATE break SET closed_on = %s, closed_by = %s, note = %s, gone = false"
        f" WHERE break_id::text = %s AND closed_on IS NULL RETURNING {RETURNING}",
        (day, user, note, break_id),
    ).fetchall()
    if not rows:
        raise Refused("BREAK_UNKNOWN", f"没有该未决差异。 / no open break {break_id}.")
    _note_act(connection, break_id, "RESOLVED", user, note, day)
    audit(connection, user, "resolve", break_id, day, {"note": note})
    write_outbox(connection, _messages(connection, rows, day), day)


def assign_break(connection: Connection, break_id: str, user: str, owner: str, day: date) -> None:
    """Give a break an owner."""
    done = connection.execute(
        "UPDATE break SET owner = %s WHERE break_id::text = %s AND closed_on IS NULL", (owner, break_id)
    )
    if not done.rowcount:
        raise Refused("BREAK_UNKNOWN", f"没有该未决差异。 / no open break {break_id}.")
    _note_act(connection, break_id, "ASSIGNED", user, owner, day)
    audit(connection, user, "assign", break_id, day, {"owner": owner})


def _note_act(connection: Connection, break_id: str, event: str, user: str, note: str, day: date) -> None:
    connection.execute(
        "INSERT INTO break_event (break_id, business_day, event, done_by, note) VALUES (%s, %s, %s, %s, %s)",
        (break_id, day, event, user, note),
    )


def _messages(connection: Connection, rows: Iterable[Any], day: date) -> Iterable[Outgoing]:
    """Every turn of a break is a message, its id derived from which turn it is: several can be on one day."""
    rows = list(rows)
    cohorts: dict[int, str] = dict(connection.execute("SELECT cohort_no, cohort_id FROM cohort").fetchall())
    turns: dict[Any, int] = dict(
        connection.execute(
            "SELECT break_id, count(*) FROM break_event WHERE break_id = ANY (%s)"
            " AND event IN ('OPENED', 'REOPENED', 'CLOSED', 'RESOLVED') GROUP BY 1",
            ([row[0] for row in rows],),
        ).fetchall()
    )
    for break_id, cohort_no, kind, reference, expected, actual, opened_on, closed_on, owner, closed_by in rows:
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
            "severity": BREAK_KINDS[kind].severity,
            "holds": BREAK_KINDS[kind].holds,
            "owner": owner,
            "closed_by": closed_by,
        }
        ce_id = f"{break_id}/{action}/{turns[break_id]}"
        yield Outgoing(ce_id, topic_of("breaks"), cohort_id, "break", value)
