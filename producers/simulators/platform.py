"""The platform: some applicants withdraw in the first days after the opening."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from producers.simulators.choices import Key
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import WITHDRAW_DAYS
from producers.simulators.records import Outgoing

Seal = Callable[[dict[str, str]], str]
"""Seals new values to our key."""


class Platform:
    """One platform; the cohort opens on the first day it is told."""

    def __init__(self, desk: Desk, cohort_id: str, applications: Iterator[str], seal: Seal | None = None) -> None:
        self._desk = desk
        self._seal = seal
        self._cohort_id = cohort_id
        self._leaving = [name for name in applications if desk.choices.happens("withdraw", name)]
        self._opened = False

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """A platform has no topic beside its notices."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Nothing is asked of platforms."""

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Applications that were taken here: the first holder withdraws, the others have a new number."""
        for cohort_id, name in items if kind == "applications" else []:
            self._cohort_id = cohort_id
            first = name == items[0][1]
            self._desk.at(day + TOMORROW, partial(self._withdraw if first else self._renumber, name))

    def close(self, day: date) -> None:
        """On the opening day, plan who withdraws when."""
        if not self._opened:
            self._opened = True
            for name in self._leaving:
                when = day + self._desk.choices.days(WITHDRAW_DAYS, "withdraw day", name)
                self._desk.at(when, partial(self._withdraw, name))

    def next_own(self) -> date | None:
        """Nothing beside the agenda."""
        return None

    def _renumber(self, application_id: str, day: date) -> None:
        if self._seal:
            number = self._desk.choices.number("phone", application_id) % 10**8
            self._tell("PHONE_CHANGED", application_id, day, self._seal({"phone": f"154{number:08d}"}))

    def _withdraw(self, application_id: str, day: date) -> None:
        self._tell("WITHDRAWN", application_id, day, None)

    def _tell(self, event: str, application_id: str, day: date, sealed: str | None) -> None:
        event_id = f"{self._cohort_id}.{application_id}.{event}"
        value = {
            "event_id": event_id,
            "source": self._desk.partner,
            "event": event,
            "cohort_id": self._cohort_id,
            "card_ref": None,
            "application_id": application_id,
            "occurred_at": self._desk.choices.moment(day, "WITHDRAWN", application_id),
            "sealed": sealed,
        }
        ce_id = f"{self._desk.partner}/{event_id}"
        self._desk.outgoing.append(
            Outgoing(self._desk.partner, "holder-events", application_id, "holder_event", value, ce_id)
        )


def read_applications(directory: Path) -> Iterator[str]:
    """The application ids of the good rows of a generated cohort, in file order."""
    truth = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
    bad = {defect["line"] for defect in truth["defects"]}
    with (directory / "applications.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        column = next(reader).index("application_id")
        begins = reader.line_num + 1
        for row in reader:
            if begins not in bad:
                yield row[column]
            begins = reader.line_num + 1
