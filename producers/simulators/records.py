"""The words that the simulators exchange: plastics, facts, envelopes, parcels, messages. Bare records."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, NamedTuple, Protocol

from producers.simulators.choices import Key

Family = Literal["production", "mail", "collection", "activation", "statements", "holder-events"]


class Plastic(NamedTuple):
    """A physical card: what everybody who holds it can see of it."""

    card_ref: str
    attempt: int
    bank: str
    factory: str
    method: str
    place: str
    pack: str = ""
    """Plastics of one employer pack are handed over together."""
    note: str = ""
    """What a factory that leaks writes beside it."""

    @property
    def key(self) -> Key:
        """Its identity."""
        return self.card_ref, self.attempt


class Letter(NamedTuple):
    """A plastic in an envelope with a number."""

    plastic: Plastic
    tracking_no: str
    trip: int


class HandOver(NamedTuple):
    """A bundle of plastics under a signed count; `sequence` of bundles is the giver's."""

    handover_id: str
    place: str
    plastics: list[Plastic]


class Actor(NamedTuple):
    """Who took part in a step."""

    role: str
    reference: str


class Fact(NamedTuple):
    """What happened, as it is reported."""

    milestone: str
    occurred_at: datetime
    card_ref: str | None = None
    attempt: int | None = None
    tracking_no: str | None = None
    place: str | None = None
    reason: str | None = None
    action: str | None = None
    code: str | None = None
    serial: str | None = None
    actors: tuple[Actor, ...] = ()


class Envelope(NamedTuple):
    """What a report says of all its facts."""

    family: Family
    kind: Literal["JOB", "ITEMS"] = "ITEMS"
    job_id: str | None = None
    handover_id: str | None = None
    handover_count: int | None = None
    to_place: str | None = None
    card_count: int | None = None
    hash_total: str | None = None
    sha256: str | None = None
    handover_giver: str | None = None
    """Who gave what the report receives; None: the reporter itself gives."""


class Entry(NamedTuple):
    """A fact to report, with what the truth file says of it."""

    envelope: Envelope
    fact: Fact
    corrects: bool = False
    """The item takes the fact back; it is no fact of its own."""
    annulled: bool = False
    """The fact did not happen and is taken back later."""
    late: bool = False
    refused: str = ""
    """The happening of which it is a part that must be refused."""


class Outgoing(NamedTuple):
    """A message of a partner."""

    partner: str
    family: Family
    key: str
    record: str
    value: dict[str, Any]
    ce_id: str


class Message(NamedTuple):
    """A message to a partner, decoded."""

    partner: str
    family: str
    value: dict[str, Any]


class Parcel(NamedTuple):
    """What one partner gives others by hand; `to_partner` "*" is all of the kind."""

    id: str
    to_kind: str
    to_partner: str
    kind: str
    available_on: date
    items: list[Any]


class Output(NamedTuple):
    """What a kind did: messages to send in order, parcels given, truth told."""

    messages: list[Outgoing]
    parcels: list[Parcel]
    truth: list[dict[str, Any]]


class Player(Protocol):
    """One partner's part. Everything it does on a day follows from what it got before that day."""

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Take what came by hand, at the beginning of the day."""

    def close(self, day: date) -> None:
        """Finish the day, once its steps are done."""

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """Take a message on one's own topic; it has effect from the next day on."""

    def asked(self, day: date, request: str, key: Key) -> None:
        """Take a request about a plastic; likewise."""

    def next_own(self) -> date | None:
        """The next day with something to do beside the desk's agenda."""
