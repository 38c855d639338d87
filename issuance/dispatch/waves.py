"""Cutting a cohort's schedule into waves, and a wave into jobs; pure functions over lots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from issuance.dispatch.schedule import Factory, Lot


@dataclass(frozen=True)
class Allotment:
    """Of a bank's cards of one due date, in block order, those after `after` up to `upto` (1 first) go to a factory."""

    bank: str
    due_on: date
    factory: str
    after: int
    upto: int


def take_wave(lots: Sequence[Lot], factories: Mapping[str, Factory], wave_days: int) -> list[Lot]:
    """The lots of a cohort's next wave: of each factory the first, as many as it makes in `wave_days` working days.

    0 takes everything. A lot that goes past the end is cut.
    """
    return list(next(cut_waves(lots, factories, wave_days), []))


def cut_waves(lots: Sequence[Lot], factories: Mapping[str, Factory], wave_days: int) -> Iterator[list[Lot]]:
    """All waves of one cohort's lots, in order."""
    rest = list(lots)
    while rest:
        room = {name: wave_days * factory.capacity for name, factory in factories.items()}
        wave: list[Lot] = []
        after: list[Lot] = []
        for lot in rest:
            cards = lot.cards if wave_days == 0 else min(lot.cards, room[lot.factory])
            room[lot.factory] -= cards
            wave += [replace(lot, cards=cards)] if cards else []
            after += [replace(lot, cards=lot.cards - cards)] if cards < lot.cards else []
        if not wave:  # factories without any capacity: no later wave would give them any
            wave, after = rest, []
        yield wave
        rest = after


def allot(lots: Sequence[Lot]) -> list[Allotment]:
    """Which of a bank's cards of one due date go where, the primary factory's first."""
    cards: Counter[tuple[str, date, bool, str]] = Counter()
    for lot in lots:
        moved = lot.demand.backup is None
        cards[lot.demand.bank, lot.demand.due_on, moved, lot.factory] += lot.cards
    alloted: list[Allotment] = []
    upto: Counter[tuple[str, date]] = Counter()
    for (bank, due_on, _, factory), count in sorted(cards.items()):
        after = upto[bank, due_on]
        upto[bank, due_on] += count
        alloted.append(Allotment(bank, due_on, factory, after, after + count))
    return alloted


def job_starts(lots: Sequence[Lot], wave: str, size: int, first_day: date) -> dict[str, date]:
    """The day on which each job's first card is made; a job is `size` cards of one bank and factory, by due date.

    Job ids are WAVE.BANK.FACTORY.NNNN. What is never made starts on `first_day`, as far as anybody can say.
    """
    queues: dict[tuple[str, str], list[Lot]] = {}
    for lot in lots:
        queues.setdefault((lot.demand.bank, lot.factory), []).append(lot)
    starts: dict[str, date] = {}
    for (bank, factory), queue in sorted(queues.items()):
        before = 0
        for lot in sorted(queue, key=lambda one: (one.demand.due_on, one.made_on or date.max)):
            for number in range(-(-before // size), -(-(before + lot.cards) // size)):
                starts[f"{wave}.{bank}.{factory}.{number + 1:04d}"] = lot.made_on or first_day
            before += lot.cards
    return starts
