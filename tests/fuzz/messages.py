"""Sound and hostile messages of every partner; a function of the seed alone."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from fuzz.values import value_at, value_past
from fuzz.world import DAY, PHONE, World
from issuance.city.partners import PARTNER_TOPICS, Partner
from issuance.clock import end_of, instant_on, milliseconds
from issuance.vault.envelopes import seal_to
from issuance.wire.bounds import Bound, bounds_of
from issuance.words.codes import HOLDER_EVENTS
from issuance.words.references import hash_total

Expect = Literal["applied", "refused", "anything"]
"""anything: applied or refused, but processed."""
RECORDS = {"cohort-submissions": "cohort_submission", "statements": "statement", "holder-events": "holder_event"}
WEIGHTS = {"production": 6, "collection": 5, "activation": 5, "mail": 4, "statements": 2, "holder-events": 8}
SUBMISSIONS = 0.03
NOW = milliseconds(end_of(DAY))
"""What the ledger takes for now: a stepped day is at its end."""


@dataclass(frozen=True)
class Sent:
    """One message: who sends what where, and what must come of it."""

    number: int
    partner: str | None
    family: str
    expect: Expect
    value: dict[str, Any] | None
    """In the form of the schema without logical types; None: `raw` is sent as it is."""
    raw: bytes | None = None
    key: bytes | None = b"key"
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    line: tuple[str, str, str] | None = None
    """Record, path and side (at, past) of the bound that it tries."""

    @property
    def record(self) -> str:
        """The Avro record of its topic."""
        return RECORDS.get(self.family, "card_report")


def messages(world: World, count: int, seed: int) -> Iterator[Sent]:
    """The messages of a run; about half are sound."""
    choice = random.Random(seed)
    writers = [(p, e["family"]) for p in world.partners for e in PARTNER_TOPICS[p.kind] if e["may"] == "write"]
    weights = [WEIGHTS[family] for _, family in writers]
    lines = {
        record: _turns(choice, record) for record in ("card_report", "statement", "holder_event", "cohort_submission")
    }
    sealed = _turns(choice, "sealed")
    for number in range(count):
        partner, family = choice.choices(writers, weights)[0]
        if choice.random() < SUBMISSIONS:
            partner, family = None, "cohort-submissions"
        make = Maker(world, choice, f"fz{seed}-{number}", partner, family)
        record = RECORDS.get(family, "card_report")
        if choice.random() < 0.5:
            yield Sent(number, make.owner, family, "applied", make.sound(), headers=_headers(choice))
        elif choice.random() < 0.2:
            yield _broken(number, make, choice)
        elif record == "holder_event" and choice.random() < 0.5:
            yield _sealed(number, make, next(sealed), choice)
        else:
            yield _tried(number, make, next(lines[record]), choice)


def _turns(choice: random.Random, record: str) -> Iterator[tuple[str, Bound, str]]:
    """Every line of a record by turns, at and past it."""
    while True:
        turns = [(record, bound, side) for bound in bounds_of(record).values() for side in ("at", "past")]
        choice.shuffle(turns)
        yield from turns


def _headers(choice: random.Random) -> list[tuple[str, bytes | None]]:
    kinds: list[list[tuple[str, bytes | None]]] = [[], [("traceparent", None)], [("a", b"1"), ("a", b"2")]]
    return choice.choice(kinds)


def _broken(number: int, make: Maker, choice: random.Random) -> Sent:
    """Bytes that are no message: nothing, noise, half a message, a foreign schema."""
    whole = make.world.frame(make.topic_record, make.sound(), make.owner, make.family)
    ways: list[Callable[[], bytes | None]] = [
        lambda: None,
        lambda: b"",
        lambda: choice.randbytes(40),
        lambda: whole[: len(whole) // 2],
        lambda: whole + b"x",
        lambda: b"\0" + (2**31 - 1).to_bytes(4, "big") + whole[5:],
        lambda: make.world.foreign + whole[5:],
    ]
    key = choice.choice((None, b"", b"key"))
    return Sent(number, make.owner, make.family, "refused", None, choice.choice(ways)(), key, _headers(choice))


def _tried(number: int, make: Maker, turn: tuple[str, Bound, str], choice: random.Random) -> Sent:
    """A sound message but for one field, at or past its bound."""
    record, bound, side = turn
    value = make.sound()
    if bound.kind == "list":
        _resize(value, bound, bound.most + 1 if side == "past" else bound.most)
    else:
        chosen = (value_past if side == "past" else value_at)(bound, NOW, choice)
        _put(value, bound, chosen)
    past = side == "past"
    return Sent(
        number, make.owner, make.family, "refused" if past else "anything", value, line=(record, bound.path, side)
    )


def _put(value: dict[str, Any], bound: Bound, chosen: Any) -> None:
    *way, name = bound.path.split(".")
    target: Any = value
    for step in way:
        target[step] = target[step] or [{"role": "HOLDER", "reference": "seen"}]
        target = target[step][0]
    target[name] = chosen


def _resize(value: dict[str, Any], bound: Bound, size: int) -> None:
    *way, name = bound.path.split(".")
    target: Any = value["items"][0] if way else value
    one = (target[name] or [{"role": "HOLDER", "reference": "seen"}])[0]
    target[name] = [copy.deepcopy(one) for _ in range(size)]
    if not way and "declared_count" in value:
        value["declared_count"] = size


def _sealed(number: int, make: Maker, turn: tuple[str, Bound, str], choice: random.Random) -> Sent:
    """A holder event whose sealed values are at or past a bound."""
    record, bound, side = turn
    events = [e for e in HOLDER_EVENTS.values() if bound.name in (*e.needs, *e.may)]
    event = choice.choice(events)
    values = {name: make.world.person.get(name) or "A" for name in event.needs}
    values[bound.name] = (value_past if side == "past" else value_at)(bound, NOW, choice)
    value = make.sound() | {"event": event.name, "sealed": make.seal(values)}
    past = side == "past"
    return Sent(
        number, make.owner, make.family, "refused" if past else "anything", value, line=(record, bound.path, side)
    )


@dataclass
class Maker:
    """Makes the sound messages of one sender."""

    world: World
    choice: random.Random
    name: str
    partner: Partner | None
    family: str

    @property
    def owner(self) -> str | None:
        """The partner's id."""
        return self.partner.id if self.partner else None

    @property
    def topic_record(self) -> str:
        """The record of its topic."""
        return RECORDS.get(self.family, "card_report")

    def sound(self) -> dict[str, Any]:
        """A message that has to be applied."""
        return {
            "statements": self._statement,
            "holder-events": self._event,
            "cohort-submissions": self._submission,
        }.get(self.family, self._report)()

    def seal(self, values: dict[str, str]) -> str:
        """Values sealed to our key."""
        return seal_to(self.world.opening, json.dumps(values).encode()).decode()

    def _when(self) -> int:
        return milliseconds(instant_on(DAY - timedelta(days=self.choice.randrange(20)), self.choice.randrange(12)))

    def _report(self) -> dict[str, Any]:
        count = self.choice.randint(1, 5)
        items = [self._item() for _ in range(count)]
        head = dict.fromkeys(
            (
                "job_id",
                "handover_id",
                "handover_giver",
                "handover_count",
                "to_place",
                "hash_total",
                "card_count",
                "sha256",
            )
        )
        return {
            **head,
            "report_id": self.name,
            "partner": self.owner,
            "stream": "main",
            "sequence": self.world.next_of(self),
            "reported_at": NOW,
            "kind": "ITEMS",
            "declared_count": count,
            "items": items,
        }

    def _item(self) -> dict[str, Any]:
        empty = dict.fromkeys(
            ("card_ref", "attempt", "tracking_no", "place", "reason", "action", "code", "serial", "return_tracking_no")
        )
        item = {**empty, "occurred_at": self._when(), "actors": [], "corrects": False}
        kind = self.partner.kind if self.partner else ""
        if self.family == "mail":
            return item | {"milestone": "IN_TRANSIT", "tracking_no": f"T{self.choice.randrange(10**9)}"}
        item |= {"card_ref": str(self.choice.choice(self.world.plastics_of(self.owner, kind))), "attempt": 1}
        if self.family == "production":
            return item | {"milestone": "MADE", "serial": f"S{self.choice.randrange(10**6)}"}
        if self.family == "collection":
            return item | {
                "milestone": "COLLECTED",
                "place": f"{self.owner}-1",
                "actors": [{"role": "HOLDER", "reference": "seen"}],
            }
        return item | {"milestone": "FINANCE_ACTIVATED" if kind == "bank" else "SS_ACTIVATED"}

    def _statement(self) -> dict[str, Any]:
        kind = self.partner.kind if self.partner else ""
        refs = self.choice.sample(self.world.plastics_of(self.owner, kind), 3)
        as_of = self._when() + 11 * 3_600_000
        day = as_of // 86_400_000  # after eight in the morning Shanghai and UTC have one date
        return {
            "statement_id": self.name,
            "partner": self.owner,
            "function": "finance" if kind == "bank" else "ss",
            "business_day": day,
            "as_of": as_of,
            "revision": 1,
            "chunk": 1,
            "chunks": 1,
            "total": len(refs),
            "hash_total": hash_total(refs),
            "items": [{"card_ref": str(r), "attempt": 1} for r in refs],
        }

    def _event(self) -> dict[str, Any]:
        ref = str(self.choice.choice(self.world.refs))
        told = {"event": "FEE_PAID", "sealed": None}
        if self.choice.random() < 0.3:
            told = {"event": "PHONE_CHANGED", "sealed": self.seal({"phone": PHONE})}
        return {
            "event_id": self.name,
            "source": self.owner,
            "cohort_id": None,
            "card_ref": ref,
            "application_id": "A0",
            "occurred_at": self._when(),
            **told,
        }

    def _submission(self) -> dict[str, Any]:
        opens = milliseconds(instant_on(DAY, 12)) // 86_400_000
        return {
            "cohort_id": self.name,
            "submission": 0,
            "city": "110000",
            "category": "retiree",
            "opens_on": opens,
            "declared": 1,
            "amends": False,
            "sha256": hashlib.sha256(self.name.encode()).hexdigest(),
            "manifest": "inbox/none",
            "submitted_by": "fuzzer",
            "submitted_at": NOW,
        }
