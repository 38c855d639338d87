"""Scheduling cards on factories: earliest due date first within each factory's working days; pure functions.

What is promised. On one factory, earliest due date first, day by day over what may be made by then, misses a due date
only if every order misses one (Jackson 1955; with opening days and cards as units: Horn 1974). Under overload it does
not minimise how many cards are late: what is overdue goes first, since people wait for it. Across factories it is a
heuristic: what a bank's primary factory cannot make in time goes to the backup as far as that has free days before the
due date, the earliest due date first. A move never makes a card of the backup's own late, and what is already in a job
never moves; but moving something else might have saved more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from heapq import heappop, heappush

from issuance.errors import Misconfigured

IsWorkingDay = Callable[[date], bool]


@dataclass(frozen=True)
class Factory:
    """A factory's calendar: cards a working day, and the days on which it makes none."""

    id: str
    capacity: int
    maintenance: frozenset[date] = frozenset()


@dataclass(frozen=True)
class Demand:
    """Cards of one cohort, bank and due date, which are interchangeable."""

    cohort: str
    bank: str
    due_on: date
    cards: int
    factory: str
    backup: str | None = None
    """Where they may be made instead."""
    opens_on: date | None = None
    """The first day on which they may be made; None: at once."""
    in_job: bool = False
    """They are already in a job and do not move."""


@dataclass(frozen=True)
class Lot:
    """Cards of one demand that one factory makes on one day; None: never, it has no capacity."""

    demand: Demand
    factory: str
    made_on: date | None
    cards: int

    @property
    def late(self) -> bool:
        """Whether they miss their due date."""
        return self.made_on is None or self.made_on > self.demand.due_on


def schedule(
    demands: Iterable[Demand], factories: Mapping[str, Factory], first_day: date, is_working_day: IsWorkingDay
) -> list[Lot]:
    """When and where every card is made, in the order of factories and days; `first_day` counts if it is worked.

    Raises:
        Misconfigured: cards would be made in a year whose working days are not known.
        KeyError: a demand names an unknown factory.
    """
    placed = share(list(demands), factories, first_day, is_working_day)
    lots: list[Lot] = []
    for factory, queue in sorted(_by_factory(placed).items()):
        lots += _make(queue, WorkDays(factories[factory], first_day, is_working_day))
    return lots


class WorkDays:
    """The days on which a factory makes cards, from a first day on, looked up as far as they are asked for."""

    def __init__(self, factory: Factory, first_day: date, is_working_day: IsWorkingDay) -> None:
        self.factory = factory
        self._is_working_day = is_working_day
        self._next = first_day
        self._days: list[date] = []

    def __getitem__(self, n: int) -> date:
        """The n-th of them, from 0."""
        while len(self._days) <= n:
            self._look()
        return self._days[n]

    def at_or_after(self, day: date | None) -> int:
        """The number of the first of them that is not before a day."""
        while day is not None and self._next < day:
            self._look()
        return 0 if day is None else bisect_left(self._days, day)

    def until(self, day: date) -> int:
        """How many of them end by a day; those of a year that is not known yet are not counted on."""
        try:
            while self._next <= day:
                self._look()
        except Misconfigured:
            pass
        return bisect_right(self._days, day)

    def _look(self) -> None:
        if self._is_working_day(self._next) and self._next not in self.factory.maintenance:
            self._days.append(self._next)
        self._next += timedelta(days=1)


def _by_factory(demands: Iterable[Demand]) -> dict[str, list[Demand]]:
    queues: dict[str, list[Demand]] = {}
    for demand in demands:
        queues.setdefault(demand.factory, []).append(demand)
    return queues


def _order(demand: Demand) -> tuple[date, str, str]:
    """Earliest due date first; the rest makes the order deterministic."""
    return demand.due_on, demand.cohort, demand.bank


def _make(queue: Sequence[Demand], days: WorkDays) -> list[Lot]:
    """The lots of one factory: every day the earliest due of what may be made by then."""
    capacity = days.factory.capacity
    if capacity <= 0:
        return [Lot(demand, days.factory.id, None, demand.cards) for demand in sorted(queue, key=_order)]
    coming = sorted(queue, key=lambda one: (one.opens_on or date.min, *_order(one)), reverse=True)
    open_now: list[tuple[tuple[date, str, str], int, int, Demand]] = []
    lots: list[Lot] = []
    day = 0
    while coming or open_now:
        if not open_now:
            day = max(day, days.at_or_after(coming[-1].opens_on))
        while coming and (coming[-1].opens_on or date.min) <= days[day]:
            demand = coming.pop()
            heappush(open_now, (_order(demand), len(coming), demand.cards, demand))
        room = capacity
        while open_now and room:
            order, number, cards, demand = heappop(open_now)
            made = min(cards, room)
            room -= made
            if made:
                lots.append(Lot(demand, days.factory.id, days[day], made))
            if cards > made:
                heappush(open_now, (order, number, cards - made, demand))
        day += 1
    return lots


def share(
    demands: Sequence[Demand], factories: Mapping[str, Factory], first_day: date, is_working_day: IsWorkingDay
) -> list[Demand]:
    """The same cards, with what the primary factories cannot make in time moved to backups that can."""
    names = {one.factory for one in demands} | {one.backup for one in demands if one.backup}
    rooms = {name: _Room(WorkDays(factories[name], first_day, is_working_day)) for name in names}
    excess = _place(demands, rooms)
    overfull = {demands[number].factory for number in excess}
    parted = list(demands)
    for number in sorted(excess, key=lambda one: _order(demands[one])):
        demand = demands[number]
        if demand.backup and not demand.in_job and demand.backup not in overfull:
            moved = excess[number] - rooms[demand.backup].take(demand, excess[number])
            parted[number] = replace(demand, cards=demand.cards - moved)
            parted.append(replace(demand, factory=demand.backup, backup=None, cards=moved))
    return [demand for demand in parted if demand.cards]


def _place(demands: Sequence[Demand], rooms: Mapping[str, _Room]) -> dict[int, int]:
    """Place every demand on its own factory's free days; returns how many cards of which find no day in time.

    The last to open chooses first, always the latest free day: so the most cards are placed (a greedy matching of
    intervals). On a tie, what is in a job goes before what may still move.
    """
    by_opening = sorted(
        range(len(demands)),
        key=lambda one: (
            demands[one].opens_on or date.min,
            demands[one].in_job,
            -demands[one].due_on.toordinal(),
        ),
        reverse=True,
    )
    left = {one: rooms[demands[one].factory].take(demands[one], demands[one].cards) for one in by_opening}
    return {number: cards for number, cards in left.items() if cards}


class _Room:
    """What a factory can still make, day by day, with everything placed as late as its due date allows."""

    def __init__(self, days: WorkDays) -> None:
        self._days = days
        self._free: list[int] = []

    def take(self, demand: Demand, cards: int) -> int:
        """Place cards on the latest free days from opening to due date; returns how many found none."""
        first, end = self._days.at_or_after(demand.opens_on), self._days.until(demand.due_on)
        self._free += [max(self._days.factory.capacity, 0)] * (end - len(self._free))
        for day in range(end - 1, first - 1, -1):
            if not cards:
                break
            made = min(cards, self._free[day])
            self._free[day] -= made
            cards -= made
        return cards
