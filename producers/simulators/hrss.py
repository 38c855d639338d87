"""HRSS of the city: loads keys, activates and cancels social security, hands out at street points and employers."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

from producers.simulators.choices import Key
from producers.simulators.custody import Custody
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import ECARD_DAYS, FORMAL_DAYS, LOSE_DAYS_ACTIVE, USE_OLD_DAYS
from producers.simulators.records import Envelope, Fact, Plastic
from producers.simulators.statements import Schedule, Statements

ACTIVATION = Envelope("activation")


class Hrss:
    """The HRSS of one city."""

    def __init__(self, desk: Desk, schedule: Schedule, chunk_items: int) -> None:
        self._desk = desk
        self._custody = Custody(desk, self._handed_out)
        self.statements = Statements(desk, schedule, chunk_items)

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """HRSS has no topic beside its notices."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Cancel social security or destroy a plastic, tomorrow; everybody else hears of it by then."""
        if request == "CANCEL_SS":
            self._custody.stopped.add(key)
            for kind in ("factory", "bank", "carrier"):
                self._desk.give(kind, "*", "stopped", key)
            self._desk.at(day + TOMORROW, partial(self._cancel, key))
        elif request == "DESTROY":
            self._custody.destroy(day, key)

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Plastics to key, hand-overs, word of collections elsewhere."""
        for item in items:
            if kind == "to key":
                self._load_keys(day, Plastic(*item))
            elif kind == "plastics":
                self._custody.receive(day, item)
            elif kind == "collected":
                plastic, collected_on = item
                self._plan_activation(Plastic(*plastic), date.fromisoformat(collected_on))

    def close(self, day: date) -> None:
        """Send the statement, if it is due."""
        self.statements.close(day)

    def next_own(self) -> date | None:
        """The next statement."""
        return self.statements.due_on

    def _tell(self, milestone: str, key: Key, day: date) -> None:
        moment = self._desk.choices.moment(day, milestone, *key)
        self._desk.report(day, ACTIVATION, Fact(milestone, moment, *key))

    def _load_keys(self, day: date, plastic: Plastic) -> None:
        self._tell("SS_KEYED", plastic.key, day)
        self._desk.give("factory", plastic.factory, "keyed", plastic)

    def _handed_out(self, plastic: Plastic, day: date) -> None:
        self._desk.give("bank", plastic.bank, "collected", (plastic, day.isoformat()))
        self._plan_activation(plastic, day)

    def _plan_activation(self, plastic: Plastic, collected_on: date) -> None:
        when = self._desk.choices.activation_day(plastic.key, collected_on)
        if when:
            self._desk.at(when, partial(self._activate, plastic.key))

    def _activate(self, key: Key, day: date) -> None:
        """The old card lapses by the activation of the new one."""
        if key in self._custody.stopped:
            return
        choices = self._desk.choices
        self.statements.activate(key, choices.moment(day, "SS_ACTIVATED", *key))
        self._tell("SS_ACTIVATED", key, day)
        self._tell("OLD_CARD_LAPSED", key, day)
        if choices.happens("ecard", *key):
            self._desk.at(day + choices.days(ECARD_DAYS, "ecard day", *key), partial(self._sign_ecard, key))
        if choices.happens("use-old", *key):
            self._later(day + timedelta(USE_OLD_DAYS), "OLD_CARD_USED", key, "old card used")
        if choices.happens("lose-card", *key):
            lost = day + timedelta(LOSE_DAYS_ACTIVE)
            self._later(lost, "LOSS_REPORTED_TEMPORARY", key, "lost for the time being")
            if choices.happens("lose-for-good", *key):
                self._later(lost + timedelta(FORMAL_DAYS), "LOSS_REPORTED", key, "lost for good")

    def _later(self, day: date, milestone: str, key: Key, happening: str) -> None:
        """Report something on a day, unless the plastic was cancelled by then."""

        def report(day: date) -> None:
            if key not in self._custody.stopped:
                self._tell(milestone, key, day)
                self._desk.happened(happening, f"{key[0]}/{key[1]}")

        self._desk.at(day, report)

    def _sign_ecard(self, key: Key, day: date) -> None:
        if key not in self._custody.stopped:
            self._tell("ECARD_SIGNED", key, day)

    def _cancel(self, key: Key, day: date) -> None:
        self.statements.cancel(key)
        self._tell("SS_CANCELLED", key, day)
