"""The factories' workload, read from the ledger in groups: waiting cards, cards in jobs, cohorts to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import Cities
from issuance.city.partners import Registry
from issuance.dispatch.schedule import Demand, Factory
from issuance.errors import Misconfigured, Refused
from issuance.ledger.connection import Connection


@dataclass(frozen=True)
class Assumptions:
    """A what-if: cards per working day, extra maintenance days, and opening days of cohorts."""

    capacity: Mapping[str, int] = field(default_factory=dict)
    maintenance: Mapping[str, frozenset[date]] = field(default_factory=dict)
    opens_on: Mapping[str, date] = field(default_factory=dict)


@dataclass(frozen=True)
class CohortAhead:
    """A cohort that is open or to come: its day, and its cards or, before acceptance, the declared ones."""

    cohort_id: str
    city: str
    state: str
    opens_on: date
    declared: int
    """Rows declared of submissions whose intake has not ended."""


def factories_of(registry: Registry, assumed: Assumptions) -> dict[str, Factory]:
    """The factories' calendars, from the registry or the what-if.

    Raises:
        Refused: the what-if names an unknown factory.
    """
    known = {one.id: Factory(one.id, one.capacity, one.maintenance) for one in registry.of_kind("factory")}
    unknown = sorted({*assumed.capacity, *assumed.maintenance} - set(known))
    if unknown:
        raise Refused(
            "FACTORY_UNKNOWN",
            f"没有制卡厂 {', '.join(unknown)}；有 {', '.join(known)}。"
            f" / unknown factory {', '.join(unknown)}; known: {', '.join(known)}.",
        )
    return {
        name: Factory(
            name,
            assumed.capacity.get(name, factory.capacity),
            factory.maintenance | assumed.maintenance.get(name, frozenset()),
        )
        for name, factory in known.items()
    }


def cohorts_ahead(connection: Connection, assumed: Assumptions) -> dict[str, CohortAhead]:
    """Every cohort that is under way or to come, by id, with the opening day of the ledger or the what-if.

    Raises:
        Refused: the what-if names a cohort that is unknown or has ended.
    """
    rows = connection.execute(
        "SELECT cohort_id, city, c.state, opens_on, coalesce(sum(declared) FILTER (WHERE NOT amends"
        " AND s.state IN ('REGISTERED', 'VALIDATED', 'WAITING_FOR_OPERATOR')), 0)::int"
        " FROM cohort c LEFT JOIN submission s USING (cohort_no)"
        " WHERE c.state IN ('REGISTERED', 'ACCEPTED', 'DISPATCHED') GROUP BY c.cohort_no, cohort_id"
        " ORDER BY opens_on, cohort_id"
    ).fetchall()
    found = {row[0]: CohortAhead(*row) for row in rows}
    for cohort_id, day in assumed.opens_on.items():
        if cohort_id not in found:
            raise Refused(
                "COHORT_UNKNOWN",
                f"没有在办或待启动的批次 {cohort_id}。 / no cohort {cohort_id} is open or to come.",
            )
        cohort = found[cohort_id]
        found[cohort_id] = CohortAhead(cohort_id, cohort.city, cohort.state, day, cohort.declared)
    return found


def read_demands(
    connection: Connection,
    cities: Cities,
    day: date,
    cohorts: Mapping[str, CohortAhead],
    assumed: Assumptions,
) -> list[Demand]:
    """The factories' whole workload as of a business day; read-only, in two queries.

    Cohorts that open in a year whose working days are not known are left out.

    Raises:
        Misconfigured: the registry lacks a bank of a card that waits, or a factory that has jobs.
    """
    known = {name: cohort for name, cohort in cohorts.items() if STATE_COUNCIL.is_known(cohort.opens_on)}
    return [
        *_waiting(connection, cities, day, known, assumed),
        *_in_jobs(connection, cities.partners),
        *_declared(cities, day, known),
    ]


def _waiting(
    connection: Connection,
    cities: Cities,
    day: date,
    cohorts: Mapping[str, CohortAhead],
    assumed: Assumptions,
) -> Iterator[Demand]:
    """Cards without a plan; held ones count once they are released. An old card's stop date is a due date too.

    A what-if opening day moves the other due dates.
    """
    rows = connection.execute(
        "SELECT cohort_id, bank, due_on, old_card_generation, CASE WHEN cohort_id = ANY (%s) THEN applied_on END,"
        " count(*)::int FROM card JOIN cohort USING (cohort_no) WHERE card.state = 'WAITING' AND last_attempt = 0"
        " AND withdrawn IS NULL AND cohort.state IN ('ACCEPTED', 'DISPATCHED') GROUP BY 1, 2, 3, 4, 5",
        (list(assumed.opens_on),),
    ).fetchall()
    for cohort_id, bank, due_on, generation, applied_on, cards in rows:
        cohort = cohorts.get(cohort_id)
        if cohort is None:
            continue
        city = cities[cohort.city]
        if applied_on is not None:
            due_on = city.due_on(max(applied_on, cohort.opens_on))
        due_on = min(due_on, city.policy.old_card_stop.get(generation, due_on))
        yield _demand(cities.partners, cohort, bank, due_on, cards, day)


def _in_jobs(connection: Connection, registry: Registry) -> Iterator[Demand]:
    """Plastics in jobs of open cohorts that are still to be made, whether released or waiting for that."""
    rows = connection.execute(
        "SELECT cohort_id, j.bank, j.due_on, count(*)::int, j.factory FROM job j JOIN cohort c USING (cohort_no)"
        " JOIN plastic p USING (job_id) WHERE c.state <> 'CLOSED' AND j.cancelled_on IS NULL AND j.job_refused IS NULL"
        " AND coalesce(p.made, p.spoiled, p.item_refused) IS NULL GROUP BY 1, 2, 3, 5"
    ).fetchall()
    for cohort_id, bank, due_on, cards, factory in rows:
        _require(registry, factory)
        yield Demand(cohort_id, bank, due_on, cards, factory, in_job=True)


def _declared(cities: Cities, day: date, cohorts: Mapping[str, CohortAhead]) -> Iterator[Demand]:
    """Cohorts in intake, by declared rows; their banks are not known yet, so they are spread by factory capacity."""
    for cohort in cohorts.values():
        due_on = cities[cohort.city].due_on(max(cohort.opens_on, day)) if cohort.declared else day
        for bank, cards in spread(cohort.declared, cities.partners).items():
            yield _demand(cities.partners, cohort, bank, due_on, cards, day)


def _demand(registry: Registry, cohort: CohortAhead, bank: str, due_on: date, cards: int, day: date) -> Demand:
    _require(registry, bank)
    opens_on = cohort.opens_on if cohort.opens_on > day else None
    return Demand(
        cohort.cohort_id, bank, due_on, cards, registry.factory_of_bank[bank], registry.spare_of(bank), opens_on
    )


def _require(registry: Registry, partner: str) -> None:
    if partner not in registry.partners:
        raise Misconfigured(
            "PARTNER_GONE",
            f"合作方登记中没有 {partner}，但有卡等它制作：请补登记，或改派其任务。"
            f" / {partner} is not in the partner registry, but cards wait for it: add it, or reassign its jobs.",
            partner=partner,
        )


def spread(cards: int, registry: Registry) -> dict[str, int]:
    """Cards over banks in proportion to the capacity of their primary factories; sums to `cards`, no zeros."""
    primary = {bank: factory for factory in registry.of_kind("factory") for bank in factory.banks}
    weights = {bank: primary[bank].capacity / len(primary[bank].banks) for bank in registry.factory_of_bank}
    whole, before, given = sum(weights.values()), 0.0, 0
    shares: dict[str, int] = {}
    for bank, weight in weights.items():
        before += weight
        upto = round(cards * before / whole)
        shares[bank], given = upto - given, upto
    return {bank: share for bank, share in shares.items() if share}
