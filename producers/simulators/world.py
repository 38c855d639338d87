"""Which cohorts are played, and how often what happens to each: world.json in the directory of a play."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from issuance.words.references import card_ref_of
from producers.simulators.rates import rates_with

FILE = "world.json"


class Application(NamedTuple):
    """A good row of a generated cohort, as its platform knows it; no personal data."""

    cohort_id: str
    application_id: str
    bank: str
    method: str
    owes: bool = False
    """Whether a fee is still to be paid."""

    @property
    def card_ref(self) -> str:
        """The card it becomes."""
        return str(card_ref_of(self.cohort_id, self.application_id))


@dataclass(frozen=True)
class Play:
    """One cohort: where its generated files lie, and its own rates (absent: those of the world)."""

    cohort_id: str
    directory: Path
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """All cohorts of a play, the rates of what belongs to no cohort, and how much a statement's chunk holds."""

    plays: tuple[Play, ...]
    rates: Mapping[str, float] = field(default_factory=dict)
    chunk_items: int = 1000

    def applications(self) -> Iterator[Application]:
        """The good rows of every cohort."""
        for play in self.plays:
            yield from read_applications(play)

    def rates_by_subject(self, rates: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
        """The rates of each application id and card of cohorts that have rates of their own, on top of `rates`."""
        found: dict[str, Mapping[str, float]] = {}
        for play in self.plays:
            if play.rates:
                own = {**rates, **play.rates}
                for application in read_applications(play):
                    found[application.application_id] = found[application.card_ref] = own
        return found


def read_world(directory: Path) -> World:
    """The world of a directory.

    Raises:
        ValueError: a rate has no such name, or lies outside 0..1.
    """
    found = json.loads((directory / FILE).read_text(encoding="utf-8"))
    plays = tuple(
        Play(entry["cohort_id"], directory / entry["directory"], _checked(entry["rates"])) for entry in found["cohorts"]
    )
    return World(plays, _checked(found["rates"]), found["chunk_items"])


def _checked(rates: Mapping[str, float]) -> dict[str, float]:
    known = rates_with(f"{name}={rate}" for name, rate in rates.items())
    return {name: known[name] for name in rates}


def read_applications(play: Play) -> Iterator[Application]:
    """The good rows of a generated cohort, in file order."""
    truth = json.loads((play.directory / "truth.json").read_text(encoding="utf-8"))
    bad = {defect["line"] for defect in truth["defects"]}
    with (play.directory / "applications.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        columns = [header.index(name) for name in ("application_id", "bank_code", "collection_method")]
        fee = header.index("fee_status")
        begins = reader.line_num + 1
        for row in reader:
            if begins not in bad:
                yield Application(play.cohort_id, *(row[column] for column in columns), row[fee] == "unpaid")
            begins = reader.line_num + 1
