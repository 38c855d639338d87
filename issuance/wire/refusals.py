"""Refusing whole messages and pausing partners: what happens to a partner's poison.

A refused message goes to its topic's dead letters with key, value and headers untouched; a partner past its limit is
paused in the ledger until `issuance partner resume`, and the message that tripped it is dead-lettered.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from issuance.city.partners import topic_of
from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.wire.partner_notices import partner_notice


@dataclass(frozen=True)
class Limits:
    """When a partner is paused: share of refused items once enough came, or refused messages in a row."""

    enough: int = 200
    ratio: float = 0.5
    run: int = 10


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
        """The sender's id of the report, statement or event, or a package's cohort and hash, as far as it is known."""
        if self.value is None:
            return None
        if {"cohort_id", "sha256"} <= set(self.value):
            return f"{self.value['cohort_id']}/{self.value['sha256']}"
        return next((str(self.value[n]) for n in ("report_id", "statement_id", "event_id") if n in self.value), None)


@dataclass(frozen=True)
class Outcome:
    """What a stage says of one message: refused whole with a code, or its items and how many of them were refused."""

    message: Message
    refusal: str | None = None
    items: int = 1
    refused: int = 0


@dataclass
class Standing:
    """A partner's counts since its last resume."""

    received: int
    refused: int
    run: int

    def add(self, outcome: Outcome) -> None:
        """Count one message."""
        whole = outcome.refusal is not None
        self.received += outcome.items
        self.refused += outcome.items if whole else outcome.refused
        self.run = self.run + 1 if whole or outcome.refused == outcome.items else 0

    def tripped(self, limits: Limits) -> str | None:
        """The limit this standing is past (a code of lifecycle.PAUSES), or None."""
        if self.run >= limits.run:
            return "RUN"
        if self.received >= limits.enough and self.refused > limits.ratio * self.received:
            return "RATIO"
        return None


def read_standings(connection: Connection, partners: set[str]) -> dict[str, Standing]:
    """The counts of these partners; locks the rows, in key order."""
    connection.execute(
        "INSERT INTO partner_standing (partner) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (sorted(partners),)
    )
    rows = connection.execute(
        "SELECT partner, received, refused, run FROM partner_standing WHERE partner = ANY (%s)"
        " ORDER BY partner FOR UPDATE",
        (sorted(partners),),
    )
    return {partner: Standing(*counts) for partner, *counts in rows}


def write_standings(connection: Connection, standings: Mapping[str, Standing]) -> None:
    """Keep the counts."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE partner_standing SET received = %s, refused = %s, run = %s WHERE partner = %s",
            [(s.received, s.refused, s.run, partner) for partner, s in standings.items()],
        )


def paused_partners(connection: Connection) -> set[str]:
    """The partners that are paused now."""
    return {row[0] for row in connection.execute("SELECT partner FROM partner_standing WHERE paused_on IS NOT NULL")}


def pause_partner(connection: Connection, partner: str, reason: str, day: date) -> None:
    """Pause a partner, in the ledger, over restarts."""
    connection.execute(
        "INSERT INTO partner_standing (partner, paused_on, reason) VALUES (%s, %s, %s)"
        " ON CONFLICT (partner) DO UPDATE SET paused_on = excluded.paused_on, reason = excluded.reason",
        (partner, day, reason),
    )


RAN_OUT = ("WAITING", "PLANNED", "ORDERED", "ACCEPTED", "MADE", "KEYED", "POSTED", "AT_PLACE", "SENT_BACK")
"""States with a clock. Of a card whose clock ran out, nobody would think again."""


def resume_partner(connection: Connection, partner: str, day: date) -> bool:
    """Let a paused partner's messages be read again, with a new count; False when it was not paused.

    Clocks that ran out meanwhile are looked at again tomorrow, when what the partner had to say has been read.
    """
    done = connection.execute(
        "UPDATE partner_standing SET paused_on = NULL, reason = NULL, received = 0, refused = 0, run = 0"
        " WHERE partner = %s AND paused_on IS NOT NULL",
        (partner,),
    )
    if done.rowcount:
        connection.execute(
            "UPDATE card SET next_due = least(next_due, %(tomorrow)s)"
            " WHERE next_due IS NULL AND state = ANY (%(ran_out)s)"
            " OR state IN ('COLLECTED', 'ACTIVE', 'NOT_ACTIVATED', 'SUSPENDED') AND EXISTS (SELECT FROM plastic p"
            " WHERE (p.card_ref, p.attempt) = (card.card_ref, card.effective) AND p.finance_activated IS NULL"
            " AND (p.bank = %(partner)s OR p.ss_activated IS NULL))",
            {"tomorrow": day + timedelta(days=1), "ran_out": list(RAN_OUT), "partner": partner},
        )
    return done.rowcount == 1


def refuse_message(connection: Connection, message: Message, code: str, day: date) -> list[Outgoing]:
    """Dead-letter a message and answer its sender; the ledger keeps where it was and why."""
    connection.execute(
        "INSERT INTO dead_letter (topic, topic_partition, topic_offset, partner, report_id, code, arrived_on)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (message.topic, message.partition, message.offset, message.partner, message.report_id, code, day),
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
    """The partner a topic belongs to, or None for a topic of one."""
    parts = topic.split(".")
    known = len(parts) == 4 and topic == topic_of(parts[1], parts[2])
    return parts[2] if known else None


def replay_message(connection: Connection, topic: str, partition: int, offset: int, day: date) -> None:
    """Put a dead letter's original message on its topic again.

    Raises:
        Refused: there is no such dead letter, or a report or event of its id is in the inbox: it was applied already.
    """
    place = f"{topic}/{partition}/{offset}"
    row = connection.execute("SELECT key, body, headers FROM outbox WHERE ce_id = %s", (f"dlq/{place}",)).fetchone()
    if row is None:
        raise Refused("DEAD_LETTER_UNKNOWN", f"没有该死信。 / no dead letter {place}.")
    letter = "UPDATE dead_letter SET replayed_on = %s, replays = replays + 1"
    partner, report_id, replays = connection.execute(
        letter + " WHERE (topic, topic_partition, topic_offset) = (%s, %s, %s) RETURNING partner, report_id, replays",
        (day, topic, partition, offset),
    ).fetchone() or (None, None, 0)
    if _applied(connection, partner, report_id):
        raise Refused(
            "ALREADY_APPLIED",
            f"编号为 {report_id} 的报文已被采用，无需重放。 / {report_id} of {partner} is applied already.",
            report_id=report_id,
        )
    headers = {name: value for name, value in row[2].items() if not name.startswith("issuance.dlq.")}
    again = Outgoing(f"replay/{place}/{replays}", topic, row[0], None, bytes(row[1]), headers)
    write_outbox(connection, [again], day)


def _applied(connection: Connection, partner: str | None, report_id: str | None) -> bool:
    row = connection.execute(
        "SELECT FROM report WHERE (partner, report_id) = (%(partner)s, %(id)s)"
        " UNION ALL SELECT FROM holder_event WHERE (source, event_id) = (%(partner)s, %(id)s) LIMIT 1",
        {"partner": partner, "id": report_id},
    ).fetchone()
    return row is not None
