"""The planner: on one factory it misses no due date that could be met; across factories a move harms nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.city.calendar import STATE_COUNCIL
from issuance.dispatch.schedule import Demand, Factory, Lot, schedule
from issuance.errors import Misconfigured

FRIDAY = date(2025, 10, 10)
"""Followed by a make-up Saturday that is worked."""
MONDAY = date(2025, 10, 13)


def five_days(day: date) -> bool:
    """Monday to Friday."""
    return day.weekday() < 5


def demand(
    cards: int, due_on: date, opens_on: date | None = None, cohort: str = "c", backup: str | None = None
) -> Demand:
    """Cards of one bank on the factory F."""
    return Demand(cohort, "B", due_on, cards, "F", backup, opens_on)


def made(lots: Sequence[Lot]) -> list[tuple[str, str, int | None, int, bool]]:
    """(cohort, factory, day of the month, cards, late) of every lot."""
    return [(lot.demand.cohort, lot.factory, lot.made_on and lot.made_on.day, lot.cards, lot.late) for lot in lots]


def on_f(*demands: Demand, capacity: int = 10, maintenance: frozenset[date] = frozenset()) -> list[Lot]:
    return schedule(demands, {"F": Factory("F", capacity, maintenance)}, FRIDAY, five_days)


def test_the_earliest_due_date_goes_first_within_capacity_and_working_days() -> None:
    assert made(on_f(demand(30, date(2025, 11, 1), cohort="late"), demand(20, MONDAY, cohort="soon"))) == [
        ("soon", "F", 10, 10, False),
        ("soon", "F", 13, 10, False),
        ("late", "F", 14, 10, False),
        ("late", "F", 15, 10, False),
        ("late", "F", 16, 10, False),
    ]


def test_only_the_cards_past_the_due_date_are_late() -> None:
    assert made(on_f(demand(11, FRIDAY))) == [("c", "F", 10, 10, False), ("c", "F", 13, 1, True)]


def test_nothing_is_made_on_maintenance_days_or_holidays() -> None:
    assert made(on_f(demand(5, FRIDAY), maintenance=frozenset({FRIDAY}))) == [("c", "F", 13, 5, True)]
    holiday = date(2025, 10, 1)
    lots = schedule([demand(15, MONDAY)], {"F": Factory("F", 10)}, holiday, STATE_COUNCIL.is_working_day)
    assert [lot.made_on for lot in lots] == [date(2025, 10, 9), FRIDAY]


def test_a_make_up_saturday_is_worked() -> None:
    lots = schedule([demand(15, MONDAY)], {"F": Factory("F", 10)}, FRIDAY, STATE_COUNCIL.is_working_day)
    assert [lot.made_on for lot in lots] == [FRIDAY, date(2025, 10, 11)]


def test_a_cohort_waits_for_its_opening_day_and_then_goes_by_due_date() -> None:
    early = demand(30, date(2025, 10, 31), cohort="open")
    coming = demand(10, date(2025, 10, 14), opens_on=date(2025, 10, 14), cohort="coming")
    assert [(lot.demand.cohort, lot.made_on and lot.made_on.day) for lot in on_f(early, coming)] == [
        ("open", 10), ("open", 13), ("coming", 14), ("open", 15),
    ]  # fmt: skip


def test_a_factory_without_capacity_never_makes_its_cards() -> None:
    assert made(on_f(demand(5, MONDAY), capacity=0)) == [("c", "F", None, 5, True)]


def test_days_of_an_unknown_year_are_a_clear_error_when_cards_need_them() -> None:
    with pytest.raises(Misconfigured, match="CALENDAR_UNKNOWN"):
        schedule([demand(9, date(2049, 1, 1))], {"F": Factory("F", 1)}, date(2049, 1, 1), STATE_COUNCIL.is_working_day)


# The backup


def with_backup(*demands: Demand, spare: int = 10) -> list[Lot]:
    factories = {"F": Factory("F", 10), "R": Factory("R", spare)}
    return schedule(demands, factories, FRIDAY, five_days)


def test_what_would_be_late_goes_to_the_backup_as_far_as_it_fits() -> None:
    assert made(with_backup(demand(25, FRIDAY, backup="R"))) == [
        ("c", "F", 10, 10, False),
        ("c", "F", 13, 5, True),
        ("c", "R", 10, 10, False),
    ]


def test_nothing_moves_that_can_be_made_in_time() -> None:
    assert {lot.factory for lot in with_backup(demand(20, MONDAY, backup="R"))} == {"F"}


def test_what_is_in_a_job_stays_and_what_may_move_makes_room() -> None:
    fixed = Demand("fixed", "B", FRIDAY, 10, "F", "R", in_job=True)
    free = demand(10, FRIDAY, cohort="free", backup="R")
    assert made(with_backup(free, fixed)) == [("fixed", "F", 10, 10, False), ("free", "R", 10, 10, False)]


def test_a_backup_that_is_late_itself_takes_nothing() -> None:
    own = Demand("own", "X", FRIDAY, 11, "R")
    assert {lot.factory for lot in with_backup(demand(15, FRIDAY, backup="R"), own) if lot.demand.cohort == "c"} == {
        "F"
    }


# Properties

HORIZON = 12
days = st.integers(0, HORIZON - 1).map(lambda n: FRIDAY + timedelta(days=n))


@st.composite
def demands_of(draw: st.DrawFn, factory: str = "F", backup: str | None = None) -> list[Demand]:
    """Demands with opening and due days, some of them impossible together."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        opens, due = sorted((draw(days), draw(days)))
        opening = opens if draw(st.booleans()) else None
        found.append(Demand(f"{factory}{number}", factory, due, draw(st.integers(1, 25)), factory, backup, opening))
    return found


def feasible(demands: Sequence[Demand], factory: Factory) -> bool:
    """Hall's condition: whatever must be made within two days fits between them."""
    return all(
        sum(one.cards for one in demands if (one.opens_on or FRIDAY) >= first and one.due_on <= last)
        <= factory.capacity * worked(factory, first, last)
        for first in {one.opens_on or FRIDAY for one in demands}
        for last in {one.due_on for one in demands}
        if first <= last
    )


def worked(factory: Factory, first: date, last: date) -> int:
    """Days on which a factory works, both ends counted."""
    span = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return sum(five_days(day) and day not in factory.maintenance for day in span)


@given(demands_of(), st.integers(1, 12), st.frozensets(days, max_size=3))
def test_on_one_factory_no_feasible_plan_is_missed(demands: list[Demand], capacity: int, off: frozenset[date]) -> None:
    factory = Factory("F", capacity, off)
    lots = schedule(demands, {"F": factory}, FRIDAY, five_days)
    assert feasible(demands, factory) == (not any(lot.late for lot in lots))


@given(demands_of("F", "R"), demands_of("R"), st.integers(1, 12), st.integers(0, 12), st.frozensets(days, max_size=3))
def test_a_plan_over_two_factories_is_sound(
    free: list[Demand], own: list[Demand], capacity: int, spare: int, off: frozenset[date]
) -> None:
    factories = {"F": Factory("F", capacity, off), "R": Factory("R", spare)}
    lots = schedule([*free, *own], factories, FRIDAY, five_days)
    counts: Counter[str] = Counter()
    load: Counter[tuple[str, date | None]] = Counter()
    for lot in lots:
        counts[lot.demand.cohort] += lot.cards
        load[lot.factory, lot.made_on] += lot.cards

        if lot.made_on:
            assert five_days(lot.made_on)
            assert lot.made_on not in factories[lot.factory].maintenance
            assert lot.made_on >= (lot.demand.opens_on or FRIDAY)
    assert counts == Counter({one.cohort: one.cards for one in [*free, *own]})
    assert all(cards <= factories[name].capacity for (name, day), cards in load.items() if day)


@given(demands_of("F", "R"), demands_of("R"), st.integers(1, 12), st.integers(1, 12))
def test_a_move_makes_no_card_of_the_backups_own_late(
    free: list[Demand], own: list[Demand], capacity: int, spare: int
) -> None:
    factories = {"F": Factory("F", capacity), "R": Factory("R", spare)}
    alone = schedule(own, factories, FRIDAY, five_days)
    together = schedule([*free, *own], factories, FRIDAY, five_days)
    mine = [lot for lot in together if lot.demand.cohort.startswith("R")]
    assert sum(lot.cards for lot in mine if lot.late) <= sum(lot.cards for lot in alone if lot.late)


@given(demands_of("F", "R"), st.integers(1, 12), st.integers(0, 12))
def test_a_backup_never_makes_it_worse(free: list[Demand], capacity: int, spare: int) -> None:
    factories = {"F": Factory("F", capacity), "R": Factory("R", spare)}
    without = schedule([Demand(**{**vars(one), "backup": None}) for one in free], factories, FRIDAY, five_days)
    shared = schedule(free, factories, FRIDAY, five_days)
    assert sum(lot.cards for lot in shared if lot.late) <= sum(lot.cards for lot in without if lot.late)
