"""Late statements: the registry says when each function's full list is due; after that, a break and a request."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.city.partners import Registry
from issuance.clock import SHANGHAI, instant_on
from issuance.ledger.connection import Connection
from issuance.reconcile.statements import ask_missing_chunks
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.pauses import paused

KIND = "STATEMENT_LATE"


class Due(NamedTuple):
    """The last day on which statements of a function were due, and of which partners."""

    function: str
    day: date
    partners: list[str]


def last_due(weekday: int, hour: int, now: datetime) -> date:
    """The latest day (Asia/Shanghai, weekday 0 = Monday) whose due hour has passed at an instant; pure."""
    today = now.astimezone(SHANGHAI).date()
    day = today - timedelta(days=(today.weekday() - weekday) % 7)
    return day if instant_on(day, hour) < now else day - timedelta(days=7)


def dues(registry: Registry, now: datetime) -> list[Due]:
    """The last due statement of each function of the registry."""
    return [
        Due(function, last_due(rule["weekday"], rule["hour"], now),
            [partner.id for partner in registry.of_kind(rule["partner_kind"])])
        for function, rule in registry.statements.items()
    ]  # fmt: skip


DUE = "unnest(%(partners)s::text[], %(functions)s::text[], %(days)s::date[]) AS u (partner, function, day)"
CHUNKS = """
(SELECT count(*) || ' of ' || max(k.chunks) || ' chunks' FROM statement_chunk k
 WHERE (k.partner, k.function) = (u.partner, u.function) AND k.business_day >= u.day
 GROUP BY k.statement_id, k.revision ORDER BY k.statement_id DESC, k.revision DESC LIMIT 1)
"""
OWES = """
NOT EXISTS (SELECT FROM statement s WHERE (s.partner, s.function) = (u.partner, u.function) AND s.business_day >= u.day)
AND EXISTS (SELECT FROM sealed_job f JOIN job j USING (job_id) JOIN cohort o ON o.cohort_no = j.cohort_no
            WHERE f.sent_on < u.day AND o.state = 'DISPATCHED' AND (j.bank = u.partner OR u.partner = %(hrss)s))
"""
"""The statements that are owed and incomplete. A partner owes them from the day after its first job was sent, as long
as a cohort with cards of its is under way; while it is paused, its clock stops."""


OWED = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="u.partner || '/' || u.function",
        expected="'a statement for ' || u.day",
        actual=f"coalesce({CHUNKS}, 'nothing')",
        answers_for="u.partner",
        waits_on="u.partner",
        function="u.function",
    )
}
FROM {DUE} WHERE {OWES}
"""
SILENT = f"""
SELECT u.partner, u.function, u.day FROM {DUE}
WHERE {OWES} AND {CHUNKS} IS NULL AND NOT {paused("u.partner")} ORDER BY 1, 2
"""
"""Those with no chunk at all; missing chunks of the others are requested by number (reconcile.statements)."""


def watch_statements(connection: Connection, city: City, now: datetime, day: date) -> int:
    """A break for every late statement, which closes when a complete one arrives; requested once a day.

    Returns how many breaks changed and notices were written.
    """
    owed = [(partner, due.function, due.day) for due in dues(city.partners, now) for partner in due.partners]
    partners, functions, days = zip(*owed, strict=True) if owed else ((), (), ())
    values = {"partners": list(partners), "functions": list(functions), "days": list(days), "hrss": city.hrss}
    asked = [
        partner_notice(
            partner, "MISSING", None, {"function": function, "business_day": due_on}, f"{function}/{due_on}/{day}"
        )
        for partner, function, due_on in connection.execute(SILENT, values).fetchall()
    ]
    return settle(connection, day, [KIND], OWED, values) + write_outbox(connection, asked, day)


def watch_chunks(connection: Connection, day: date) -> int:
    """Ask by number for the chunks of incomplete statements, once a day; returns how many notices were written."""
    return write_outbox(connection, ask_missing_chunks(connection, day), day)
