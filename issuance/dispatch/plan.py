"""Planning a wave: the waiting cards of a cohort become plastics in jobs, written first and frozen at release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import Cities, load_cities
from issuance.city.policy import Policy
from issuance.dispatch.demands import Assumptions, cohorts_ahead, factories_of, read_demands
from issuance.dispatch.forecast import wave_forecast
from issuance.dispatch.openings import NextWave, next_waves
from issuance.dispatch.schedule import Lot, schedule
from issuance.dispatch.wanted import SUBMITTERS, wanted_by
from issuance.dispatch.waves import Allotment, allot, job_starts, take_wave
from issuance.errors import Refused, unknown_cohort
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.wire.news import tell_cohort


@dataclass(frozen=True)
class Wave:
    """A planned wave: how many jobs and plastics, and its forecast."""

    cohort_id: str
    wave: int
    jobs: int
    plastics: int
    forecast: dict[str, Any]


def plan_wave(settings: Settings, cohort_id: str, wave: int) -> Wave | None:
    """Plan what waits, earliest due date first, as much as the wave holds; None when nothing waits, and its row goes.

    If no card waits, the re-makes that no release covers make up a wave, which a second person releases.

    All other work of the factories counts: jobs that are not made yet, other open cohorts, cohorts to come.
    Planning the same wave again returns the existing one, and one that was refused before it was planned stays empty.
    Locks the cohort and its waiting cards.

    Raises:
        Refused: NO_PLAN, nobody wanted this wave; no such cohort, or it has not opened yet.
    """
    cities = load_cities(settings)
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
        next_wave = _require_open(connection, cohort_id)
        user = wanted_by(connection, cohort_id, wave)
        planned = _read_wave(connection, cohort_id, next_wave.cohort_no, wave)
        if planned:
            return planned
        if not (next_wave.cards_wait or next_wave.remakes_wait):
            connection.execute(
                "DELETE FROM wave WHERE (cohort_no, wave) = (%s, %s) AND planned_on IS NULL",
                (next_wave.cohort_no, wave),
            )
            return None
        day = business_day(connection)
        policy = cities[next_wave.city].policy
        if next_wave.cards_wait:
            connection.execute(
                "SELECT FROM card WHERE cohort_no = %s AND state = 'WAITING' ORDER BY card_ref FOR UPDATE",
                (next_wave.cohort_no,),
            )
            mine = _lots_of(connection, cities, next_wave, day)
            lots = take_wave(mine, factories_of(cities.partners, Assumptions()), policy.wave_days)
            _write_wave(connection, next_wave, wave, day, lots, sum(lot.cards for lot in mine), policy)
        else:
            _write_remake_wave(connection, next_wave, wave, day, policy)
        plan = _read_wave(connection, cohort_id, next_wave.cohort_no, wave)
        audit(connection, user, "plan", f"{cohort_id}.{wave}", day, {"plastics": plan.plastics if plan else 0})
        tell_cohort(connection, cohort_id, "PLANNED", day, wave=wave)
        return plan


def plan_factories(settings: Settings, cohort_id: str, wave: int) -> list[str]:
    """Plan a wave and name the factories that have jobs in it."""
    plan_wave(settings, cohort_id, wave)
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT factory FROM job JOIN cohort USING (cohort_no)"
            " WHERE cohort_id = %s AND wave = %s ORDER BY 1",
            (cohort_id, wave),
        ).fetchall()
    return [str(factory) for (factory,) in rows]


def wave_to_plan(connection: Connection, cohort_id: str) -> int:
    """The wave that planning by hand would make, or the one that waits for its release.

    Raises:
        Refused: no such cohort, it has not opened yet, or no card of it waits.
    """
    next_wave = _require_open(connection, cohort_id)
    waits = next_wave.accepted and (next_wave.cards_wait or next_wave.remakes_wait)
    if not waits and not next_wave.plan_waits:
        raise Refused("NOTHING_WAITING", f"批次 {cohort_id} 没有待计划的卡。 / no card of {cohort_id} is waiting.")
    return next_wave.wave


def _require_open(connection: Connection, cohort_id: str) -> NextWave:
    found = next_waves(connection, cohort_id)
    if not found:
        raise unknown_cohort(cohort_id)
    if business_day(connection) < found[0].opens_on:
        raise Refused(
            "NOT_OPEN_YET",
            f"批次 {found[0].opens_on} 启动，届时才能编制计划；可先看预测：--forecast。"
            f" / the cohort opens on {found[0].opens_on} and can be planned from then on; for a forecast: --forecast.",
            opens_on=str(found[0].opens_on),
        )
    return found[0]


def _lots_of(connection: Connection, cities: Cities, next_wave: NextWave, day: date) -> list[Lot]:
    """When and where the cohort's waiting cards are made, given the factories' other work."""
    assumed = Assumptions()
    demands = read_demands(connection, cities, day, cohorts_ahead(connection, assumed), assumed)
    lots = schedule(demands, factories_of(cities.partners, assumed), day, STATE_COUNCIL.is_working_day)
    return [lot for lot in lots if lot.demand.cohort == next_wave.cohort_id and not lot.demand.in_job]


PLANNED = """
CREATE TEMP TABLE planned ON COMMIT DROP AS
WITH waiting AS (
    SELECT card_ref, bank, least(due_on, stop) AS due_on, last_attempt, block, position, employer,
           row_number() OVER (PARTITION BY bank, least(due_on, stop) ORDER BY employer, block, position) AS nth
    FROM (SELECT *, CASE collection_method WHEN 'employer' THEN place ELSE '' END AS employer FROM card) card
    LEFT JOIN unnest(%(generations)s::int2[], %(stops)s::date[]) AS old (generation, stop)
         ON generation = old_card_generation
    WHERE cohort_no = %(no)s AND state = 'WAITING' AND last_attempt = 0 AND withdrawn IS NULL),
alloted AS (
    SELECT * FROM unnest(%(banks)s::text[], %(dues)s::date[], %(factories)s::text[], %(after)s::int[], %(upto)s::int[])
        AS a (bank, due_on, factory, after, upto)),
numbered AS (
    SELECT w.*, a.factory, (row_number() OVER (
        PARTITION BY w.bank, factory ORDER BY w.due_on, employer, block, position))::int AS n
    FROM waiting w JOIN alloted a ON (a.bank, a.due_on) = (w.bank, w.due_on) AND nth > after AND nth <= upto)
SELECT card_ref, %(no)s AS cohort_no, %(wave)s AS wave, bank, factory, due_on, (last_attempt + 1)::smallint AS attempt,
       (n - 1) %% %(size)s AS position,
       format('%%s.%%s.%%s.%%s.%%s', %(cohort)s::text, %(wave)s::int, bank, factory,
              lpad(((n - 1) / %(size)s + 1)::text, 4, '0')) AS job_id
FROM numbered
"""
"""The cards of a wave in jobs of one bank and factory; an old card's stop date counts as a due date.

Cards of one employer and due date lie together, so that they leave in one pack, or two where a job is full.
"""


def _group(
    connection: Connection, next_wave: NextWave, wave: int, alloted: Sequence[Allotment], policy: Policy
) -> None:
    """Put cards into jobs as allotted; the table `planned` keeps which."""
    connection.execute(
        PLANNED,
        {
            "size": policy.job_size,
            "cohort": next_wave.cohort_id,
            "no": next_wave.cohort_no,
            "wave": wave,
            "generations": list(policy.old_card_stop),
            "stops": list(policy.old_card_stop.values()),
            "banks": [one.bank for one in alloted],
            "dues": [one.due_on for one in alloted],
            "factories": [one.factory for one in alloted],
            "after": [one.after for one in alloted],
            "upto": [one.upto for one in alloted],
        },
    )


def _write_wave(
    connection: Connection,
    next_wave: NextWave,
    wave: int,
    day: date,
    lots: Sequence[Lot],
    waiting: int,
    policy: Policy,
) -> None:
    _group(connection, next_wave, wave, allot(lots), policy)
    starts = job_starts(lots, f"{next_wave.cohort_id}.{wave}", policy.job_size, day)
    _fill_wave(connection, next_wave, wave, day, wave_forecast(lots, len(starts), waiting))
    write_jobs(connection, starts, remake=False)
    write_plastics(connection)
    connection.execute("ANALYZE plastic, job_item, job")


def _fill_wave(connection: Connection, next_wave: NextWave, wave: int, day: date, forecast: dict[str, Any]) -> None:
    """Write what was planned into the wave's row; who submitted meanwhile may not release it either."""
    connection.execute(
        "UPDATE wave SET planned_on = %s, plastics = (SELECT count(*) FROM planned), forecast = %s,"
        f" submitters = ({SUBMITTERS}) FROM cohort c WHERE c.cohort_no = wave.cohort_no"
        " AND (wave.cohort_no, wave) = (%s, %s)",
        (day, json.dumps(forecast), next_wave.cohort_no, wave),
    )


REMAKES = """
CREATE TEMP TABLE planned ON COMMIT DROP AS
SELECT card_ref, attempt, cohort_no, %(wave)s::int AS wave, bank, factory, due_on, (n - 1) %% %(size)s AS position,
       format('%%s.%%s.%%s.%%s.%%s', %(cohort)s::text, %(wave)s::int, bank, factory,
              lpad(((n - 1) / %(size)s + 1)::text, 4, '0')) AS job_id
FROM (SELECT p.card_ref, p.attempt, c.cohort_no, p.bank, p.factory, c.due_on,
             (row_number() OVER (PARTITION BY p.bank, p.factory ORDER BY c.due_on, block, position))::int AS n
      FROM plastic p JOIN card c USING (card_ref)
      WHERE c.cohort_no = %(no)s AND p.job_id IS NULL AND p.attempt > 1 AND c.withdrawn IS NULL) p
"""
"""The re-makes of a cohort that have no job, in jobs of one bank and factory."""


def _write_remake_wave(connection: Connection, next_wave: NextWave, wave: int, day: date, policy: Policy) -> None:
    connection.execute(
        REMAKES,
        {"wave": wave, "size": policy.job_size, "cohort": next_wave.cohort_id, "no": next_wave.cohort_no},
    )
    jobs = connection.execute("SELECT DISTINCT job_id FROM planned").fetchall()
    _fill_wave(connection, next_wave, wave, day, {"jobs": len(jobs)})
    write_jobs(connection, {job_id: day for (job_id,) in jobs}, remake=False)
    connection.execute(
        "UPDATE plastic p SET job_id = planned.job_id FROM planned"
        " WHERE (p.card_ref, p.attempt) = (planned.card_ref, planned.attempt)"
    )


def write_plastics(connection: Connection) -> None:
    """Write the plastics of the table `planned` as the newest of their cards. Locks the cards."""
    connection.execute(
        "INSERT INTO plastic (card_ref, attempt, job_id, bank, factory)"
        " SELECT card_ref, attempt, job_id, bank, factory FROM planned ORDER BY card_ref"
    )
    connection.execute(
        "UPDATE card SET last_attempt = attempt, factory = planned.factory FROM planned"
        " WHERE card.card_ref = planned.card_ref"
    )
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM planned")


def write_jobs(connection: Connection, starts: dict[str, date], *, remake: bool) -> None:
    """Write the jobs and job items of the table `planned`, with their counts and hash totals (contract: Job file)."""
    connection.execute("ANALYZE planned")
    connection.execute(
        """
        INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)
        SELECT job_id, cohort_no, wave, bank, factory, min(due_on), (%s::jsonb ->> job_id)::date, count(*),
               hash_total(array_agg(card_ref)), %s
        FROM planned GROUP BY job_id, cohort_no, wave, bank, factory
        """,
        (json.dumps(starts, default=str), remake),
    )
    connection.execute(
        "INSERT INTO job_item (job_id, position, card_ref, attempt)"
        " SELECT job_id, position, card_ref, attempt FROM planned"
    )


def _read_wave(connection: Connection, cohort_id: str, cohort_no: int, wave: int) -> Wave | None:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM job j WHERE (j.cohort_no, j.wave) = (w.cohort_no, w.wave)), plastics, forecast"
        " FROM wave w WHERE cohort_no = %s AND wave = %s AND (planned_on IS NOT NULL OR refused IS NOT NULL)",
        (cohort_no, wave),
    ).fetchone()
    return Wave(cohort_id, wave, *row) if row else None
