"""Every change of a break's state, as a message on the topic `breaks`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from issuance.breaks.kinds import BREAK_KINDS
from issuance.city.partners import topic_of
from issuance.ledger.connection import Connection
from issuance.wire.outbox import Outgoing

RETURNING = "break_id, cohort_no, kind, reference, expected, actual, opened_on, closed_on, owner, closed_by"


def break_messages(connection: Connection, rows: Iterable[Any], day: date) -> Iterable[Outgoing]:
    """Every change of state is a message, its id derived from the number of the change: one day can have several."""
    rows = list(rows)
    if not rows:
        return
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
