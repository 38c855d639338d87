"""The one consumer loop: a poll becomes one transaction, and the position lies in the ledger (principle 6).

A stage only says which topics and record it reads and what to do with a batch. On assignment the loop seeks to the
ledger's position, so a restored ledger reads every later message again; Kafka's own offsets are not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition

from issuance.city.partners import Registry, load_registry
from issuance.ledger.connection import Connection, business_day, business_now, connect, retryable
from issuance.settings import Settings
from issuance.wire.codec import Codec
from issuance.wire.kafka import make_consumer, our_credentials
from issuance.wire.loop import Loop
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.wire.pauses import Limits, pause_partner, paused_partners, read_counts, write_counts
from issuance.wire.refusals import Message, Outcome, partner_of, paused_notice, refuse_message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What a stage is given besides its messages; times are business time."""

    settings: Settings
    registry: Registry
    now: datetime
    day: date


Apply = Callable[[Connection, Sequence[Message], Context], tuple[list[Outcome], list[Outgoing]]]


@dataclass(frozen=True)
class Stage:
    """A kind of inbound message: topic family, Avro record, and what a batch of decoded messages does.

    `apply` runs inside the loop's transaction, must not commit, and returns one outcome a message, in order.
    """

    name: str
    family: str
    record: str
    apply: Apply

    @property
    def pattern(self) -> str:
        """Every topic of the family except dead letters."""
        return rf"^issuance\.{self.family}(\.[A-Za-z0-9-]+)?\.v1$"


class StageConsumer:
    """One process of one stage. Not safe across fork or threads."""

    def __init__(self, settings: Settings, stage: Stage, limits: Limits | None = None) -> None:
        self._settings = settings
        self._stage = stage
        self._limits = limits or Limits()
        self._codec = Codec(settings.schema_registry_url)
        self._connection = connect(settings.database_url)
        self._consumer = make_consumer(our_credentials(settings), f"issuance-{stage.name}")
        self._consumer.subscribe(pattern=stage.pattern, listener=_SeekToLedger(self))
        self._loop = Loop(f"stage={stage.name}")

    def run(self) -> None:
        """Consume until stopped; a Retryable error rolls back, seeks to the ledger's positions and tries again."""
        self._loop.run(lambda: self.step(500), self._recover)
        self._consumer.close()
        self._codec.close()

    def step(self, timeout_ms: int, max_records: int = 500) -> int:
        """One poll into one transaction; returns the number of messages whose position moved."""
        polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        records = [record for partition in sorted(polled) for record in polled[partition]]
        if not records:
            self._heed_pauses()
            return 0
        messages = [self._decode(record) for record in records]
        with retryable(), self._connection.transaction():
            done, paused = self._apply(messages)
        self._set_aside(paused, messages)
        log.info("stage=%s messages=%d", self._stage.name, done)
        return done

    def seek_to_ledger(self, partitions: Sequence[Any]) -> None:
        """Move to the ledger's positions; a partition without one starts at its earliest message."""
        if not partitions:
            return
        with retryable(), self._connection.transaction():
            positions = read_positions(self._connection, partitions)
        for partition in partitions:
            if partition in positions:
                self._consumer.seek(partition, positions[partition])
            else:
                self._consumer.seek_to_beginning(partition)

    def _apply(self, messages: Sequence[Message]) -> tuple[int, set[str]]:
        """Apply a poll inside the open transaction; returns how many messages, and the partners set aside."""
        # Partners are added and removed while we run; the registry is reloaded when its file has changed.
        registry = load_registry(self._settings.partners_file)
        context = Context(self._settings, registry, business_now(self._connection), business_day(self._connection))
        paused = paused_partners(self._connection)
        positions = lock_positions(self._connection, {(m.topic, m.partition) for m in messages})
        due = [m for m in messages if m.partner not in paused and m.offset >= positions.get((m.topic, m.partition), 0)]
        while True:
            kept, tripping = self._attempt(due, context)
            if tripping is None:
                break
            paused.add(tripping.partner or "")
            due = kept
        self._write_positions(kept)
        return len(kept), paused

    def _attempt(self, messages: list[Message], context: Context) -> tuple[list[Message], Message | None]:
        """Apply messages under a savepoint. When one trips its partner's limit, the attempt is rolled back, and
        the messages to retry (that one now refused, the partner's later ones left out) are returned with it."""
        try:
            with self._connection.transaction():
                outcomes, answers = self._handle(messages, context)
                tripped = self._count(outcomes)
                if tripped is None:
                    write_outbox(self._connection, answers, context.day)
                    return messages, None
                raise _Tripped(*tripped)
        except _Tripped as trip:
            partner = trip.message.partner or ""
            pause_partner(self._connection, partner, trip.limit, context.day)
            write_outbox(self._connection, [paused_notice(partner, trip.limit, trip.message)], context.day)
            return _without_later(messages, trip.message), trip.message

    def _handle(self, messages: list[Message], context: Context) -> tuple[list[Outcome], list[Outgoing]]:
        sound = [message for message in messages if message.refusal is None]
        outcomes, answers = self._stage.apply(self._connection, sound, context) if sound else ([], [])
        by_message = {id(outcome.message): outcome for outcome in outcomes}
        ordered = [by_message.get(id(m)) or Outcome(m, m.refusal) for m in messages]
        for outcome in ordered:
            if outcome.refusal:
                answers.extend(refuse_message(self._connection, outcome.message, outcome.refusal, context.day))
        return ordered, answers

    def _count(self, outcomes: list[Outcome]) -> tuple[Message, str] | None:
        """Count outcomes per partner; the first message past a limit and the limit, or None."""
        partners = {o.message.partner for o in outcomes if o.message.partner}
        counts = read_counts(self._connection, partners)
        for outcome in outcomes:
            count = counts.get(outcome.message.partner or "")
            if count is None or outcome.message.refusal == "PAUSED":
                continue
            count.add(outcome)
            limit = count.tripped(self._limits)
            if limit:
                return outcome.message, limit
        write_counts(self._connection, counts)
        return None

    def _write_positions(self, messages: Sequence[Message]) -> None:
        newest = {(m.topic, m.partition): m.offset + 1 for m in messages}
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE topic_position SET next_offset = %s WHERE topic = %s AND topic_partition = %s",
                [(offset, *place) for place, offset in sorted(newest.items())],
            )

    def _decode(self, record: Any) -> Message:
        raw = record.value or b""
        message = Message(
            record.topic, record.partition, record.offset, partner_of(record.topic), record.key, raw,
            tuple(record.headers or ()), None,
        )  # fmt: skip
        try:
            value = self._codec.decode(self._stage.record, raw)
        except ValueError:
            return replace(message, refusal="UNDECODABLE")
        return replace(message, value=value)

    def _set_aside(self, paused: set[str], messages: Sequence[Message]) -> None:
        """Stop fetching paused partners' partitions and go back to what was not applied of them."""
        partitions = {TopicPartition(m.topic, m.partition) for m in messages if m.partner in paused}
        if partitions:
            self._consumer.pause(*partitions)
            self.seek_to_ledger(sorted(partitions))

    def _heed_pauses(self) -> None:
        """Resume fetching for partners that an operator has resumed."""
        held = self._consumer.paused()
        if not held:
            return
        with retryable(), self._connection.transaction():
            paused = paused_partners(self._connection)
        resumed = [partition for partition in held if partner_of(partition.topic) not in paused]
        if resumed:
            self._consumer.resume(*resumed)

    def _recover(self) -> None:
        """Recover from an error: reconnect, and seek to the ledger's positions."""
        if self._connection.closed or self._connection.broken:
            self._connection = connect(self._settings.database_url)
        else:
            with retryable():
                self._connection.rollback()
        self.seek_to_ledger(sorted(self._consumer.assignment()))


class _SeekToLedger(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: StageConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to close between polls."""

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._consumer.seek_to_ledger(sorted(assigned))


class _Tripped(Exception):
    def __init__(self, message: Message, limit: str) -> None:
        super().__init__(limit)
        self.message = message
        self.limit = limit


def _without_later(messages: list[Message], tripping: Message) -> list[Message]:
    """The messages up to the tripping one of its partner, that one refused as PAUSED, and all of the others."""
    place = messages.index(tripping)
    later = [m for m in messages[place + 1 :] if m.partner != tripping.partner]
    return [*messages[:place], replace(tripping, refusal="PAUSED"), *later]


def read_positions(connection: Connection, partitions: Sequence[Any]) -> dict[Any, int]:
    """The ledger's next offsets of these partitions."""
    rows = connection.execute("SELECT topic, topic_partition, next_offset FROM topic_position").fetchall()
    known = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
    return {partition: known[partition] for partition in partitions if partition in known}


def lock_positions(connection: Connection, places: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Lock the positions of these partitions, in key order, and return them; a second process waits here."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO topic_position (topic, topic_partition, next_offset) VALUES (%s, %s, 0)"
            " ON CONFLICT DO NOTHING",
            sorted(places),
        )
    rows = connection.execute(
        "SELECT topic, topic_partition, next_offset FROM topic_position WHERE (topic, topic_partition) IN"
        " (SELECT unnest(%s::text[]), unnest(%s::int[])) ORDER BY 1, 2 FOR UPDATE",
        ([topic for topic, _ in sorted(places)], [partition for _, partition in sorted(places)]),
    )
    return {(topic, partition): offset for topic, partition, offset in rows}
