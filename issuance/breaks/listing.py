"""Breaks for operators: filtered, with severity, age, owner and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.breaks.kinds import BREAK_KINDS
from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import rows_of


@dataclass(frozen=True)
class Wanted:
    """A filter for breaks; None matches all."""

    cohort_id: str | None = None
    kind: str | None = None
    owner: str | None = None
    severity: str | None = None
    closed_too: bool = False

    def kinds(self) -> list[str]:
        """The kinds that match.

        Raises:
            Refused: there is no such kind.
        """
        if self.kind and self.kind not in BREAK_KINDS:
            known = ", ".join(sorted(BREAK_KINDS))
            raise Refused("KIND_UNKNOWN", f"没有差异类型 {self.kind}。 / unknown kind of break {self.kind}: {known}")
        found = [BREAK_KINDS[self.kind]] if self.kind else list(BREAK_KINDS.values())
        return [kind.name for kind in found if self.severity in (None, kind.severity)]


BREAKS = """
SELECT break_id, cohort_id, city, kind, reference, card_ref, attempt, expected, actual, opened_on, b.closed_on,
       user_name(b.closed_by) AS closed_by,
       owner, note, answers_for, function
FROM break b LEFT JOIN cohort USING (cohort_no)
"""


def list_breaks(connection: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """Breaks, open ones first, the oldest first."""
    rows = rows_of(
        connection,
        BREAKS + " WHERE (%(cohort)s::text IS NULL OR cohort_id = %(cohort)s) AND kind = ANY (%(kinds)s)"
        " AND (%(owner)s::text IS NULL OR owner = %(owner)s) AND (%(closed)s OR b.closed_on IS NULL)"
        " ORDER BY b.closed_on NULLS FIRST, opened_on, kind, reference",
        {
            "cohort": wanted.cohort_id,
            "kinds": wanted.kinds(),
            "owner": wanted.owner,
            "closed": wanted.closed_too,
        },
    )
    day = business_day(connection)
    return [row | judged(row, day) for row in rows]


def judged(row: Mapping[str, Any], day: date) -> dict[str, Any]:
    """What follows from a break's kind: severity, age in days, whether it holds its cohort open, what to do next."""
    kind = BREAK_KINDS[row["kind"]]
    return {
        "severity": kind.severity,
        "age_days": ((row["closed_on"] or day) - row["opened_on"]).days,
        "holds": kind.holds,
        "closes_itself": kind.closes_itself,
        "remedy": " / ".join(kind.remedy),
    }


def find_break(connection: Connection, break_id: str) -> dict[str, Any]:
    """One break, with the card or cohort it is about.

    Raises:
        Refused: there is no such break.
    """
    rows = rows_of(connection, f"{BREAKS} WHERE break_id::text = %s", (break_id,))
    if not rows:
        raise Refused("BREAK_UNKNOWN", f"没有差异 {break_id}。 / no such break: {break_id}.")
    return rows[0] | judged(rows[0], business_day(connection))


def history_of(connection: Connection, break_id: str) -> list[dict[str, Any]]:
    """A break's history, in order: changes by evidence and by people."""
    return rows_of(
        connection,
        "SELECT business_day, event, user_name(done_by) AS done_by, expected, actual, note FROM break_event"
        " WHERE break_id::text = %s ORDER BY event_no",
        (break_id,),
    )
