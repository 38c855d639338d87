"""One partner in real time, as a real client would be: `python -m producers.simulators --live --partner ID … KIND`.

A turn takes the place of a day: every message is lived at once, what takes days takes turns, and all that is reported
happens now. What others do by hand is done by `Neighbours`: keys are loaded as soon as they are asked for, and slips in
the box (docs/conformance.md) are what is brought.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from issuance.clock import day_of
from issuance.errors import Broken
from producers.simulators.choices import Choices, Key
from producers.simulators.records import Parcel, Plastic


class LiveChoices(Choices):
    """Choices of a play whose moments are the present."""

    def __init__(
        self, seed: int, rates: Mapping[str, float], by_subject: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        super().__init__(seed, rates, by_subject)
        self._play = f"{int(time.time() * 10):x}"

    @property
    def stream(self) -> str:
        """A stream of this play: its sequence begins anew."""
        return f"live-{self._play}"

    @property
    def tag(self) -> str:
        """The play, in every id."""
        return f"{self._play}-"

    def written_at(self, day: date) -> datetime:
        """Now."""
        return _now()

    def stated_at(self, day: date, hour: int) -> tuple[date, datetime]:
        """Today and now."""
        present = _now()
        return day_of(present), present

    def moment(self, day: date, step: str, *about: object) -> datetime:
        """Now."""
        return _now()

    def activation_day(self, key: Key, collected_on: date) -> date | None:
        """A few turns later."""
        found = super().activation_day(key, collected_on)
        return min(found, collected_on + timedelta(3)) if found else None


def _now() -> datetime:
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


class Neighbours:
    """The street of a partner that plays alone: what it gives, and what it finds in its box."""

    def __init__(self, kind: str, partner: str, box: Path) -> None:
        self._kind = kind
        self._partner = partner
        self._box = box
        self._read: set[str] = set()
        self._waiting: list[Parcel] = []
        self._letters: dict[str, Any] = {}
        self._parcels = 0

    def give(self, parcels: Iterable[Parcel]) -> None:
        """Take what the partner gives: keys are loaded at once, letters are remembered, the rest goes its way."""
        for parcel in parcels:
            if parcel.kind == "to key":
                self._bring(parcel.available_on, "keyed", parcel.items)
            elif parcel.kind == "letter":
                self._letters |= {number: plastic for plastic, number, _ in parcel.items}

    def take(self, day: date) -> list[Parcel]:
        """What is there by now."""
        for slip in self._slips():
            self._bring(day, *self._parcel(slip))
        here = [parcel for parcel in self._waiting if parcel.available_on <= day]
        self._waiting = [parcel for parcel in self._waiting if parcel.available_on > day]
        return here

    def next_after(self, day: date) -> date | None:
        """Nobody knows."""
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _slips(self) -> Iterator[dict[str, Any]]:
        with suppress(FileNotFoundError):  # the box is made when the first slip is laid down
            for path in sorted(self._box.glob("*.json")):
                if path.name not in self._read:
                    self._read.add(path.name)
                    yield json.loads(path.read_text(encoding="utf-8"))

    def _parcel(self, slip: dict[str, Any]) -> tuple[str, list[Any]]:
        """(kind, items) of a slip, as the players know them."""
        match slip["kind"]:
            case "returned":
                return "returned", [self._letters[slip["tracking_no"]]]
            case "plastics":
                return "plastics", [(slip["handover_id"], slip["to_place"], _plastics(slip))]
            case "to key":
                return "to key", _plastics(slip)
            case "letters":
                letters = [Plastic(number, 1, "", "", "mail", "") for number in slip["tracking_nos"]]
                return "letter", [(plastic, plastic.card_ref, 1) for plastic in letters]
            case "applications":
                return "applications", [(slip["cohort_id"], name) for name in slip["application_ids"]]
            case other:
                raise Broken("SLIP_UNKNOWN", f"nobody knows what to do with {other}")

    def _bring(self, day: date, kind: str, items: list[Any]) -> None:
        self._parcels += 1
        parcel = Parcel(f"box/{self._parcels:06d}", self._kind, self._partner, kind, day, list(items))
        self._waiting.append(parcel)


def _plastics(slip: dict[str, Any]) -> list[Plastic]:
    fields = ("card_ref", "attempt", "bank", "factory", "collection_method", "place")
    return [Plastic(*(one[name] for name in fields)) for one in slip["plastics"]]


def turns(seconds: float) -> Iterator[date]:
    """A day for every turn, from today on, until the process is ended."""
    day = day_of(datetime.now(UTC))
    while True:
        yield day
        day += timedelta(1)
        time.sleep(seconds)
