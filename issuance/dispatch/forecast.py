"""The forecast before release: when factories and cohorts finish, which cards breach, which waves they leave in.

Reads the ledger and changes nothing; a what-if replaces capacities, maintenance days or opening days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import Cities
from issuance.dispatch.demands import (
    Assumptions,
    CohortAhead,
    cohorts_ahead,
    factories_of,
    read_demands,
)
from issuance.dispatch.schedule import Factory, Lot, schedule
from issuance.dispatch.waves import cut_waves
from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day

Record = dict[str, Any]


@dataclass(frozen=True)
class Forecast:
    """What is forecast as of a business day; days are None where cards are never made."""

    day: date
    cohorts: list[Record]
    factories: list[Record]
    late: list[Record]
    waves: list[Record]
    unknown: list[str]
    """Cohorts that open in a year whose working days are not known yet."""

    def as_dict(self) -> Record:
        """For --json."""
        return dict(vars(self))


def forecast(
    connection: Connection,
    cities: Cities,
    named: Sequence[str] = (),
    assumed: Assumptions | None = None,
) -> Forecast:
    """The forecast of all open and coming cohorts together; `named` shows only these, among all the others.

    Raises:
        Refused: a cohort is not open or to come, or the what-if names an unknown factory.
        Misconfigured: cards would be made in a year whose working days are not known.
    """
    assumed = assumed or Assumptions()
    day = business_day(connection)
    factories = factories_of(cities.partners, assumed)
    cohorts = cohorts_ahead(connection, assumed)
    for cohort_id in named:
        if cohort_id not in cohorts:
            raise Refused(
                "COHORT_UNKNOWN",
                f"没有在办或待启动的批次 {cohort_id}。 / no cohort {cohort_id} is open or to come.",
            )
    demands = read_demands(connection, cities, day, cohorts, assumed)
    lots = schedule(demands, factories, day, STATE_COUNCIL.is_working_day)
    shown = {name: cohort for name, cohort in cohorts.items() if name in named or not named}
    waves = [
        wave
        for name, cohort in shown.items()
        for wave in wave_records(name, _waiting(lots, name), factories, cities[cohort.city].policy.wave_days)
    ]
    return Forecast(
        day,
        cohort_records(lots, shown),
        factory_records(lots, factories),
        late_records(lot for lot in lots if lot.demand.cohort in shown),
        waves,
        [name for name, cohort in shown.items() if not STATE_COUNCIL.is_known(cohort.opens_on)],
    )


def _waiting(lots: Iterable[Lot], cohort_id: str) -> list[Lot]:
    return [lot for lot in lots if lot.demand.cohort == cohort_id and not lot.demand.in_job]


def finish_of(lots: Sequence[Lot]) -> date | None:
    """The day on which the last of these is made; None when one never is, or there are none."""
    days = [lot.made_on for lot in lots if lot.made_on]
    return max(days) if lots and len(days) == len(lots) else None


def late_cards(lots: Iterable[Lot]) -> int:
    """How many of these miss their due date."""
    return sum(lot.cards for lot in lots if lot.late)


def cohort_records(lots: Sequence[Lot], cohorts: Mapping[str, CohortAhead]) -> list[Record]:
    """A record for every cohort: cards to be made, the last day of making, how many are late."""
    of = _grouped(lots, lambda lot: lot.demand.cohort)
    return [
        {
            "cohort_id": name,
            "state": cohort.state.lower(),
            "opens_on": cohort.opens_on,
            "cards": sum(lot.cards for lot in of.get(name, ())),
            "in_jobs": sum(lot.cards for lot in of.get(name, ()) if lot.demand.in_job),
            "finish_on": finish_of(of.get(name, ())),
            "late_cards": late_cards(of.get(name, ())),
        }
        for name, cohort in cohorts.items()
    ]


def factory_records(lots: Sequence[Lot], factories: Mapping[str, Factory]) -> list[Record]:
    """A record for every factory: capacity, load, finishing day, late cards, cards moved to it as a backup."""
    of = _grouped(lots, lambda lot: lot.factory)
    return [
        {
            "factory": name,
            "capacity": factory.capacity,
            "cards": sum(lot.cards for lot in of.get(name, ())),
            "finish_on": finish_of(of.get(name, ())),
            "late_cards": late_cards(of.get(name, ())),
            "as_backup": sum(lot.cards for lot in of.get(name, ()) if _moved(lot)),
        }
        for name, factory in factories.items()
    ]


def late_records(lots: Iterable[Lot]) -> list[Record]:
    """The cards that breach, by cohort, factory and due date, with the last day on which one of them is made."""
    of = _grouped([lot for lot in lots if lot.late], lambda lot: (lot.demand.due_on, lot.demand.cohort, lot.factory))
    return [
        {
            "cohort_id": cohort,
            "factory": factory,
            "due_on": due_on,
            "cards": sum(lot.cards for lot in late),
            "made_on": finish_of(late),
        }
        for (due_on, cohort, factory), late in sorted(of.items())
    ]


def wave_records(cohort_id: str, lots: Sequence[Lot], factories: Mapping[str, Factory], wave_days: int) -> list[Record]:
    """The waves in which what waits of a cohort would leave, numbered from the next one on."""
    return [
        {
            "cohort_id": cohort_id,
            "wave": f"+{number}",
            "cards": sum(lot.cards for lot in wave),
            "first_on": min((lot.made_on for lot in wave if lot.made_on), default=None),
            "finish_on": finish_of(wave),
            "late_cards": late_cards(wave),
        }
        for number, wave in enumerate(cut_waves(lots, factories, wave_days), 1)
    ]


def wave_forecast(lots: Sequence[Lot], jobs: int, waiting: int) -> Record:
    """What a releaser should know about a wave: jobs, each factory's last day, late and moved cards, what is left."""
    finish = {name: finish_of(of) for name, of in sorted(_grouped(lots, lambda lot: lot.factory).items())}
    moved: Counter[str] = Counter()
    for lot in lots:
        moved[lot.factory] += lot.cards if _moved(lot) else 0
    late = [{key: _text(value) for key, value in one.items() if key != "cohort_id"} for one in late_records(lots)]
    return {
        "jobs": jobs,
        "finish": {name: _text(day) for name, day in finish.items()},
        "late_cards": late_cards(lots),
        "late": late,
        "moved": {name: cards for name, cards in sorted(moved.items()) if cards},
        "left": waiting - sum(lot.cards for lot in lots),
    }


def _moved(lot: Lot) -> bool:
    return lot.demand.backup is None and not lot.demand.in_job


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _grouped(lots: Iterable[Lot], key: Any) -> dict[Any, list[Lot]]:
    groups: dict[Any, list[Lot]] = {}
    for lot in lots:
        groups.setdefault(key(lot), []).append(lot)
    return groups
