"""Plastics in somebody's store: received under a signed count, collected or refused by their holders, destroyed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

from producers.simulators.choices import Key
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import COLLECT_DAYS, LEFT_OVER_DAYS
from producers.simulators.records import Actor, Envelope, Fact, Plastic

REFUSALS = ("NAME_WRONG", "PHOTO_WRONG", "NUMBER_WRONG")
COLLECTION = Envelope("collection")


class Custody:
    """The store of one bank or HRSS; `collected` is told when a holder was there."""

    def __init__(self, desk: Desk, collected: Callable[[Plastic, date], None]) -> None:
        self._desk = desk
        self._collected = collected
        self._left_over: set[Key] = set()
        self.stopped: set[Key] = set()
        """Plastics that are cancelled: nothing more happens to them but destruction."""

    def receive(self, day: date, handover: Any) -> None:
        """Sign for a hand-over as a whole, and wait for the holders."""
        handover_id, place, bundle = handover
        plastics = [Plastic(*fields) for fields in bundle]
        count = len(plastics) + self._desk.choices.happens("miscount", handover_id)
        (giver,) = {plastic.factory for plastic in plastics}
        envelope = Envelope("collection", handover_id=handover_id, handover_count=count, handover_giver=giver)
        moment = self._desk.choices.moment(day, "RECEIVED_AT_PLACE", handover_id)
        for plastic in plastics:
            if self._desk.choices.happens("never-sign", place, of=plastic.card_ref):
                self._desk.happened("not signed for", f"{plastic.card_ref}/{plastic.attempt}")
            else:
                fact = Fact("RECEIVED_AT_PLACE", moment, plastic.card_ref, plastic.attempt, place=place)
                self._desk.report(day, envelope, fact)
            self._await_holder(day, plastic)

    def destroy(self, day: date, key: Key) -> None:
        """Destroy a plastic tomorrow, before two witnesses."""
        self.stopped.add(key)
        self._desk.at(day + TOMORROW, partial(self._destroy, key))

    def _await_holder(self, day: date, plastic: Plastic) -> None:
        choices = self._desk.choices
        first_time = plastic.method == "employer" and plastic.key not in self._left_over
        if first_time and choices.happens("leave-over", *plastic.key):
            self._left_over.add(plastic.key)
            self._desk.at(day + timedelta(LEFT_OVER_DAYS), partial(self._send_back, plastic))
            return
        when = day + choices.soon(COLLECT_DAYS, "collect", *plastic.key)
        if plastic.attempt == 1 and choices.happens("refuse-by-holder", *plastic.key):
            self._desk.at(when, partial(self._refuse, plastic))
        elif not choices.happens("uncollected", *plastic.key):
            self._desk.at(when, partial(self._collect, plastic))

    def _send_back(self, plastic: Plastic, day: date) -> None:
        """What an employer could not hand out goes back to the factory's store; some of its holders apply again."""
        if plastic.key in self.stopped:
            return
        handover = f"SB-{self._desk.partner}-{plastic.card_ref}-{plastic.attempt}"
        moment = self._desk.choices.moment(day, "SENT_BACK", *plastic.key)
        envelope = Envelope("collection", handover_id=handover, handover_count=1, to_place=plastic.factory)
        self._desk.report(day, envelope, Fact("SENT_BACK", moment, *plastic.key, reason="EMPLOYER_LEFTOVER"))
        self._desk.give("factory", plastic.factory, "returned", plastic)
        self._desk.happened("left over", f"{plastic.card_ref}/{plastic.attempt}")
        if self._desk.choices.happens("apply-again", *plastic.key):
            self._desk.give("platform", "*", "left over", plastic)

    def _refuse(self, plastic: Plastic, day: date) -> None:
        if plastic.key not in self.stopped:
            choices = self._desk.choices
            reason = choices.pick(REFUSALS, "holder", *plastic.key)
            moment = choices.moment(day, "REFUSED_BY_HOLDER", *plastic.key)
            self._desk.report(day, COLLECTION, Fact("REFUSED_BY_HOLDER", moment, *plastic.key, reason=reason))

    def _collect(self, plastic: Plastic, day: date) -> None:
        if plastic.key in self.stopped:
            return
        choices = self._desk.choices
        role = "PROXY" if choices.happens("proxy", *plastic.key) else "HOLDER"
        actors = (Actor(role, f"{choices.number('person', *plastic.key):016x}"),)
        moment = choices.moment(day, "COLLECTED", *plastic.key)
        fact = Fact("COLLECTED", moment, *plastic.key, place=plastic.place, actors=actors)
        if choices.happens("correct", *plastic.key):
            off = moment.replace(minute=(moment.minute + 30) % 60)
            self._desk.report_wrongly(day, COLLECTION, fact._replace(occurred_at=off, place="?"), fact)
        else:
            self._desk.report(day, COLLECTION, fact)
        self._collected(plastic, day)

    def _destroy(self, key: Key, day: date) -> None:
        seen_by = (1,) if self._desk.choices.happens("one-witness", *key) else (1, 2)
        witnesses = tuple(Actor("WITNESS", f"{self._desk.partner}-W{n}") for n in seen_by)
        moment = self._desk.choices.moment(day, "DESTROYED", *key)
        self._desk.report(day, COLLECTION, Fact("DESTROYED", moment, *key, actors=witnesses))
