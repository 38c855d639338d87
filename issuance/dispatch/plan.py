"""Planning a wave: the waiting cards of a cohort become plastics in jobs, written first and frozen at release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.clock import is_working_day
from issuance.dispatch.schedule import Demand, Slot, schedule
from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.news import audit, tell_cohort
from issuance.partners import load_registry
from issuance.policy import load_policy
from issuance.settings import Settings


@dataclass(frozen=True)
class Wave:
    """A planned wave: how many jobs and plastics, and what is forecast of it."""

    cohort_id: str
    wave: int
    jobs: int
    plastics: int
    forecast: dict[str, Any]


def plan_wave(settings: Settings, cohort_id: str, wave: int, user: str) -> Wave | None:
    """Plan everything that waits, earliest due date first; None when nothing waits. The same wave again is read back.

    Raises:
        Refused: no such cohort, or it has not opened yet.
    """
    registry = load_registry(settings.partners_file)
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT cohort_no, opens_on, city FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,)
        ).fetchone()
        if row is None:
            raise Refused("COHORT_UNKNOWN", f"没有批次 {cohort_id}。 / there is no cohort {cohort_id}.")
        cohort_no, opens_on, city = row
        day = business_day(connection)
        if day < opens_on:
            raise Refused(
                "NOT_OPEN_YET", f"批次 {opens_on} 开始。 / the cohort opens on {opens_on}.", opens_on=str(opens_on)
            )
        standing = _read_wave(connection, cohort_id, cohort_no, wave)
        if standing:
            return standing
        demands = _group_waiting(
            connection, cohort_id, cohort_no, wave, load_policy(settings.policies_dir, city).job_size
        )
        if not demands:
            return None
        capacity = {factory.id: factory.capacity for factory in registry.of_kind("factory")}
        slots = schedule(demands, capacity, day, is_working_day)
        _write_wave(connection, cohort_no, wave, user, day, slots, _forecast(demands, slots))
        plan = _read_wave(connection, cohort_id, cohort_no, wave)
        audit(connection, user, "plan", f"{cohort_id}.{wave}", day, {"plastics": plan.plastics if plan else 0})
        tell_cohort(connection, cohort_id, "PLANNED", day, wave=wave)
        return plan


def plan_factories(settings: Settings, cohort_id: str, wave: int, user: str) -> list[str]:
    """Plan a wave and name the factories that have jobs in it."""
    plan_wave(settings, cohort_id, wave, user)
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
        Refused: no such cohort, or nothing of it waits.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM card k WHERE k.cohort_no = c.cohort_no AND state = 'WAITING' AND last_attempt = 0"
        " AND withdrawn IS NULL) OR EXISTS (SELECT FROM wave w LEFT JOIN release r USING (cohort_no, wave)"
        " WHERE w.cohort_no = c.cohort_no AND r.wave IS NULL AND w.refused IS NULL) FROM cohort c WHERE cohort_id = %s",
        (cohort_id,),
    ).fetchone()
    if row is None:
        raise Refused("COHORT_UNKNOWN", f"没有批次 {cohort_id}。 / there is no cohort {cohort_id}.")
    if not row[0]:
        raise Refused("NOTHING_WAITING", f"批次 {cohort_id} 没有待计划的卡。 / no card of {cohort_id} waits.")
    return next_wave(connection, cohort_id)


def next_wave(connection: Connection, cohort_id: str) -> int:
    """The wave that waits for its release, otherwise the number of the one to plan next, 1 first."""
    row = connection.execute(
        "SELECT coalesce(min(wave) FILTER (WHERE released_by IS NULL AND refused IS NULL), max(wave) + 1, 1)"
        " FROM wave JOIN cohort USING (cohort_no) LEFT JOIN release USING (cohort_no, wave) WHERE cohort_id = %s",
        (cohort_id,),
    ).fetchone()
    return int(row[0]) if row else 1


def _group_waiting(connection: Connection, cohort_id: str, cohort_no: int, wave: int, size: int) -> list[Demand]:
    """Put the waiting cards into jobs of one bank and factory; the table `planned` keeps which. Locks them."""
    connection.execute(
        "SELECT FROM card WHERE cohort_no = %s AND state = 'WAITING' ORDER BY card_ref FOR UPDATE", (cohort_no,)
    )
    connection.execute(
        """
        CREATE TEMP TABLE planned ON COMMIT DROP AS
        SELECT card_ref, cohort_no, %(wave)s AS wave, bank, factory, due_on, last_attempt + 1 AS attempt,
               (n - 1) %% %(size)s AS position,
               format('%%s.%%s.%%s.%%s.%%s', %(cohort)s::text, %(wave)s::int, bank, factory,
                      lpad(((n - 1) / %(size)s + 1)::text, 4, '0')) AS job_id
        FROM (SELECT *, (row_number() OVER (PARTITION BY bank, factory ORDER BY due_on, block, position))::int AS n
              FROM card WHERE cohort_no = %(no)s AND state = 'WAITING' AND last_attempt = 0 AND withdrawn IS NULL) c
        """,
        {"size": size, "cohort": cohort_id, "wave": wave, "no": cohort_no},
    )
    rows = connection.execute("SELECT job_id, factory, min(due_on), count(*) FROM planned GROUP BY 1, 2").fetchall()
    return [Demand(*row) for row in rows]


def _write_wave(
    connection: Connection,
    cohort_no: int,
    wave: int,
    user: str,
    day: date,
    slots: list[Slot],
    forecast: dict[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " SELECT %s, %s, %s, array_agg(DISTINCT submitted_by ORDER BY submitted_by), %s,"
        " (SELECT count(*) FROM planned), %s"
        " FROM submission WHERE cohort_no = %s",
        (cohort_no, wave, user, day, json.dumps(forecast), cohort_no),
    )
    write_jobs(connection, {slot.job_id: slot.start_on for slot in slots}, remake=False)
    connection.execute(
        "INSERT INTO plastic (card_ref, attempt, job_id, bank, factory)"
        " SELECT card_ref, attempt, job_id, bank, factory FROM planned ORDER BY card_ref"
    )
    connection.execute("UPDATE card SET last_attempt = attempt FROM planned WHERE card.card_ref = planned.card_ref")
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM planned")
    connection.execute("ANALYZE plastic, job_item, job")


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
    connection.execute("INSERT INTO job_item SELECT job_id, position, card_ref, attempt FROM planned")


def _forecast(demands: list[Demand], slots: list[Slot]) -> dict[str, Any]:
    """What a releaser should know: last day per factory, and cards that will be late."""
    cards = {demand.job_id: demand.cards for demand in demands}
    factory = {demand.job_id: demand.factory for demand in demands}
    finish: dict[str, str] = {}
    for slot in slots:
        finish[factory[slot.job_id]] = max(finish.get(factory[slot.job_id], ""), slot.end_on.isoformat())
    late = sum(cards[slot.job_id] for slot in slots if slot.late)
    return {"finish": finish, "late_cards": late, "jobs": len(slots)}


def _read_wave(connection: Connection, cohort_id: str, cohort_no: int, wave: int) -> Wave | None:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM job j WHERE (j.cohort_no, j.wave) = (w.cohort_no, w.wave)), plastics, forecast"
        " FROM wave w WHERE cohort_no = %s AND wave = %s",
        (cohort_no, wave),
    ).fetchone()
    return Wave(cohort_id, wave, *row) if row else None
