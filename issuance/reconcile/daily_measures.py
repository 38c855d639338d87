"""What a daily report counts: states, milestones of the day, breaks and equations, by cohort and partner.

References and counts only. A count belongs to one partner (reconcile.partner_view), '' if to none: the rows of all
partners add up to the cohort.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from issuance.city.city import Cities
from issuance.ledger.connection import Connection, business_day
from issuance.reconcile.closing import snapshot_cohort
from issuance.reconcile.equations import EQUATIONS, Equation


class Measure(NamedTuple):
    """One count. `as_of` is the day itself, or, for current states, the day on which they were read."""

    business_day: date
    as_of: date
    cohort_id: str
    """Empty: not about a cohort."""
    partner: str
    """Empty: not about a partner."""
    measure: str
    """state | milestone | correction | break | equation"""
    name: str
    part: str
    """For a break its change (opened, reopened, closed, resolved, open), for an equation left, a bucket, differing."""
    amount: int
    holds: bool | None
    """For an equation's left side: whether the partner's part holds."""


ARRIVED = """
SELECT coalesce(o.cohort_id, '') AS cohort_id, r.partner, CASE WHEN f.corrects THEN 'correction' ELSE 'milestone' END,
       f.milestone, count(DISTINCT (f.card_ref, f.attempt, f.job_id, f.consignment_id, f.mark))
FROM fact f JOIN report r USING (report_no)
LEFT JOIN card c ON c.card_ref = coalesce(f.card_ref, CASE WHEN f.subject = 'mail' THEN (
    SELECT a.card_ref FROM plastic_in_consignment a WHERE a.consignment_id = f.consignment_id LIMIT 1) END)
LEFT JOIN job j ON j.job_id = f.job_id
LEFT JOIN cohort o ON o.cohort_no = coalesce(c.cohort_no, j.cohort_no)
WHERE f.arrived_on = %(day)s GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
TURNED = """
SELECT coalesce(o.cohort_id, ''), x.partner, x.kind, lower(x.event), count(*) FROM (
    SELECT b.cohort_no, coalesce(b.answers_for, '') AS partner, b.kind, e.event
    FROM break_event e JOIN break b USING (break_id)
    WHERE e.business_day = %(day)s AND e.event IN ('OPENED', 'REOPENED', 'CLOSED', 'RESOLVED')) x
LEFT JOIN cohort o USING (cohort_no) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
OPEN = """
SELECT coalesce(o.cohort_id, ''), x.partner, x.kind, 'open', count(*) FROM (
    SELECT cohort_no, coalesce(answers_for, '') AS partner, kind FROM break WHERE closed_on IS NULL) x
LEFT JOIN cohort o USING (cohort_no) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
LIVELY = """
SELECT cohort_id FROM cohort o WHERE state NOT IN ('REGISTERED', 'REFUSED') AND (state <> 'CLOSED'
    OR closed_on = %(day)s OR EXISTS (SELECT FROM break_event e JOIN break b USING (break_id)
                                      WHERE b.cohort_no = o.cohort_no AND e.business_day = %(day)s))
ORDER BY cohort_id
"""
"""Cohorts whose states and equations a report shows: those that are not closed, and those active on that day."""


def measure_day(connection: Connection, cities: Cities, day: date, now_too: bool) -> Iterator[Measure]:
    """The counts of a day; with `now_too` also the current states, open breaks and equations."""
    for cohort_id, partner, measure, name, count in connection.execute(ARRIVED, {"day": day}).fetchall():
        yield Measure(day, day, cohort_id, partner, measure, name, "", count, None)
    for cohort_id, partner, name, part, count in connection.execute(TURNED, {"day": day}).fetchall():
        yield Measure(day, day, cohort_id, partner, "break", name, part, count, None)
    if now_too:
        yield from _measure_now(connection, cities, day)


def _measure_now(connection: Connection, cities: Cities, day: date) -> Iterator[Measure]:
    now = business_day(connection)
    for cohort_id, partner, name, part, count in connection.execute(OPEN).fetchall():
        yield Measure(day, now, cohort_id, partner, "break", name, part, count, None)
    for (cohort_id,) in connection.execute(LIVELY, {"day": day}).fetchall():
        cohort = snapshot_cohort(connection, cohort_id, cities)
        rows = connection.execute(
            "SELECT bank, state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1, 2 ORDER BY 1, 2",
            (cohort.cohort_no,),
        ).fetchall()
        for partner, state, count in rows:
            yield Measure(day, now, cohort_id, partner, "state", state, "", count, None)
        for equation in EQUATIONS:
            for partner, part, count, holds in _parts(connection, equation, cohort.cohort_no, cohort.city.hrss):
                yield Measure(day, now, cohort_id, partner, "equation", equation.name, part, count, holds)


def _parts(
    connection: Connection, equation: Equation, cohort_no: int, hrss: str
) -> Iterator[tuple[str, str, int, bool | None]]:
    """(partner, left | bucket | differing, count, whether the partner's part holds) of one equation."""
    beside = f" UNION ALL SELECT * FROM ({equation.beside}) b" if equation.beside else ""
    rows = connection.execute(
        f"WITH le AS (SELECT * FROM ({equation.left}) AS s (entity, bucket, partner)),"
        f" ri AS (SELECT * FROM ({equation.right}) AS s (entity, bucket, partner)),"
        f" be AS (SELECT NULL AS entity, NULL AS bucket, NULL AS partner WHERE false{beside}),"
        " l AS (SELECT partner, entity, count(*) AS n FROM le GROUP BY 1, 2),"
        " r AS (SELECT partner, entity, min(bucket) AS bucket, count(*) AS n FROM ri GROUP BY 1, 2),"
        " differing AS (SELECT partner, count(*) AS n FROM (SELECT partner FROM l FULL JOIN r USING (partner, entity)"
        " WHERE l.n IS DISTINCT FROM r.n OR r.n > 1 OR r.bucket IS NULL OR r.bucket = ANY (%(open)s)"
        " UNION ALL SELECT partner FROM be) d GROUP BY 1),"
        " parts AS (SELECT partner, 'left' AS part, count(*) AS n FROM le GROUP BY 1"
        " UNION ALL SELECT partner, coalesce(bucket, 'none'), count(*) FROM ri GROUP BY 1, 2"
        " UNION ALL SELECT partner, bucket, count(*) FROM be GROUP BY 1, 2"
        " UNION ALL SELECT partner, 'differing', n FROM differing)"
        " SELECT partner, part, parts.n, CASE part WHEN 'left' THEN d.n IS NULL END"
        " FROM parts LEFT JOIN differing d USING (partner) ORDER BY 1, part <> 'left', part = 'differing', 2",
        {"cohort": cohort_no, "open": list(equation.open_buckets), "hrss": hrss},
    ).fetchall()
    yield from rows
