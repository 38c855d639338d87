"""A carrier: posts letters, brings them, loses some and returns some; its reports know tracking numbers only."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

from producers.simulators.choices import Key
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import (
    DELIVER_DAYS,
    DELIVER_LOST_DAYS,
    LOSE_DAYS,
    RETURN_DAYS,
    SILENT_AFTER,
    SILENT_DAYS,
    TURN_UP_DAYS,
)
from producers.simulators.records import Envelope, Fact, Letter, Plastic

MAIL = Envelope("mail")
TRANSIT = ("EMB", "EMC", "EMD")
CODES = {
    "POSTED": "EMA",
    "OUT_FOR_DELIVERY": "EDG",
    "AT_PICKUP_POINT": "EDH",
    "DELIVERY_FAILED": "EMH",
    "DELIVERED": "EMI",
}
"""UPU EMSEVT, used by EMS alone."""
NOBODY_THERE = ("CLOSED", "OTHER")
RETURNS = ("MOVED", "UNKNOWN_AT_ADDRESS", "NOT_COLLECTED_IN_TIME", "ADDRESS_INCOMPLETE")


class Carrier:
    """One carrier."""

    def __init__(self, desk: Desk, hrss: str) -> None:
        self._desk = desk
        self._hrss = hrss
        self._on_the_way: dict[Key, Letter] = {}
        self._stopped: set[Key] = set()
        self._silent: tuple[date, date] | None = None
        """Between which days nothing is reported."""

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """A carrier has no topic beside its notices."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Nothing is asked of carriers."""

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Letters, and word that a plastic is cancelled: its letter goes back."""
        for item in items:
            if kind == "stopped":
                self._recall(day, (item[0], item[1]))
            elif kind == "letter":
                plastic, number, trip = item
                self._accept(day, Letter(Plastic(*plastic), number, trip))

    def close(self, day: date) -> None:
        """Nothing is left to do."""

    def next_own(self) -> date | None:
        """Nothing beside the agenda."""
        return None

    def _accept(self, day: date, letter: Letter) -> None:
        """Post a letter and plan its way."""
        key = letter.plastic.key
        if self._silent is None and self._desk.choices.happens("go-silent", self._desk.partner):
            begins = day + timedelta(SILENT_AFTER)
            self._silent = begins, begins + timedelta(SILENT_DAYS)
            self._desk.happened("silent", self._desk.partner)
        self._on_the_way[key] = letter
        self._tell("POSTED", letter, day)
        if key in self._stopped:
            self._recall(day, key)
            return
        choices = self._desk.choices
        arrives = day + choices.days(DELIVER_DAYS, "deliver", *key, letter.trip)
        stations = 1 + choices.number("stations", *key, letter.trip) % 3
        for n in range(min(stations, (arrives - day).days - 1)):
            self._at(day + timedelta(n + 1), "IN_TRANSIT", letter, code=TRANSIT[n])
        if letter.trip == 1 and letter.plastic.attempt == 1 and choices.happens("lose", *key):
            self._at(arrives + timedelta(LOSE_DAYS), "LOST", letter)
        elif letter.trip == 1 and choices.happens("return", *key):
            self._plan_return(letter, arrives)
        else:
            self._plan_delivery(letter, arrives)

    def _plan_delivery(self, letter: Letter, arrives: date) -> None:
        """At the first attempt, or a day later at the second."""
        choices = self._desk.choices
        about = (*letter.plastic.key, letter.trip)
        if choices.happens("fail", *about):
            reason = choices.pick(NOBODY_THERE, "nobody", *about)
            self._at(arrives, "OUT_FOR_DELIVERY", letter)
            self._at(arrives, "DELIVERY_FAILED", letter, reason=reason, action="TRY_AGAIN")
            arrives += TOMORROW
        self._at(arrives, "OUT_FOR_DELIVERY", letter)
        self._at(arrives, "DELIVERED", letter)

    def _plan_return(self, letter: Letter, arrives: date) -> None:
        """Not deliverable, or waiting at a pick-up point in vain."""
        choices = self._desk.choices
        about = (*letter.plastic.key, letter.trip)
        reason = choices.pick(RETURNS, "return reason", *about)
        waits = reason == "NOT_COLLECTED_IN_TIME"
        back = arrives + choices.days(RETURN_DAYS, "return day", *about)
        self._at(arrives, "OUT_FOR_DELIVERY", letter)
        action = "HOLD_FOR_PICKUP" if waits else "RETURN"
        self._at(arrives, "DELIVERY_FAILED", letter, reason="CLOSED" if waits else reason, action=action)
        if waits:
            self._at(arrives + TOMORROW, "AT_PICKUP_POINT", letter)
        self._at(back, "RETURNED", letter, reason=reason)

    def _recall(self, day: date, key: Key) -> None:
        """What is on its way goes back tomorrow."""
        self._stopped.add(key)
        letter = self._on_the_way.pop(key, None)
        if letter:
            self._desk.at(day + TOMORROW, partial(self._return, letter, "OTHER"))

    def _at(self, day: date, milestone: str, letter: Letter, **values: Any) -> None:
        self._desk.at(day, partial(self._step, milestone, letter, values))

    def _step(self, milestone: str, letter: Letter, values: dict[str, Any], day: date) -> None:
        """A step of a letter that was not recalled."""
        key = letter.plastic.key
        if self._on_the_way.get(key) is not letter:
            return
        if milestone == "RETURNED":
            del self._on_the_way[key]
            self._return(letter, values["reason"], day)
            return
        self._tell(milestone, letter, day, **values)
        if milestone in ("LOST", "DELIVERED"):
            del self._on_the_way[key]
        if milestone == "LOST" and self._desk.choices.happens("turn-up", *key):
            self._desk.happened("turned up", f"{key[0]}/{key[1]}")
            self._desk.at(day + timedelta(TURN_UP_DAYS), partial(self._return, letter, "OTHER"))
        elif milestone == "LOST" and self._desk.choices.happens("deliver-lost", *key):
            late = self._desk.choices.days(DELIVER_LOST_DAYS, "deliver lost", *key)
            self._desk.at(day + late, partial(self._find, letter))
        if milestone == "DELIVERED":
            self._delivered(letter, day)

    def _find(self, letter: Letter, day: date) -> None:
        """What was lost is found, and delivered if it was not cancelled meanwhile."""
        key = letter.plastic.key
        if key in self._stopped:
            self._return(letter, "OTHER", day)
            return
        self._desk.happened("delivered after all", f"{key[0]}/{key[1]}")
        self._tell("DELIVERED", letter, day)
        self._delivered(letter, day)

    def _delivered(self, letter: Letter, day: date) -> None:
        """The holder has the card, and goes to activate it."""
        if self._silent_on(day):
            self._desk.happened("delivered in silence", f"{letter.plastic.card_ref}/{letter.plastic.attempt}")
        self._desk.give("hrss", self._hrss, "collected", (letter.plastic, day.isoformat()))
        self._desk.give("bank", letter.plastic.bank, "collected", (letter.plastic, day.isoformat()))

    def _silent_on(self, day: date) -> date | None:
        """When the silence ends in which a day lies."""
        return self._silent[1] if self._silent and self._silent[0] <= day < self._silent[1] else None

    def _return(self, letter: Letter, reason: str, day: date) -> None:
        self._tell("RETURNED", letter, day, reason=reason)
        self._desk.give("factory", letter.plastic.factory, "returned", letter.plastic)

    def _tell(self, milestone: str, letter: Letter, day: date, code: str | None = None, **values: Any) -> None:
        moment = self._desk.choices.moment(day, milestone, *letter.plastic.key, letter.trip)
        if self._desk.partner == "EMS":
            values["code"] = code or CODES.get(milestone)
        self._desk.report(
            day, MAIL, Fact(milestone, moment, tracking_no=letter.tracking_no, **values), self._silent_on(day)
        )
