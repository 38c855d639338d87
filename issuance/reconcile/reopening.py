"""A person reopens a closed cohort, and closes it again: each a new revision, audited, told with the equations."""

from __future__ import annotations

from issuance.city.city import load_cities
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.reconcile.closing import ClosingStatement, read_statement, turn_cohort
from issuance.settings import Settings


def reopen_cohort(settings: Settings, cohort_id: str, user: str, note: str) -> int:
    """Open a closed cohort again; it is not closed automatically but by a person. Returns the new revision.

    Raises:
        Refused: no such cohort, it is not closed, or no note is given.
    """
    require_note(note)
    with transaction(settings.database_url) as connection:
        statement = _locked(connection, settings, cohort_id)
        if statement.state != "CLOSED":
            raise Refused("NOT_CLOSED", f"批次 {cohort_id} 未结清。 / cohort {cohort_id} is not closed.")
        day = business_day(connection)
        by = {"user": user, "note": note, "day": day.isoformat()}
        revision = turn_cohort(connection, statement, close=False, by=by)
        audit(connection, user, "reopen", cohort_id, day, {"note": note, "revision": revision})
    return revision


def close_cohort(settings: Settings, cohort_id: str, user: str, note: str) -> int:
    """Close a cohort that was reopened by hand, by the same rule as automatic closing. Returns the new revision.

    Raises:
        Refused: no such cohort, nobody reopened it, something is still open, or no note is given.
    """
    require_note(note)
    with transaction(settings.database_url) as connection:
        statement = _locked(connection, settings, cohort_id)
        if not statement.kept_open:
            raise Refused("NOT_REOPENED", f"批次 {cohort_id} 并非由人重新打开，结清由系统办理。"
                          f" / cohort {cohort_id} was not reopened by hand; it closes automatically.")  # fmt: skip
        if open_matters := list(_open_matters(statement)):
            raise Refused("COHORT_NOT_ENDED", f"批次 {cohort_id} 尚不能结清： / cohort {cohort_id} cannot be closed: "
                          + "; ".join(open_matters), open=open_matters)  # fmt: skip
        revision = turn_cohort(connection, statement, close=True)
        audit(connection, user, "close", cohort_id, business_day(connection), {"note": note, "revision": revision})
    return revision


def _locked(connection: Connection, settings: Settings, cohort_id: str) -> ClosingStatement:
    """The closing statement of a cohort whose row is locked."""
    connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
    return read_statement(connection, cohort_id, load_cities(settings))


def _open_matters(statement: ClosingStatement) -> list[str]:
    """What keeps a cohort from being closed, in words."""
    matters = [f"equation {b.equation.name} differs by {len(b.differing)}" for b in statement.balances if not b.holds]
    matters += [f"{count} {kind}" for kind, count in statement.breaks.items()]
    if statement.open_requests:
        matters.append(f"{statement.open_requests} open requests")
    if not matters and not statement.ended:
        matters.append("cards that have not ended")
    return matters
