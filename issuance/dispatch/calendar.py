"""The calendar ahead: day by day the cohorts that open, and the load of every factory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import Cities
from issuance.dispatch.demands import Assumptions, CohortAhead, cohorts_ahead, factories_of, read_demands
from issuance.dispatch.forecast import Record
from issuance.dispatch.schedule import Factory, Lot, schedule
from issuance.ledger.connection import Connection, business_day

SHORTEST = 14
"""The minimum number of days that a calendar shows."""


@dataclass(frozen=True)
class CalendarDay:
    """One day ahead: working day or not (None: not known yet), cohorts that open, load of each factory."""

    day: date
    working: bool | None
    opens: list[Record]
    """cohort_id, cards, declared (whether these are declared rows, before acceptance)."""
    load: dict[str, int]
    """Cards by factory."""
    maintenance: list[str]
    """Factories that make nothing on this day."""


def read_calendar(connection: Connection, cities: Cities) -> list[CalendarDay]:
    """The days from the business day to the last one on which a cohort opens or a card is made.

    Raises:
        Misconfigured: cards would be made in a year whose working days are not known.
    """
    assumed = Assumptions()
    day = business_day(connection)
    cohorts = cohorts_ahead(connection, assumed)
    factories = factories_of(cities.partners, assumed)
    demands = read_demands(connection, cities, day, cohorts, assumed)
    lots = schedule(demands, factories, day, STATE_COUNCIL.is_working_day)
    cards: Counter[str] = Counter()
    for demand in demands:
        cards[demand.cohort] += demand.cards
    return draw_calendar(day, cohorts, cards, lots, factories)


def draw_calendar(
    first: date,
    cohorts: Mapping[str, CohortAhead],
    cards: Mapping[str, int],
    lots: Sequence[Lot],
    factories: Mapping[str, Factory],
) -> list[CalendarDay]:
    """The calendar of cohorts and lots; pure, but for the State Council's days."""
    load: dict[date, Counter[str]] = {}
    for lot in lots:
        if lot.made_on:
            load.setdefault(lot.made_on, Counter())[lot.factory] += lot.cards
    coming = [cohort for cohort in cohorts.values() if cohort.opens_on >= first]
    last = max([first + timedelta(days=SHORTEST - 1), *load, *(cohort.opens_on for cohort in coming)])
    return [
        CalendarDay(
            day,
            STATE_COUNCIL.is_working_day(day) if STATE_COUNCIL.is_known(day) else None,
            [_opening(cohort, cards) for cohort in coming if cohort.opens_on == day],
            dict(sorted(load.get(day, Counter()).items())),
            sorted(name for name, factory in factories.items() if day in factory.maintenance),
        )
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    ]


def _opening(cohort: CohortAhead, cards: Mapping[str, int]) -> Record:
    count = cards.get(cohort.cohort_id, 0) or cohort.declared
    return {"cohort_id": cohort.cohort_id, "cards": count, "declared": cohort.declared > 0}
