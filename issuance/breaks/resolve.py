"""A person resolves a break with a note, or assigns an owner."""

from __future__ import annotations

from datetime import date

from issuance.breaks.messages import RETURNING, break_messages
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox


def resolve_break(connection: Connection, break_id: str, user: str, note: str, day: date) -> None:
    """An operator resolves a break; the note that explains it is kept with it.

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
    write_outbox(connection, break_messages(connection, rows, day), day)


def assign_break(connection: Connection, break_id: str, user: str, owner: str, day: date) -> None:
    """Assign an owner to a break."""
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
