"""A factory: opens jobs, makes plastics, hands them over under a signed count or by mail, sends returned ones again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import partial
from typing import Any

from producers.simulators.choices import Key, tracking_number
from producers.simulators.desk import TOMORROW, Desk
from producers.simulators.rates import ACCEPT_DAYS, BANKRUPT_AFTER, MAKE_DAYS, SPOILED_ATTEMPTS
from producers.simulators.records import Actor, Envelope, Fact, HandOver, Letter, Plastic

Order = dict[str, Any]
OpenJob = Callable[[Order], list[Plastic] | None]
"""Fetches, checks and opens the sealed file of an order; None: it cannot be read or is not what the order says."""

PRODUCTION = Envelope("production")
REFUSALS = ("CHARACTER_NOT_PRINTABLE", "DATA_UNREADABLE")
SPOILS = ("CHIP_FAULT", "PRINT_FAULT")


class Factory:
    """One factory."""

    def __init__(
        self, desk: Desk, hrss: str, carriers: tuple[str, ...], numbers: set[str], open_job: OpenJob, reserve: bool
    ) -> None:
        self._desk = desk
        self._hrss = hrss
        self._carriers = carriers
        self._numbers = numbers
        """Tracking numbers given out, by all factories."""
        self._open_job = open_job
        self._known_jobs: set[str] = set()
        self._cancelled_jobs: set[str] = set()
        self._stopped: set[Key] = set()
        self._ready: list[Plastic] = []
        self._trips: defaultdict[Key, int] = defaultdict(int)
        self._came_back: dict[Key, Plastic] = {}
        self._wanted: set[Key] = set()
        self._packs: defaultdict[str, set[Key]] = defaultdict(set)
        """Employer packs: plastics of each that are still in the making."""
        self._reserve = reserve
        """Whether it is somebody's backup."""
        self._ends_on: date | None = None
        """The day on which a bankrupt factory stops."""
        self._stranded: set[Key] = set()

    def hear(self, day: date, family: str, value: Order) -> None:
        """An order or a cancel; a cancel is final for its job, whichever comes first."""
        job_id = value["job_id"]
        again = job_id in self._known_jobs and not self._desk.choices.happens("make-twice", job_id)
        if value["action"] == "CANCEL":
            self._cancel_job(job_id)
        elif value["action"] == "ORDER" and not again:
            received = day + TOMORROW * (2 if job_id in self._known_jobs else 1)
            self._known_jobs.add(job_id)
            accepted = received + self._desk.choices.days(ACCEPT_DAYS, "accept", job_id)
            plastics = self._open_job(value)
            self._ends_on = self._ends_on or day + timedelta(BANKRUPT_AFTER)
            if plastics is not None:
                self._desk.at(received, partial(self._receive_job, value))
            self._desk.at(accepted, partial(self._answer, job_id, plastics))

    def _is_bankrupt(self, plastic: Plastic, day: date) -> bool:
        """Whether nothing happens to a plastic any more: it stays as it is."""
        ended = self._ends_on is not None and day >= self._ends_on and not self._reserve
        gone = ended and self._desk.choices.happens("go-bankrupt", self._desk.partner, of=plastic.card_ref)
        if gone and plastic.key not in self._stranded:
            self._stranded.add(plastic.key)
            self._desk.happened("stranded", f"{plastic.card_ref}/{plastic.attempt}")
        return gone

    def asked(self, day: date, request: str, key: Key) -> None:
        """CANCEL stops a plastic before acceptance and keeps a later one from being handed over."""
        if request == "CANCEL":
            if not self._desk.choices.happens("ignore-cancel", *key):
                self._stopped.add(key)
        elif request == "HAND_OUT":
            self._wanted.add(key)
            self._hand_out_again(day, key)
        elif request == "DESTROY":
            self._stopped.add(key)
            self._desk.at(day + TOMORROW, partial(self._destroy, key))

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Keyed plastics, returned letters, and word that a plastic is cancelled."""
        if kind == "stopped":
            self._stopped.update((ref, attempt) for ref, attempt in items)
        elif kind == "keyed":
            keyed = [Plastic(*item) for item in items]
            self._ready += keyed
            self._off_the_line(keyed)
        elif kind == "returned":
            for item in items:
                plastic = Plastic(*item)
                self._came_back[plastic.key] = plastic
                self._hand_out_again(day, plastic.key)

    def close(self, day: date) -> None:
        """Hand over everything that is ready; an employer's pack only whole."""
        waiting = {pack for pack, keys in self._packs.items() if keys - self._stopped}
        ready = sorted(
            p
            for p in self._ready
            if p.key not in self._stopped and p.pack not in waiting and not self._is_bankrupt(p, day)
        )
        self._ready = [plastic for plastic in self._ready if plastic.pack in waiting]
        groups: defaultdict[tuple[str, str, str], list[Plastic]] = defaultdict(list)
        for plastic in ready:
            if plastic.method == "mail":
                self._post(day, plastic)
            else:
                groups[plastic.bank, plastic.method, plastic.place].append(plastic)
        for (bank, method, place), plastics in sorted(groups.items()):
            self._hand_over(day, bank, method, place, plastics)

    def next_own(self) -> date | None:
        """Nothing beside the agenda."""
        return None

    def _cancel_job(self, job_id: str) -> None:
        if not self._desk.choices.happens("ignore-cancel", job_id):
            self._cancelled_jobs.add(job_id)

    def _tell(self, day: date, milestone: str, plastic: Plastic, **values: Any) -> None:
        moment = self._desk.choices.moment(day, milestone, *plastic.key)
        fact = Fact(milestone, moment, plastic.card_ref, plastic.attempt, **values)
        self._desk.report(day, PRODUCTION, fact)

    def _tell_job(self, job_id: str, milestone: str, reason: str | None, day: date) -> None:
        moment = self._desk.choices.moment(day, milestone, job_id)
        self._desk.report(day, Envelope("production", "JOB", job_id), Fact(milestone, moment, reason=reason))

    def _receive_job(self, order: Order, day: date) -> None:
        """A receipt: what was fetched and opened has this hash, count and hash total."""
        moment = self._desk.choices.moment(day, "JOB_RECEIVED", order["job_id"])
        said = {name: order[name] for name in ("card_count", "hash_total", "sha256")}
        said["card_count"] += self._desk.choices.happens("miscount", order["job_id"])
        self._desk.report(day, Envelope("production", "JOB", order["job_id"], **said), Fact("JOB_RECEIVED", moment))

    def _answer(self, job_id: str, plastics: list[Plastic] | None, day: date) -> None:
        """Accept a job with refusals of single plastics before it, or refuse it as a whole."""
        if plastics and self._is_bankrupt(plastics[0], day):
            for plastic in plastics:
                self._is_bankrupt(plastic, day)
            return
        if job_id in self._cancelled_jobs or plastics is None:
            reason = "CANCELLED" if job_id in self._cancelled_jobs else "DATA_UNREADABLE"
            self._tell_job(job_id, "JOB_REFUSED", reason, day)
            return
        choices = self._desk.choices
        for plastic in plastics:
            if plastic.key in self._stopped:
                self._tell(day, "ITEM_REFUSED", plastic, reason="CANCELLED")
            elif plastic.attempt == 1 and choices.happens("refuse", *plastic.key):
                self._tell(day, "ITEM_REFUSED", plastic, reason=choices.pick(REFUSALS, "refusal", *plastic.key))
            else:
                if plastic.pack:
                    self._packs[plastic.pack].add(plastic.key)
                self._desk.at(day + choices.days(MAKE_DAYS, "make", *plastic.key), partial(self._make, plastic))
        self._tell_job(job_id, "JOB_ACCEPTED", None, day)

    def _off_the_line(self, plastics: Iterable[Plastic]) -> None:
        for plastic in plastics:
            self._packs[plastic.pack].discard(plastic.key)

    def _make(self, plastic: Plastic, day: date) -> None:
        """Make a plastic, unless it was cancelled before."""
        choices = self._desk.choices
        if self._is_bankrupt(plastic, day):
            return
        if plastic.key in self._stopped:
            self._off_the_line([plastic])
            self._tell(day, "ITEM_REFUSED", plastic, reason="CANCELLED")
            return
        if plastic.attempt <= SPOILED_ATTEMPTS and choices.happens("spoil", *plastic.key):
            self._off_the_line([plastic])
            self._tell(day, "SPOILED", plastic, reason=choices.pick(SPOILS, "fault", *plastic.key))
            self._desk.at(day + TOMORROW, partial(self._destroy, plastic.key))
            return
        serial = f"{choices.number('serial', *plastic.key):016X}"
        self._tell(day, "MADE", plastic, serial=serial, code=plastic.note or None)
        self._tell(day, "BANK_KEYED", plastic)
        self._desk.give("hrss", self._hrss, "to key", plastic)

    def _destroy(self, key: Key, day: date) -> None:
        if key in self._stranded:
            return
        seen_by = (1,) if self._desk.choices.happens("one-witness", *key) else (1, 2)
        witnesses = tuple(Actor("WITNESS", f"{self._desk.partner}-W{n}") for n in seen_by)
        moment = self._desk.choices.moment(day, "DESTROYED", *key)
        self._desk.report(day, PRODUCTION, Fact("DESTROYED", moment, *key, actors=witnesses))

    def _hand_out_again(self, day: date, key: Key) -> None:
        """The day after both the letter and the request are there."""
        if key in self._wanted and key in self._came_back:
            self._wanted.remove(key)
            plastic = self._came_back.pop(key)
            self._desk.at(day + TOMORROW, lambda _: self._ready.append(plastic))

    def _post(self, day: date, plastic: Plastic) -> None:
        """Give a plastic to a carrier, as a letter with a number of its own for each trip."""
        self._trips[plastic.key] += 1
        trip = self._trips[plastic.key]
        carrier = self._desk.choices.pick(self._carriers, "carrier", *plastic.key, trip)
        number = self._new_number(carrier, plastic.key, trip)
        moment = self._desk.choices.moment(day, "HANDED_OVER", self._desk.partner, carrier, day)
        fact = Fact("HANDED_OVER", moment, plastic.card_ref, plastic.attempt, number)
        self._desk.report(day, Envelope("production", to_place=carrier), fact)
        self._desk.give("carrier", carrier, "letter", Letter(plastic, number, trip))

    def _new_number(self, carrier: str, key: Key, trip: int) -> str:
        turn = 0
        while (number := tracking_number(self._desk.choices, carrier, key, trip, turn)) in self._numbers:
            turn += 1
        self._numbers.add(number)
        return number

    def _hand_over(self, day: date, bank: str, method: str, place: str, plastics: list[Plastic]) -> None:
        """Give plastics to the bank or, for employers and service points, to HRSS."""
        where = place if method == "outlet" else f"{bank}-{method}-{place}"
        handover = HandOver(f"HO-{self._desk.partner}-{self._desk.choices.tag}{day:%Y%m%d}-{where}", place, plastics)
        to_place = bank if method == "home_delivery" else place
        count = len(plastics) + self._desk.choices.happens("miscount", handover.handover_id)
        envelope = Envelope("production", "ITEMS", None, handover.handover_id, count, to_place)
        moment = self._desk.choices.moment(day, "HANDED_OVER", handover.handover_id)
        for plastic in plastics:
            self._desk.report(day, envelope, Fact("HANDED_OVER", moment, plastic.card_ref, plastic.attempt))
        kind, receiver = receiver_of(method, bank, self._hrss)
        there = [plastic for plastic in plastics if not self._left_out(plastic)]
        if there:
            self._desk.give(kind, receiver, "plastics", handover._replace(plastics=there))

    def _left_out(self, plastic: Plastic) -> bool:
        """Whether a plastic is signed for and listed, and not in the bundle; nobody finds it again."""
        out = plastic.attempt == 1 and self._desk.choices.happens("leave-out", *plastic.key)
        if out:
            self._desk.happened("left out", f"{plastic.card_ref}/{plastic.attempt}")
        return out


def receiver_of(method: str, bank: str, hrss: str) -> tuple[str, str]:
    """(kind, partner) that takes plastics in for a way of collection."""
    return ("hrss", hrss) if method in ("employer", "service_point") else ("bank", bank)


def plastics_of(records: Iterable[dict[str, Any]], factory: str) -> list[Plastic]:
    """What a factory keeps of a job file here: references, bank, way of collection, place; no personal data."""
    return [
        Plastic(r["card_ref"], r["attempt"], r["bank"], factory, r["collection_method"], r["place"], r["pack"] or "")
        for r in records
    ]
