"""The cohorts of a demo, and the file that tells the simulators about them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

from issuance.demo.scenarios import QUIET, Scenario
from issuance.words.references import card_ref_of

WORLD = "world.json"
OPENS = date(2025, 10, 9)
"""The day from which all retirees of Beijing renew (domain.md)."""


@dataclass(frozen=True)
class Play:
    """One cohort of a demo: its generated files, its size, and the scenario that it plays, if any."""

    cohort_id: str
    directory: Path
    cards: int
    seed: int
    scenario: Scenario | None = field(default=None, hash=False)


def plays_of(directory: Path, cards: int, seed: int, scenarios: Sequence[Scenario]) -> tuple[Play, ...]:
    """A cohort of separate people for each scenario; without scenarios the demo's one cohort, demo-SEED."""
    if not scenarios:
        return (Play(f"demo-{seed}", directory, cards, seed),)
    names = [f"demo-{scenario.name}" for scenario in scenarios]
    return tuple(
        Play(name, directory / name, cards, seed * 1000 + number, scenario)
        for number, (name, scenario) in enumerate(zip(names, scenarios, strict=True), 1)
    )


def write_world(directory: Path, plays: Sequence[Play]) -> None:
    """Tell the simulators which cohorts they play, and how often what happens to each."""
    scenarios = [play.scenario for play in plays if play.scenario]
    world: dict[str, float] = {name: rate for scenario in scenarios for name, rate in scenario.world.items()}
    rates: list[Mapping[str, float]] = [{**QUIET, **p.scenario.rates} if p.scenario else {} for p in plays]
    cohorts = [
        {"cohort_id": play.cohort_id, "directory": str(play.directory.relative_to(directory)), "rates": own}
        for play, own in zip(plays, rates, strict=True)
    ]
    items = min((scenario.chunk_items for scenario in scenarios), default=1000)
    text = json.dumps({"cohorts": cohorts, "rates": world, "chunk_items": items}, indent=1)
    (directory / WORLD).write_text(text + "\n", encoding="utf-8")


def cohorts_of(directory: Path) -> list[str]:
    """The cohorts of a written world."""
    return [entry["cohort_id"] for entry in json.loads((directory / WORLD).read_text(encoding="utf-8"))["cohorts"]]


@lru_cache(maxsize=64)
def card_refs_of(play: Play) -> frozenset[str]:
    """The cards that the rows of a cohort's file become; refused rows have none."""
    with (play.directory / "applications.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(str(card_ref_of(play.cohort_id, row["application_id"])) for row in csv.DictReader(file))
