"""The dispatch status of cohorts, in one query: what waits for a plan, which plan waits for its release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from issuance.city.city import Cities, load_cities
from issuance.dispatch.wanted import want_wave
from issuance.ledger.audit import PIPELINE
from issuance.ledger.checks import CHECKS
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings


@dataclass(frozen=True)
class NextWave:
    """A cohort before its next wave."""

    cohort_id: str
    cohort_no: int
    city: str
    opens_on: date
    accepted: bool
    """Its intake has ended, and it is neither closed nor withdrawn."""
    cards_wait: bool
    """Some of its cards have no plan."""
    remakes_wait: bool
    """Some re-makes have no job; those that no release covers are planned by hand."""
    plan_waits: bool
    """A plan waits for its release."""
    refused: bool
    """A plan was refused by a person: the next is made by hand."""
    wave: int
    """The wave that waits for its release, otherwise the number of the one to plan next, 1 first."""


NEXT_WAVES = """
SELECT cohort_id, c.cohort_no, city, opens_on, state IN ('ACCEPTED', 'DISPATCHED'),
       EXISTS (SELECT FROM card k WHERE k.cohort_no = c.cohort_no AND k.state = 'WAITING' AND k.last_attempt = 0
               AND k.withdrawn IS NULL),
       EXISTS (SELECT FROM plastic p JOIN card k USING (card_ref) WHERE p.job_id IS NULL AND p.attempt > 1
               AND k.cohort_no = c.cohort_no AND k.withdrawn IS NULL), w.waits, w.refused, w.next
FROM cohort c CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(r.wave IS NULL AND w.refused IS NULL), false) AS waits,
           coalesce(bool_or(w.refused IS NOT NULL AND w.refused -> 'postponed' IS NULL), false) AS refused,
           coalesce(min(w.wave) FILTER (WHERE r.wave IS NULL AND w.refused IS NULL), max(w.wave) + 1, 1) AS next
    FROM wave w LEFT JOIN release r USING (cohort_no, wave) WHERE w.cohort_no = c.cohort_no) w
WHERE (%(cohort)s::text IS NULL AND state IN ('ACCEPTED', 'DISPATCHED')) OR cohort_id = %(cohort)s
ORDER BY cohort_id
"""


def next_waves(connection: Connection, cohort_id: str | None = None) -> list[NextWave]:
    """The status of accepted cohorts, or of one whatever its state; empty if there is no such cohort."""
    return [NextWave(*row) for row in connection.execute(NEXT_WAVES, {"cohort": cohort_id}).fetchall()]


def due_dispatches(settings: Settings) -> list[dict[str, object]]:
    """A run for every accepted cohort that has opened and has a wave to plan; run id = cohort.wave.

    The row of a wave that nobody wanted yet is written first, as wanted by the pipeline: a run plans nothing without.
    A plan that waits for its release is named again (its run exists already, or was lost with Airflow's database);
    until it is released nothing more is planned by itself, and after a refusal only by hand. A wave after the first
    is planned when what is released is nearly used up.
    """
    cities = load_cities(settings)
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        due = [
            one
            for one in next_waves(connection)
            if one.opens_on <= day and not one.cohort_id.startswith(CHECKS) and _is_due(connection, cities, one)
        ]
        for one in due:
            want_wave(connection, one.cohort_id, one.wave, PIPELINE)
    return [
        {"trigger_run_id": f"{one.cohort_id}.{one.wave}", "conf": {"cohort_id": one.cohort_id, "wave": one.wave}}
        for one in due
    ]


def _is_due(connection: Connection, cities: Cities, next_wave: NextWave) -> bool:
    if next_wave.plan_waits:
        return True
    return next_wave.cards_wait and not next_wave.refused and _used_up(connection, cities, next_wave)


def _used_up(connection: Connection, cities: Cities, next_wave: NextWave) -> bool:
    """Whether a factory that cards wait for has less work left, of this cohort, than the policy's working days."""
    city = cities[next_wave.city]
    if next_wave.wave == 1 or city.policy.wave_days == 0:
        return True
    rows = connection.execute(
        "SELECT DISTINCT bank FROM card WHERE cohort_no = %s AND state = 'WAITING' AND last_attempt = 0"
        " AND withdrawn IS NULL",
        (next_wave.cohort_no,),
    ).fetchall()
    left: dict[str, int] = dict(
        connection.execute(
            "SELECT j.factory, count(*) FROM job j JOIN plastic p USING (job_id) WHERE j.cohort_no = %s"
            " AND j.cancelled_on IS NULL AND j.job_refused IS NULL"
            " AND coalesce(p.made, p.spoiled, p.item_refused) IS NULL GROUP BY 1",
            (next_wave.cohort_no,),
        ).fetchall()
    )
    factories = [city.partners.partners[city.partners.factory_of_bank[bank]] for (bank,) in rows]
    return any(left.get(one.id, 0) <= city.policy.plan_ahead_days * one.capacity for one in factories)
