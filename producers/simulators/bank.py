"""A bank: takes plastics in at its outlets, hands them out, activates finance, cancels accounts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any

from producers.simulators.choices import Key
from producers.simulators.custody import COLLECTION, Custody
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import FINANCE_DAYS, INSTANT_DAYS
from producers.simulators.records import Actor, Envelope, Fact, Plastic
from producers.simulators.statements import Schedule, Statements
from producers.simulators.world import Application

ACTIVATION = Envelope("activation")


class Bank:
    """One bank."""

    def __init__(
        self,
        desk: Desk,
        hrss: str,
        schedule: Schedule,
        others: tuple[str, ...],
        chunk_items: int,
        applications: Iterable[Application] = (),
    ) -> None:
        self._desk = desk
        self._hrss = hrss
        self._others = others
        """Banks that may report this one's plastics by mistake."""
        self._custody = Custody(desk, self._handed_out)
        self.statements = Statements(desk, schedule, chunk_items)
        self._instant = [one for one in applications if desk.choices.happens("issue-instantly", one.card_ref)]

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """A bank has no topic beside its notices."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Cancel an account or destroy a plastic, tomorrow."""
        if request == "CANCEL_ACCOUNT":
            self._custody.stopped.add(key)
            self._desk.at(day + TOMORROW, partial(self._cancel_account, key))
        elif request == "DESTROY":
            self._custody.destroy(day, key)

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Hand-overs, word of collections elsewhere, and of cancelled plastics."""
        for item in items:
            if kind == "plastics":
                self._custody.receive(day, item)
                self._cancel_early(day, item)
            elif kind == "stopped":
                self._custody.stopped.add((item[0], item[1]))
            elif kind == "collected":
                plastic, collected_on = item
                self._plan_finance(Plastic(*plastic), date.fromisoformat(collected_on))
            elif kind == "stray":
                self._report_stray(day, Plastic(*item))

    def close(self, day: date) -> None:
        """Send the statement, if it is due; on the first day plan whose card is made at an outlet."""
        for application in self._instant:
            when = day + self._desk.choices.days(INSTANT_DAYS, "instant day", application.card_ref)
            self._desk.at(when, partial(self._issue_instantly, application))
        self._instant = []
        self.statements.close(day)

    def next_own(self) -> date | None:
        """The next statement."""
        return self.statements.due_on

    def _cancel_early(self, day: date, handover: Any) -> None:
        """What no bank may do: cancel an account that nobody has asked about."""
        for fields in handover[2]:
            key = Plastic(*fields).key
            if self._desk.choices.happens("early-account", *key):
                self._desk.at(day + TOMORROW, partial(self._cancel_account, key))

    def _handed_out(self, plastic: Plastic, day: date) -> None:
        self._desk.give("hrss", self._hrss, "collected", (plastic, day.isoformat()))
        self._plan_finance(plastic, day)
        if self._desk.choices.happens("stray", *plastic.key):
            self._desk.give("bank", self._desk.choices.pick(self._others, "stray", *plastic.key), "stray", plastic)

    def _issue_instantly(self, application: Application, day: date) -> None:
        """Make a card at an outlet and hand it to its holder, whatever was ordered."""
        plastic = Plastic(application.card_ref, 0, self._desk.partner, "", "outlet", f"{self._desk.partner}-0001")
        moment = self._desk.choices.moment(day, "ISSUED_INSTANTLY", *plastic.key)
        self._desk.report(day, COLLECTION, Fact("ISSUED_INSTANTLY", moment, *plastic.key, place=plastic.place))
        self._desk.happened("issued instantly", f"{plastic.card_ref}/0")
        self._handed_out(plastic, day)

    def _report_stray(self, day: date, plastic: Plastic) -> None:
        """A clerk took another bank's card for one of ours."""
        moment = self._desk.choices.moment(day, "COLLECTED", *plastic.key)
        actors = (Actor("HOLDER", f"{self._desk.choices.number('stray', *plastic.key):016x}"),)
        fact = Fact("COLLECTED", moment, *plastic.key, place=plastic.place, actors=actors)
        self._desk.report_refused(day, COLLECTION, fact, "stray")

    def _plan_finance(self, plastic: Plastic, collected_on: date) -> None:
        """Finance is voluntary, and never active before social security."""
        choices = self._desk.choices
        social = choices.activation_day(plastic.key, collected_on)
        if social and choices.happens("finance", *plastic.key):
            wished = collected_on + choices.days(FINANCE_DAYS, "finance day", *plastic.key)
            self._desk.at(max(wished, social), partial(self._activate, plastic.key))
        else:
            self._desk.happened("finance never", plastic.card_ref)

    def _activate(self, key: Key, day: date) -> None:
        if key not in self._custody.stopped:
            moment = self._desk.choices.moment(day, "FINANCE_ACTIVATED", *key)
            self.statements.activate(key, moment)
            self._desk.report(day, ACTIVATION, Fact("FINANCE_ACTIVATED", moment, *key))

    def _cancel_account(self, key: Key, day: date) -> None:
        moment = self._desk.choices.moment(day, "ACCOUNT_CANCELLED", *key)
        self.statements.cancel(key)
        self._desk.report(day, ACTIVATION, Fact("ACCOUNT_CANCELLED", moment, *key))
