"""The one writer of breaks that evidence opens and closes: `settle` brings them in line with what a query finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from issuance.breaks.kinds import BREAK_KINDS
from issuance.breaks.messages import RETURNING, break_messages
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.pauses import paused


def difference(
    kind: str,
    *,
    reference: str,
    expected: str,
    actual: str,
    cohort_no: str = "0",
    card_ref: str = "NULL::uuid",
    attempt: str = "NULL::smallint",
    answers_for: str = "NULL::text",
    waits_on: str = "NULL::text",
    function: str = "NULL::text",
) -> str:
    """SQL: the columns of one difference, each an expression over the query's tables.

    `kind` is itself SQL, so that one query may find several kinds. `reference` names the break within its kind;
    `answers_for` is the partner who has to explain it, `waits_on` the one whose clock it waits on: while that partner
    is paused, what is open stays open and nothing is opened. `function` is that of a statement (ss, finance).
    """
    values = {
        "kind": kind,
        "cohort_no": cohort_no,
        "card_ref": card_ref,
        "attempt": attempt,
        "reference": reference,
        "expected": expected,
        "actual": actual,
        "answers_for": answers_for,
        "waits_on": waits_on,
        "function": function,
    }
    return ", ".join(f"{value} AS {name}" for name, value in values.items())


FOUND = (
    "CREATE TEMP TABLE found_break ON COMMIT DROP AS SELECT DISTINCT ON (kind, reference)"
    " md5(kind || '|' || reference)::uuid AS break_id, found.* FROM ({query}) found ORDER BY kind, reference"
)
STILL = (
    f"DELETE FROM found_break f WHERE {paused('f.waits_on')} AND NOT EXISTS (SELECT FROM break b"
    " WHERE b.break_id = f.break_id AND coalesce(b.closed_by, '') <> 'evidence')"
)
"""The clock of a paused partner stands still: what is open stays open, and nothing is opened."""

DIFFERS = "(b.expected, b.actual) IS DISTINCT FROM ({found}.expected, {found}.actual)"
GONE = "NOT EXISTS (SELECT FROM found_break f WHERE f.break_id = break.break_id)"


def settle(
    connection: Connection,
    day: date,
    kinds: Sequence[str],
    query: str,
    values: Mapping[str, Any] | None = None,
    scope: str = "true",
) -> int:
    """Bring the breaks of these kinds within a scope in line with what a query finds (columns of `difference`).

    A difference that comes back reopens its break. What a person has explained stays closed while the difference is
    unchanged; it is reopened when the difference has changed, or had gone and came back. Returns how many
    were opened or closed. Locks the breaks it changes.
    """
    connection.execute(FOUND.format(query=query), values)
    connection.execute(STILL)
    _show_changed(connection, day)
    turned = _open(connection, day) + _close(connection, day, kinds, scope)
    _note_gone(connection, kinds, scope)
    connection.execute("DROP TABLE found_break")
    return turned


def _show_changed(connection: Connection, day: date) -> None:
    """An open break shows the current difference."""
    connection.execute(
        f"WITH changed AS (UPDATE break b SET expected = f.expected, actual = f.actual FROM found_break f"
        f" WHERE b.break_id = f.break_id AND b.closed_on IS NULL AND {DIFFERS.format(found='f')}"
        " RETURNING b.break_id, b.expected, b.actual)"
        " INSERT INTO break_event (break_id, business_day, event, done_by, expected, actual)"
        " SELECT break_id, %s, 'CHANGED', 'evidence', expected, actual FROM changed",
        (day,),
    )
    connection.execute(
        "UPDATE break b SET answers_for = f.answers_for FROM found_break f"
        " WHERE b.break_id = f.break_id AND b.answers_for IS DISTINCT FROM f.answers_for"
    )


def _open(connection: Connection, day: date) -> int:
    columns = "break_id, cohort_no, kind, reference, card_ref, attempt, expected, actual, answers_for, function"
    opened = connection.execute(
        f"WITH opened AS (INSERT INTO break AS b ({columns}, opened_on) SELECT {columns}, %(day)s FROM found_break"
        " ORDER BY break_id ON CONFLICT (break_id) DO UPDATE SET closed_on = NULL, closed_by = NULL,"
        " gone = false, opened_on = excluded.opened_on, expected = excluded.expected, actual = excluded.actual"
        " WHERE b.closed_on IS NOT NULL AND (b.closed_by = 'evidence' OR b.gone"
        f" OR {DIFFERS.format(found='excluded')}) RETURNING {RETURNING}),"
        " noted AS (INSERT INTO break_event (break_id, business_day, event, done_by, expected, actual)"
        " SELECT break_id, %(day)s, CASE WHEN EXISTS (SELECT FROM break_event e WHERE e.break_id = o.break_id)"
        " THEN 'REOPENED' ELSE 'OPENED' END, 'evidence', expected, actual FROM opened o)"
        " SELECT * FROM opened",
        {"day": day},
    ).fetchall()
    write_outbox(connection, break_messages(connection, opened, day), day)
    return len(opened)


def _close(connection: Connection, day: date, kinds: Sequence[str], scope: str) -> int:
    closed = connection.execute(
        "WITH closed AS (UPDATE break SET closed_on = %(day)s, closed_by = 'evidence'"
        f" WHERE closed_on IS NULL AND kind = ANY (%(kinds)s) AND {scope} AND {GONE} RETURNING {RETURNING}),"
        " noted AS (INSERT INTO break_event (break_id, business_day, event, done_by)"
        " SELECT break_id, %(day)s, 'CLOSED', 'evidence' FROM closed)"
        " SELECT * FROM closed",
        {"day": day, "kinds": [kind for kind in kinds if BREAK_KINDS[kind].closes_itself]},
    ).fetchall()
    write_outbox(connection, break_messages(connection, closed, day), day)
    return len(closed)


def _note_gone(connection: Connection, kinds: Sequence[str], scope: str) -> None:
    """Remember that the difference of an explained break is gone: if it comes back, the break is reopened."""
    connection.execute(
        "UPDATE break SET gone = true WHERE closed_on IS NOT NULL AND closed_by <> 'evidence' AND NOT gone"
        f" AND kind = ANY (%s) AND {scope} AND {GONE}",
        (list(kinds),),
    )
