"""Scheduling jobs on factories: earliest due date first within each factory's capacity; pure functions.

On one factory, earliest due date first misses a due date only if every order misses one (Jackson 1955).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Demand:
    """A job to schedule: cards of one due date for one factory."""

    job_id: str
    factory: str
    due_on: date
    cards: int


@dataclass(frozen=True)
class Slot:
    """When a job starts and ends on its factory; late when it ends after its due date."""

    job_id: str
    start_on: date
    end_on: date
    late: bool


def schedule(
    demands: Iterable[Demand],
    capacity: Mapping[str, int],
    first_day: date,
    is_working_day: Callable[[date], bool],
) -> list[Slot]:
    """A slot for every job; capacity is cards per working day of each factory.

    Jobs of one factory follow each other without a gap; `first_day` counts if it is worked.
    """
    slots: list[Slot] = []
    by_factory: dict[str, list[Demand]] = {}
    for demand in demands:
        by_factory.setdefault(demand.factory, []).append(demand)
    for factory, queue in sorted(by_factory.items()):
        days = _WorkingDays(first_day, is_working_day)
        made = 0
        for demand in sorted(queue, key=lambda one: (one.due_on, one.job_id)):
            start = days[made // capacity[factory]]
            made += demand.cards
            end = days[(made - 1) // capacity[factory]]
            slots.append(Slot(demand.job_id, start, end, end > demand.due_on))
    return slots


class _WorkingDays:
    """The n-th working day from a first day on."""

    def __init__(self, first_day: date, is_working_day: Callable[[date], bool]) -> None:
        self._is_working_day = is_working_day
        self._next = first_day
        self._days: list[date] = []

    def __getitem__(self, n: int) -> date:
        while len(self._days) <= n:
            if self._is_working_day(self._next):
                self._days.append(self._next)
            self._next += timedelta(days=1)
        return self._days[n]
