"""A cohort's schedule cut into waves, waves into jobs: nothing is lost, doubled or too large; and how fast."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.planner import demands
from issuance.city.calendar import STATE_COUNCIL
from issuance.city.partners import load_registry
from issuance.dispatch.demands import Assumptions, factories_of
from issuance.dispatch.schedule import Demand, Factory, Lot, schedule
from issuance.dispatch.waves import allot, cut_waves, job_starts, take_wave
from issuance.settings import ROOT

FIRST = date(2025, 10, 9)
FACTORIES = {"F": Factory("F", 3), "G": Factory("G", 5), "R": Factory("R", 4)}


@st.composite
def lots_of(draw: st.DrawFn) -> list[Lot]:
    """The lots of one cohort: two banks, factories of their own and one backup."""
    found = [
        Demand("c", bank, FIRST + timedelta(days=draw(st.integers(0, 9))), draw(st.integers(1, 20)), factory, "R")
        for bank, factory in draw(st.lists(st.sampled_from([("A", "F"), ("B", "G"), ("C", "G")]), max_size=6))
    ]
    return schedule(found, FACTORIES, FIRST, STATE_COUNCIL.is_working_day)


def cards_of(lots: list[Lot]) -> Counter[tuple[str, date, str]]:
    """Cards by bank, due date and factory."""
    counts: Counter[tuple[str, date, str]] = Counter()
    for lot in lots:
        counts[lot.demand.bank, lot.demand.due_on, lot.factory] += lot.cards
    return counts


@given(lots_of(), st.integers(0, 3))
def test_waves_hold_everything_once_and_no_more_than_their_working_days(lots: list[Lot], wave_days: int) -> None:
    waves = list(cut_waves(lots, FACTORIES, wave_days))
    assert sum((cards_of(wave) for wave in waves), Counter()) == cards_of(lots)
    assert len(waves) <= 1 or wave_days > 0
    assert take_wave(lots, FACTORIES, wave_days) == (waves[0] if waves else [])
    for wave in waves if wave_days else ():
        load = Counter[str]()
        for lot in wave:
            load[lot.factory] += lot.cards
        assert all(cards <= wave_days * FACTORIES[name].capacity for name, cards in load.items())


@given(lots_of())
def test_an_earlier_wave_is_made_before_a_later_one_on_every_factory(lots: list[Lot]) -> None:
    waves = list(cut_waves(lots, FACTORIES, 1))
    for before, after in pairwise(waves):
        for factory in FACTORIES:
            last = max((lot.made_on or date.max for lot in before if lot.factory == factory), default=date.min)
            first = min((lot.made_on or date.max for lot in after if lot.factory == factory), default=date.max)
            assert last <= first


@given(lots_of())
def test_every_card_of_a_bank_and_due_date_is_allotted_once(lots: list[Lot]) -> None:
    alloted = allot(lots)
    wanted = cards_of(lots)
    assert Counter({(one.bank, one.due_on, one.factory): one.upto - one.after for one in alloted}) == wanted
    for bank, due_on in {(one.bank, one.due_on) for one in alloted}:
        ranges = sorted((one.after, one.upto) for one in alloted if (one.bank, one.due_on) == (bank, due_on))
        assert [after for after, _ in ranges] == [0, *(upto for _, upto in ranges[:-1])]


@given(lots_of(), st.integers(1, 7))
def test_every_job_has_the_day_of_its_first_card(lots: list[Lot], size: int) -> None:
    cards: Counter[tuple[str, str]] = Counter()
    for lot in lots:
        cards[lot.demand.bank, lot.factory] += lot.cards
    starts = job_starts(lots, "c.1", size, FIRST)
    jobs = {
        f"c.1.{bank}.{factory}.{n + 1:04d}"
        for (bank, factory), count in cards.items()
        for n in range(-(-count // size))
    }
    assert set(starts) == jobs
    for (bank, factory), count in cards.items():
        days = [starts[f"c.1.{bank}.{factory}.{n + 1:04d}"] for n in range(-(-count // size))]
        assert days == sorted(days)
        assert days[0] == min(lot.made_on or FIRST for lot in lots if (lot.demand.bank, lot.factory) == (bank, factory))


def test_three_million_cards_over_sixteen_factories_are_planned_within_ten_seconds() -> None:
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    given_ = list(demands(registry, 3_000_000, 60_000))
    assert sum(one.cards for one in given_) == 3_000_000
    started = time.perf_counter()
    lots = schedule(given_, factories_of(registry, Assumptions()), date(2025, 3, 3), STATE_COUNCIL.is_working_day)
    assert time.perf_counter() - started < 10
    assert sum(lot.cards for lot in lots) == 3_000_000
    assert len(registry.of_kind("factory")) == 16
