"""The platform: some applicants withdraw, die or switch banks after the opening; of what was left over some apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import partial
from typing import Any

from producers.people import id_numbers
from producers.simulators.choices import Key
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import APPLY_AGAIN_DAYS, EVENT_DAYS, MISTAKE_DAYS, PAY_DAYS, WITHDRAW_DAYS
from producers.simulators.records import Outgoing, Plastic
from producers.simulators.world import Application

Seal = Callable[[dict[str, str]], str]
"""Seals the values of an event to us."""


def _identity(number: int) -> dict[str, str]:
    """Another ID number of the same kind of person, with what it says of them."""
    born = f"19{45 + number % 10}-{1 + number // 10 % 12:02d}-{1 + number // 120 % 28:02d}"
    sequence = 500 + number // 3360 % 499
    (id_number,) = id_numbers(["110101"], [born], [sequence])
    return {"id_number": id_number, "birth_date": born, "sex": "male" if sequence % 2 else "female"}


CHANGES: dict[str, tuple[str, Callable[[int], dict[str, str]]]] = {
    # of a rate: the event, and its new values from a number of the application's
    "change-name": (
        "NAME_CHANGED", lambda number: {"name": f"{'王李赵陈'[number % 4]}新{'明华建国'[number // 4 % 4]}"},
    ),
    "change-address": (
        "ADDRESS_CHANGED", lambda number: {"address": f"北京市西城区新居路{number % 900 + 1}号", "postcode": "100032"},
    ),
    "correct-id": ("ID_CORRECTED", _identity),
}  # fmt: skip


class Platform:
    """One platform; the cohorts open on the first day it is told."""

    def __init__(
        self, desk: Desk, applications: Iterable[Application], banks: tuple[str, ...] = (), seal: Seal | None = None
    ) -> None:
        self._desk = desk
        self._banks = banks
        self._seal = seal
        happens, applications = desk.choices.happens, list(applications)
        kinds = ("withdraw", "die", "die-by-mistake", *((*CHANGES, "switch-bank") if seal else ()))
        self._chosen = [
            (kind, application)
            for application in applications
            for kind in kinds
            if happens(kind, application.application_id)
        ]
        self._owing = [one for one in applications if one.owes and happens("pay-late", one.application_id)]
        self._opened = False

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """A platform has no topic beside its notices."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Nothing is asked of platforms."""

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Word of what was left over at an employer: its holder applies again. Applications that were taken here."""
        if kind == "applications":
            self._take(day, [Application(cohort_id, name, "", "") for cohort_id, name in items])
        if kind == "left over":
            for item in items:
                self._desk.at(day + timedelta(APPLY_AGAIN_DAYS), partial(self._apply_again, Plastic(*item)))

    def close(self, day: date) -> None:
        """On the opening day, plan whom what happens to and when."""
        if self._opened:
            return
        self._opened = True
        days = self._desk.choices.days
        for kind, application in self._chosen:
            name = application.application_id
            if kind == "withdraw":
                when = day + days(WITHDRAW_DAYS, "withdraw day", name)
                self._desk.at(when, partial(self._tell, "WITHDRAWN", application))
            elif kind == "die":
                self._desk.at(day + days(EVENT_DAYS, "day of death", name), partial(self._tell, "DEATH", application))
            elif kind == "die-by-mistake":
                self._desk.at(day + days(EVENT_DAYS, "day of death", name), partial(self._mistake, application))
            elif kind in CHANGES:
                self._desk.at(day + days(EVENT_DAYS, kind, name), partial(self._change, kind, application))
            else:
                self._desk.at(day + days(EVENT_DAYS, "switch day", name), partial(self._switch, application))
        for application in self._owing:
            when = day + days(PAY_DAYS, "pay day", application.application_id)
            self._desk.at(when, partial(self._tell, "FEE_PAID", application))

    def _take(self, day: date, applications: list[Application]) -> None:
        """Live: of what was brought the first holder withdraws, the others have a new number."""
        for application in applications[:1]:
            self._desk.at(day + TOMORROW, partial(self._tell, "WITHDRAWN", application))
        for application in applications[1:]:
            number = self._desk.choices.number("phone", application.application_id) % 10**8
            new = {"phone": f"154{number:08d}"}
            self._desk.at(day + TOMORROW, partial(self._tell, "PHONE_CHANGED", application, values=new))

    def next_own(self) -> date | None:
        """Nothing beside the agenda."""
        return None

    def _mistake(self, application: Application, day: date) -> None:
        """Tell the death of somebody who lives, and some days later that it was none."""
        self._tell("DEATH", application, day, happening="mistaken for dead")
        later = day + self._desk.choices.days(MISTAKE_DAYS, "mistake", application.application_id)
        self._desk.at(later, partial(self._tell, "ANNULLED", application, annuls="DEATH"))

    def _change(self, kind: str, application: Application, day: date) -> None:
        event, values = CHANGES[kind]
        self._tell(event, application, day, values(self._desk.choices.number(kind, application.application_id)))

    def _switch(self, application: Application, day: date) -> None:
        """To another bank, at its first outlet where the card is collected at one."""
        others = [bank for bank in self._banks if bank != application.bank]
        bank = self._desk.choices.pick(others, "other bank", application.application_id)
        outlet = {"outlet_code": f"{bank}-0001"} if application.method == "outlet" else {}
        self._tell("BANK_SWITCHED", application, day, {"bank_code": bank} | outlet)

    def _apply_again(self, plastic: Plastic, day: date) -> None:
        self._desk.happened("applied again", f"{plastic.card_ref}/{plastic.attempt}")
        self._send("SECOND_APPLICATION", day, plastic.card_ref, None, {"card_ref": plastic.card_ref})

    def _tell(
        self,
        event: str,
        application: Application,
        day: date,
        values: dict[str, str] | None = None,
        happening: str = "",
        annuls: str = "",
    ) -> None:
        """Send an event; the truth names it by its code, or by what really happened."""
        if event not in ("WITHDRAWN", "ANNULLED"):
            self._desk.happened(happening or event, application.card_ref)
        name = f"{application.cohort_id}.{application.application_id}"
        subject = {"cohort_id": application.cohort_id, "application_id": application.application_id}
        if annuls:
            subject |= {"annuls_source": self._desk.partner, "annuls_event_id": f"{name}.{annuls}"}
        self._send(event, day, name, values, subject)

    def _send(self, event: str, day: date, name: str, values: dict[str, str] | None, subject: dict[str, str]) -> None:
        event_id = f"{name}.{event}"
        value = {
            "event_id": event_id,
            "source": self._desk.partner,
            "event": event,
            "cohort_id": None,
            "card_ref": None,
            "application_id": "",
            **subject,
            "occurred_at": self._desk.choices.moment(day, event, name),
            "sealed": self._seal(values) if self._seal and values else None,
        }
        key = subject.get("application_id", subject.get("card_ref", ""))
        ce_id = f"{self._desk.partner}/{event_id}"
        self._desk.outgoing.append(Outgoing(self._desk.partner, "holder-events", key, "holder_event", value, ce_id))
