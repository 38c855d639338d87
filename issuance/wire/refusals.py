"""Refusing whole messages and pausing partners: how poison messages are handled.

A refused message goes to its topic's dead letters with key, value and headers untouched; a partner past its limit is
paused in the ledger until `issuance partner resume`, and the message that tripped it is dead-lettered.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from issuance.city.partners import topic_of
from issuance.ledger.connection import Connection
from issuance.wire.outbox import Outgoing
from issuance.wire.partner_notices import partner_notice


@dataclass(frozen=True)
class Message:
    """One record as it came; `value` is None when it could not be decoded, `refusal` then says why."""

    topic: str
    partition: int
    offset: int
    partner: str | None
    key: bytes | None
    raw: bytes
    headers: Sequence[tuple[str, bytes]]
    value: Mapping[str, Any] | None
    refusal: str | None = None

    @property
    def report_id(self) -> str | None:
        """The sender's id of the report, statement or event, or a package's hash, if known."""
        value = self.value or {}
        return next((str(value[n]) for n in ("report_id", "statement_id", "event_id", "sha256") if n in value), None)

    @property
    def cohort_id(self) -> str | None:
        """The cohort of an announced package."""
        value = self.value or {}
        return str(value["cohort_id"]) if {"cohort_id", "sha256"} <= set(value) else None


@dataclass(frozen=True)
class Outcome:
    """A stage's result for one message: refused whole with a code, or its items and how many were refused."""

    message: Message
    refusal: str | None = None
    items: int = 1
    refused: int = 0


def refuse_message(connection: Connection, message: Message, code: str, day: date) -> list[Outgoing]:
    """Dead-letter a message and answer its sender; the ledger records where it was and why."""
    connection.execute(
        "INSERT INTO dead_letter"
        " (topic, topic_partition, topic_offset, partner, cohort_id, report_id, code, arrived_on)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            *(message.topic, message.partition, message.offset, message.partner, message.cohort_id),
            *(message.report_id, code, day),
        ),
    )
    place = f"{message.topic}/{message.partition}/{message.offset}"
    about = {
        "issuance.dlq.code": code.encode(),
        "issuance.dlq.topic": message.topic.encode(),
        "issuance.dlq.partition": str(message.partition).encode(),
        "issuance.dlq.offset": str(message.offset).encode(),
    }
    letter = Outgoing(
        ce_id=f"dlq/{place}",
        topic=f"{message.topic}.dlq",
        key=base64.b64encode(message.key or b"").decode(),
        record=None,
        value=message.raw,
        headers={name: base64.b64encode(value).decode() for name, value in [*message.headers, *about.items()]},
    )
    if message.partner is None:
        return [letter]
    return [letter, partner_notice(message.partner, "REPORT_REFUSED", message.report_id, {"code": code}, place)]


def paused_notice(partner: str, reason: str, message: Message) -> Outgoing:
    """Tell a partner that it is paused, and by which message."""
    place = f"{message.topic}/{message.partition}/{message.offset}"
    return partner_notice(partner, "PAUSED", message.report_id, {"code": reason}, place)


def partner_of(topic: str) -> str | None:
    """The partner that a topic belongs to, or None if it is not a partner's."""
    parts = topic.split(".")
    known = len(parts) == 4 and topic == topic_of(parts[1], parts[2])
    return parts[2] if known else None
