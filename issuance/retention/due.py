"""Which cohorts' personal data is due for erasure, and why the others' is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from issuance.breaks.kinds import HOLDING_KINDS
from issuance.city.city import load_cities
from issuance.errors import Refused, unknown_cohort
from issuance.ledger.connection import Connection, business_day
from issuance.settings import Settings

COHORTS = """
SELECT c.cohort_no, c.cohort_id, c.city, lower(c.state), coalesce(c.closed_on, refused.day),
       (SELECT count(*) FROM break b WHERE b.cohort_no = c.cohort_no AND b.closed_on IS NULL
        AND b.kind = ANY (%(holding)s)),
       e.begun_on, e.finished_on,
       (SELECT max(certificate_no) FROM certificate f WHERE f.erasure_no = e.erasure_no)
FROM cohort c LEFT JOIN erasure e ON e.cohort_no = c.cohort_no AND e.whole
LEFT JOIN LATERAL (
    SELECT max(o.business_day) AS day FROM submission s
    JOIN outbox o ON o.ce_id = c.cohort_id || '/REFUSED/' || s.number || '//'
    WHERE s.cohort_no = c.cohort_no AND c.state = 'REFUSED') refused ON true
WHERE %(cohort)s::text IS NULL OR c.cohort_id = %(cohort)s
ORDER BY c.cohort_id
"""


@dataclass(frozen=True)
class Retention:
    """The erasure status of a cohort's personal data."""

    cohort_no: int
    cohort_id: str
    state: str
    ended_on: date | None
    """The day on which it was closed, or refused as a whole."""
    due_on: date | None
    """The policy's days later; None while it has not ended."""
    breaks: int
    """Open ones."""
    begun_on: date | None
    erased_on: date | None
    certificate: int | None
    status: str
    """erased, begun, due, waits (for its day), open breaks, or not closed."""

    def as_dict(self) -> dict[str, Any]:
        """For `retention list`."""
        return {name: value for name, value in vars(self).items() if name != "cohort_no"}


def list_retention(connection: Connection, settings: Settings, cohort_id: str | None = None) -> list[Retention]:
    """The status of every cohort, or of one, on the business day."""
    today = business_day(connection)
    rows = connection.execute(COHORTS, {"cohort": cohort_id, "holding": list(HOLDING_KINDS)}).fetchall()
    found, cities = [], load_cities(settings)
    for no, name, city, state, ended_on, breaks, begun_on, erased_on, certificate in rows:
        days = cities[city].policy.retention_days
        due_on = ended_on + timedelta(days=days) if ended_on else None
        status = _status(due_on, today, breaks, begun_on, erased_on)
        found.append(Retention(no, name, state, ended_on, due_on, breaks, begun_on, erased_on, certificate, status))
    return found


def _status(due_on: date | None, today: date, breaks: int, begun_on: date | None, erased_on: date | None) -> str:
    if erased_on:
        return "erased"
    if begun_on:
        return "begun"
    if due_on is None:
        return "not closed"
    if breaks:
        return "open breaks"
    return "due" if due_on <= today else "waits"


def require_due(connection: Connection, settings: Settings, cohort_id: str) -> Retention:
    """One cohort that is due, begun or erased. Locks the cohort, so that nobody reopens it meanwhile.

    Raises:
        Refused: there is no such cohort, it is not closed, has open breaks, or its day has not come.
    """
    connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
    found: Sequence[Retention] = list_retention(connection, settings, cohort_id)
    if not found:
        raise unknown_cohort(cohort_id)
    (cohort,) = found
    if cohort.status in OBSTACLES:
        code, zh, en = OBSTACLES[cohort.status]
        values = {"cohort": cohort_id, "state": cohort.state, "breaks": cohort.breaks, "day": cohort.due_on}
        raise Refused(code, f"{zh} / {en}".format(**values), cohort_id=cohort_id, due_on=cohort.due_on)
    return cohort


OBSTACLES = {
    # status: code, Chinese, English
    "not closed": (
        "NOT_CLOSED",
        "批次 {cohort} 尚未结清（{state}），个人数据仍在使用：见 issuance cohort statement。",
        "cohort {cohort} is not closed ({state}), its data is still in use: see issuance cohort statement.",
    ),
    "open breaks": (
        "BREAKS_OPEN",
        "批次 {cohort} 有 {breaks} 项未决差异，说明之后才能清除：见 issuance break list。",
        "cohort {cohort} has {breaks} open breaks: explain them first, see issuance break list.",
    ),
    "waits": (
        "NOT_DUE",
        "批次 {cohort} 的个人数据于 {day} 清除，不得提前。",
        "the personal data of cohort {cohort} is erased on {day}, not earlier.",
    ),
}
