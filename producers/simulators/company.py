"""All partners of one kind on their days: the pure core between what comes in and what goes out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from producers.simulators.desk import Desk
from producers.simulators.records import Message, Outgoing, Output, Parcel, Player
from producers.simulators.reporting import Reporting
from producers.simulators.statements import Statements

log = logging.getLogger("simulators.company")
COMPLAINTS = ("REPORT_REFUSED", "ITEM_REFUSED", "PAUSED")


class Member:
    """One partner: its part, its desk and its reports."""

    def __init__(self, player: Player, desk: Desk, statements: Statements | None = None) -> None:
        self.player = player
        self.desk = desk
        self.reporting = Reporting(desk.partner, desk.choices)
        self.statements = statements
        self.complaints = 0
        """Answers that refuse something of this partner's; none in a sound run."""
        self._sulking = False
        self._requests: set[tuple[str, str, int]] = set()
        self._parcels: list[Parcel] = []

    def next_due(self) -> date | None:
        """The next day with something to do."""
        parcels = (parcel.available_on for parcel in self._parcels)
        days = (self.desk.first(), self.player.next_own(), *parcels)
        return min((day for day in days if day is not None), default=None)

    def bring(self, parcels: Iterable[Parcel]) -> None:
        """Lay parcels down until their day."""
        self._parcels += parcels

    def live(self, day: date) -> Output:
        """Do all that is due on a day: take parcels, cancellations first; do the steps; close; report."""
        here = [parcel for parcel in self._parcels if parcel.available_on <= day]
        self._parcels = [parcel for parcel in self._parcels if parcel.available_on > day]
        for parcel in sorted(here, key=lambda parcel: (parcel.kind != "stopped", parcel.id)):
            self.player.receive(day, parcel.kind, parcel.items)
        while steps := self.desk.take_steps(day):
            for step in steps:
                step(day)
        self.player.close(day)
        entries = self.desk.take_entries(day)
        sent = self.reporting.write(day, [] if self._sulking else entries)
        own, self.desk.outgoing = self.desk.outgoing, []
        self._wake(day)
        truth = [*sent.truth, *self.desk.take_happenings()]
        return Output([*sent.messages, *own], self.desk.take_parcels(day), truth)

    def hear(self, day: date, message: Message) -> list[Outgoing]:
        """Take a message, after the day was lived; returns only what was asked for again."""
        value = message.value
        if message.family != "partner-notices":
            self.player.hear(day, message.family, value)
        elif value["kind"] == "REQUESTED":
            self._take_request(day, message)
        elif value["kind"] == "MISSING":
            return [] if self.desk.choices.happens("deaf", self.desk.partner) else self._asked_again(day, message)
        elif value["kind"] in COMPLAINTS:
            self._complain(message)
        self._wake(day)
        return []

    def _asked_again(self, day: date, message: Message) -> list[Outgoing]:
        """A whole statement, chunks of one, or reports of a stream; an unanswered job answers itself."""
        if message.value.get("function") and self.statements:
            return self.statements.asked(day)
        return self._resend(message) if message.value.get("stream") or message.value.get("report_id") else []

    def _take_request(self, day: date, message: Message) -> None:
        request_id, request = message.value["request_id"], message.value["request"]
        for plastic in message.value["plastics"]:
            asked = (f"{request_id}/{request}", plastic["card_ref"], plastic["attempt"])
            if asked not in self._requests:
                self._requests.add(asked)
                self.player.asked(day, request, (plastic["card_ref"], plastic["attempt"]))

    def _resend(self, message: Message) -> list[Outgoing]:
        first, last = int(message.value["first"]), int(message.value["last"])
        log.info("asked again partner=%s first=%d last=%d", message.partner, first, last)
        if message.value["stream"]:
            return self.reporting.again(first, last)
        return self.statements.again(message.value["report_id"], first, last) if self.statements else []

    def _complain(self, message: Message) -> None:
        self.complaints += 1
        self._sulking |= message.value["kind"] == "PAUSED" and self.desk.choices.happens("sulk", message.partner)
        value = message.value
        codes = sorted({refusal["code"] for refusal in value["refusals"]})
        said = value["kind"], message.partner, value["report_id"], value["code"] or ",".join(codes)
        log.warning("complaint kind=%s partner=%s report_id=%s code=%s items=%d", *said, len(value["refusals"]))

    def _wake(self, day: date) -> None:
        if self.statements:
            self.statements.wake(day)


class Company:
    """The partners of a kind. A day is lived once; messages heard on it have effect from the next day on."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self.members = members
        self._lived: date | None = None

    def live(self, day: date, parcels: Iterable[Parcel]) -> Output:
        """Live every due day up to this one, and this one itself; parcels are those available by now."""
        for parcel in parcels:
            for partner, member in self.members.items():
                if parcel.to_partner in ("*", partner):
                    member.bring([parcel])
        output = Output([], [], [])
        while (due := min(self.next_due() or day, day)) < day:
            self._live_one(due, output)
        if self._lived != day:
            self._live_one(day, output)
        self._lived = day
        return output

    def hear(self, day: date, messages: Iterable[Message]) -> list[Outgoing]:
        """Take messages; returns what was asked for again."""
        return [again for message in messages for again in self.members[message.partner].hear(day, message)]

    def take_parcels(self, day: date) -> list[Parcel]:
        """What was given in answer to messages; it is there tomorrow."""
        return [parcel for member in self.members.values() for parcel in member.desk.take_parcels(day)]

    def take_happenings(self) -> list[dict[str, Any]]:
        """What was done in answer to messages."""
        return [line for member in self.members.values() for line in member.desk.take_happenings()]

    def next_due(self) -> date | None:
        """The next day on which any of them has something to do."""
        days = (member.next_due() for member in self.members.values())
        return min((day for day in days if day is not None), default=None)

    def _live_one(self, day: date, output: Output) -> None:
        for member in self.members.values():
            done = member.live(day)
            output.messages.extend(done.messages)
            output.parcels.extend(done.parcels)
            output.truth.extend(done.truth)
