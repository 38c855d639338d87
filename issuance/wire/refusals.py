"""Refusing whole messages: how poison is handled.

A refused message goes to its topic's dead letters with key, value and headers untouched, and its sender is answered.
One that has only come too early (TIME_AHEAD) is answered alone: sent again it is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.city.partners import topic_of
from issuance.ledger.connection import Connection
from issuance.wire.bounds import reference
from issuance.wire.codec import FRAME
from issuance.wire.faults import note_fault
from issuance.wire.outbox import Headers, Letter, Outgoing
from issuance.wire.partner_notices import partner_notice

NOT_COUNTED = frozenset(
    {"PLASTIC_UNKNOWN", "NO_RELATION", "JOB_UNKNOWN", "CARD_UNKNOWN", "TIME_AHEAD", "UNPROCESSABLE"}
)
"""Refusals that are no step towards a pause: other people's cards, a skewed clock, faults of ours."""
IDENTITIES = {
    # the field that names a message within its sender: its record
    "report_id": "card_report",
    "statement_id": "statement",
    "event_id": "holder_event",
    "sha256": "cohort_submission",
}


@dataclass(frozen=True)
class Message:
    """One record as it came; `value` is None when it could not be decoded, `refusal` then says why."""

    topic: str
    partition: int
    offset: int
    partner: str | None
    key: bytes | None
    raw: bytes | None
    headers: Headers
    value: Mapping[str, Any] | None
    refusal: str | None = None
    trips: str = ""
    """The limit of its partner that it tripped (a code of lifecycle.PAUSES)."""

    @property
    def place(self) -> str:
        """Where it lies: topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def body(self) -> bytes:
        """The Avro body without its frame."""
        return (self.raw or b"")[FRAME.size :]

    @property
    def report_id(self) -> str | None:
        """The sender's id of the report, statement or event, or a package's hash, if known and fit to be written."""
        value = self.value or {}
        names = (name for name in IDENTITIES if name in value and (name != "sha256" or "cohort_id" in value))
        field = next(names, None)
        return reference(IDENTITIES[field], field, value[field]) if field else None

    @property
    def cohort_id(self) -> str | None:
        """The cohort of an announced package."""
        value = self.value or {}
        announced = {"cohort_id", "sha256"} <= set(value)
        return reference("cohort_submission", "cohort_id", value["cohort_id"]) if announced else None


@dataclass(frozen=True)
class Outcome:
    """A stage's result for one message: refused whole with a code, or its items and how many were refused; items that
    are not counted towards a pause are in neither number."""

    message: Message
    refusal: str | None = None
    items: int = 1
    refused: int = 0
    seconds: int = 0
    """TIME_AHEAD: by how many seconds."""


def refuse_message(
    connection: Connection, message: Message, code: str, day: date, seconds: int = 0
) -> list[Outgoing | Letter]:
    """Dead-letter a message and answer its sender; the ledger records where it was and why.

    `seconds`: of TIME_AHEAD, by how many.
    """
    answers = _answers(message, {"code": code, "seconds": seconds or None})
    if code == "TIME_AHEAD":
        return answers
    connection.execute(
        "INSERT INTO dead_letter"
        " (topic, topic_partition, topic_offset, partner, cohort_id, report_id, code, arrived_on)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            *(message.topic, message.partition, message.offset, message.partner, message.cohort_id),
            *(message.report_id, code, day),
        ),
    )
    if code == "UNPROCESSABLE":
        note_fault(connection, "UNPROCESSABLE", message.place, f"{message.partner or message.topic}", day)
    about = {
        "issuance.dlq.code": code.encode(),
        "issuance.dlq.topic": message.topic.encode(),
        "issuance.dlq.partition": str(message.partition).encode(),
        "issuance.dlq.offset": str(message.offset).encode(),
    }
    letter = Letter(
        f"dlq/{message.place}", f"{message.topic}.dlq", message.key, message.raw, [*message.headers, *about.items()]
    )
    return [letter, *answers]


def _answers(message: Message, values: dict[str, Any]) -> list[Outgoing | Letter]:
    if message.partner is None:
        return []
    return [partner_notice(message.partner, "REPORT_REFUSED", message.report_id, values, message.place)]


def paused_notice(partner: str, reason: str, message: Message) -> Outgoing:
    """Tell a partner that it is paused, and by which message."""
    return partner_notice(partner, "PAUSED", message.report_id, {"code": reason}, message.place)


def partner_of(topic: str) -> str | None:
    """The partner that a topic belongs to, or None if it is not a partner's."""
    parts = topic.split(".")
    known = len(parts) == 4 and topic == topic_of(parts[1], parts[2])
    return parts[2] if known else None
