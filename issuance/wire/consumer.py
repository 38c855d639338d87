"""The one consumer loop: what is polled becomes transactions, and the position lies in the ledger (principle 6).

A stage only says which topics and record it reads and what to do with a batch. On assignment the loop seeks to the
ledger's position, so a restored ledger reads every later message again; Kafka's own offsets are not used. Behind the
stage's checks lies the net of principle 13: wire.isolation finds the message in which an error lies, and what is ours
stops the stage, loudly, and is tried again.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from issuance.city.partners import Registry, load_registry
from issuance.errors import Retryable, Unavailable
from issuance.ledger.connection import Connection, business_day, business_now, connect, retryable
from issuance.settings import Settings
from issuance.wire.faults import clear_faults, held_partitions, note_fault
from issuance.wire.isolation import Culprits, Recent, isolate, where
from issuance.wire.kafka import make_consumer, our_credentials, resume_fetching, topic_ids
from issuance.wire.loop import Loop
from issuance.wire.outbox import Letter, Outgoing, write_outbox
from issuance.wire.pauses import pause_partner, paused_partners, read_counts, write_counts
from issuance.wire.positions import (
    changed_topics,
    lock_positions,
    name_topics,
    read_positions,
    write_positions,
)
from issuance.wire.reading import Reader
from issuance.wire.refusals import Message, Outcome, partner_of, paused_notice, refuse_message

log = logging.getLogger(__name__)

YOUNG = 100_000
"""New objects before the garbage collector looks at them: a transaction's messages are as many, all of them alive, and
by default (700) much of the time goes into looking."""
HEED_SECONDS = 1.0
"""How often resumed partners, held partitions and the topics' ids are looked at, whatever the traffic."""


@dataclass(frozen=True)
class Context:
    """What a stage is given besides its messages; times are business time."""

    settings: Settings
    registry: Registry
    now: datetime
    day: date


Apply = Callable[[Connection, Sequence[Message], Context], tuple[list[Outcome], list[Outgoing]]]
Answers = list[Outgoing | Letter]


@dataclass(frozen=True)
class Stage:
    """A kind of inbound message: topic family, Avro record, and what a batch of decoded messages does.

    `apply` runs inside the loop's transaction, must not commit, and returns one outcome a message, in order.
    """

    name: str
    family: str
    record: str
    apply: Apply
    weight: int = 1
    """Items that a message counts for beside those it holds: one that opens sealed values is as slow as many."""

    @property
    def pattern(self) -> str:
        """Every topic of the family except dead letters."""
        return rf"^issuance\.{self.family}(\.[A-Za-z0-9-]+)?\.v1$"


class StageConsumer:
    """One process of one stage. Not safe across fork or threads."""

    def __init__(self, settings: Settings, stage: Stage) -> None:
        self._settings = settings
        self._stage = stage
        self._connection = connect(settings.database_url)
        self._consumer = make_consumer(our_credentials(settings), f"issuance-{stage.name}", "none")
        self._consumer.subscribe(pattern=stage.pattern, listener=_SeekToLedger(self))
        self._reader = Reader(self._consumer, settings.schema_registry_url, stage.record, stage.weight)
        self._loop = Loop(f"stage={stage.name}")
        self._recent = Recent()
        self._assigned = False
        self._stopped = True  # until a first transaction has shown that it is not
        self._heeded = 0.0
        self._ids: dict[str, Any] = {}
        self._written: dict[Any, int] = {}

    def run(self) -> None:
        """Consume until stopped; after an error of ours seek to the ledger's positions and try again."""
        gc.set_threshold(YOUNG)
        self._loop.run(self._guarded_step, self._recover)
        self._reader.close()
        self._consumer.close()

    def _guarded_step(self) -> None:
        """A step whose errors are Retryable, whatever they are: what is ours stops the stage but ends no process."""
        try:
            self.step(500)
        except OffsetOutOfRangeError:
            self._take_over()  # what was gathered of other partitions is read again
        except KafkaError as error:
            raise Unavailable("KAFKA_UNAVAILABLE", type(error).__name__) from error
        except Retryable:
            raise
        except Exception as error:
            self._stop(error)
            raise Retryable("STAGE_STOPPED", f"{self._stage.name}: {where(error)}") from error

    def step(self, timeout_ms: int) -> int:
        """Some polls into one transaction; returns the number of messages whose position moved."""
        if self._assigned:
            self._take_over()
        messages = self._reader.gather(timeout_ms)
        if time.monotonic() - self._heeded > HEED_SECONDS:
            self._heed()
        if not messages:
            self._note_positions()
            return 0
        with retryable(), self._connection.transaction():
            done, aside = self._apply(messages)
        self._set_aside(aside, messages)
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

    def note_assigned(self, partitions: Sequence[Any]) -> None:
        """Newly assigned partitions stand at the ledger's positions and are not fetched before the next step: Kafka
        can't be asked anything in the middle of a rebalance."""
        self._assigned = True
        self.seek_to_ledger(partitions)
        self._consumer.pause(*partitions)

    def _take_over(self) -> None:
        """Begin with what is assigned; a partition whose log is not that of its position is held."""
        partitions = sorted(self._consumer.assignment())
        self._written, self._assigned = {}, False
        try:
            self._verify_topics(partitions)
        except KafkaError as error:
            raise Unavailable("KAFKA_UNAVAILABLE", type(error).__name__) from error
        self.seek_to_ledger(partitions)

    def _verify_topics(self, partitions: Sequence[Any]) -> None:
        """Hold partitions whose topic is another than the one that the ledger read (another Kafka, a topic made anew),
        or whose log does not reach to the position: a person says how it goes on."""
        if not partitions:
            return
        ids = self._ids = topic_ids(self._consumer, self._topics())
        begins = self._consumer.beginning_offsets(list(partitions))
        ends = self._consumer.end_offsets(list(partitions))
        logs = {partition: (begins[partition], ends[partition]) for partition in partitions}
        with retryable(), self._connection.transaction():
            day = business_day(self._connection)
            for place, detail in changed_topics(self._connection, logs, ids):
                log.error("stage=%s holds %s: %s", self._stage.name, place, detail)
                note_fault(self._connection, "TOPIC_CHANGED", place, detail, day)
            name_topics(self._connection, ids)
        self._heed()

    def _topics(self) -> set[str]:
        return {partition.topic for partition in self._consumer.assignment()}

    def _apply(self, messages: Sequence[Message]) -> tuple[int, set[str]]:
        """Apply messages inside the open transaction; returns how many, and the partners set aside."""
        # Partners are added and removed while we run; the registry is reloaded when its file has changed.
        registry = load_registry(self._settings.partners_file)
        context = Context(self._settings, registry, business_now(self._connection), business_day(self._connection))
        aside, held = paused_partners(self._connection), held_partitions(self._connection)
        positions = lock_positions(self._connection, {(m.topic, m.partition) for m in messages}, self._ids)
        due = [
            m for m in messages
            if m.partner not in aside and f"{m.topic}/{m.partition}" not in held
            and m.offset >= positions.get((m.topic, m.partition), 0)
        ]  # fmt: skip
        while True:
            try:
                with self._connection.transaction():
                    self._attempt(due, context)
                break
            except _Tripped as trip:
                aside.add(trip.message.partner or "")
                due = _without_later(due, trip)
            except Culprits as many:
                aside.add(many.partner)
                self._hold(many, messages, context.day)
                due = [m for m in due if m.partner != many.partner]
        write_positions(self._connection, {(m.topic, m.partition): m.offset + 1 for m in due})
        if self._stopped:
            clear_faults(self._connection, "STAGE_STOPPED", self._stage.name)
            self._stopped = False
        return len(due), aside

    def _attempt(self, messages: Sequence[Message], context: Context) -> None:
        """Apply, count and answer. Raises `_Tripped` at the first message that trips its partner's limit, and
        `Culprits` when too many of a partner can't be processed; both undo the attempt."""
        sound = [message for message in messages if message.refusal is None]
        stage, ledger = self._stage, self._connection
        outcomes, answers = isolate(ledger, sound, lambda some: stage.apply(ledger, some, context))
        self._recent.judge(messages, outcomes)
        by_message = {id(outcome.message): outcome for outcome in outcomes}
        ordered = [by_message.get(id(m)) or Outcome(m, m.refusal) for m in messages]
        self._count(ordered, context.registry)
        told: Answers = [*answers]
        for outcome in ordered:
            if outcome.refusal:
                told += refuse_message(self._connection, outcome.message, outcome.refusal, context.day, outcome.seconds)
            if outcome.message.trips:
                told.append(self._pause(outcome.message, context.day))
        write_outbox(self._connection, told, context.day)
        self._recent.add(messages, outcomes)

    def _count(self, outcomes: Sequence[Outcome], registry: Registry) -> None:
        """Count outcomes per partner; raises `_Tripped` at the first message past its partner's limit."""
        counts = read_counts(self._connection, {o.message.partner for o in outcomes if o.message.partner})
        for outcome in outcomes:
            count = counts.get(outcome.message.partner or "")
            if count is None:
                continue
            limit = count.add(outcome, registry.limits_of(outcome.message.partner or ""))
            if limit and not outcome.message.trips:
                raise _Tripped(outcome, limit)
        write_counts(self._connection, counts)

    def _pause(self, message: Message, day: date) -> Outgoing:
        partner = message.partner or ""
        pause_partner(self._connection, partner, message.trips, day)
        return paused_notice(partner, message.trips, message)

    def _hold(self, many: Culprits, messages: Sequence[Message], day: date) -> None:
        """Hold a partner's partitions: so many messages that can't be processed are a fault of ours."""
        log.error("stage=%s holds %s: %s", self._stage.name, many.partner, many)
        for place in sorted({f"{m.topic}/{m.partition}" for m in messages if m.partner == many.partner}):
            note_fault(self._connection, "PARTNER_HELD", place, str(many), day)

    def _stop(self, error: Exception) -> None:
        """Say that the stage stands, with what is known of the error but no value; it is tried again."""
        log.error("stage=%s stopped: %s", self._stage.name, where(error))
        self._stopped = True
        with connect(self._settings.database_url) as connection:
            note_fault(connection, "STAGE_STOPPED", self._stage.name, where(error), business_day(connection))

    def _note_positions(self) -> None:
        """Nothing is left to apply: move positions past what is no message, the markers of transactions."""
        assigned = self._consumer.assignment() - self._consumer.paused()
        reached = {p: self._consumer.position(p, timeout_ms=0) for p in sorted(assigned)}
        moved = {p: offset for p, offset in reached.items() if offset is not None and self._written.get(p) != offset}
        if moved:
            with retryable(), self._connection.transaction():
                places = {(p.topic, p.partition): offset for p, offset in moved.items()}
                stand = lock_positions(self._connection, set(places), self._ids)
                ahead = {place: offset for place, offset in places.items() if offset > stand[place]}
                write_positions(self._connection, ahead)
            self._written |= moved

    def _set_aside(self, partners: set[str], messages: Sequence[Message]) -> None:
        """Stop fetching partitions of partners that are set aside, and go back to what was not applied of them."""
        partitions = {TopicPartition(m.topic, m.partition) for m in messages if m.partner in partners}
        if partitions:
            self._consumer.pause(*partitions)
            self.seek_to_ledger(sorted(partitions))

    def _heed(self) -> None:
        """Stop fetching what is held, and go on from the ledger's position with what a person has resumed."""
        self._heeded = time.monotonic()
        if topic_ids(self._consumer, self._topics()) != self._ids:
            self._verify_topics(sorted(self._consumer.assignment()))
        with retryable(), self._connection.transaction():
            paused, held = paused_partners(self._connection), held_partitions(self._connection)
        waiting = {
            p
            for p in self._consumer.assignment()
            if partner_of(p.topic) in paused or f"{p.topic}/{p.partition}" in held
        }
        if stop := waiting - self._consumer.paused():
            self._consumer.pause(*stop)
        if resumed := self._consumer.paused() - waiting:
            self.seek_to_ledger(sorted(resumed))
            resume_fetching(self._consumer, resumed)

    def _recover(self) -> None:
        """Recover from an error: reconnect, and seek to the ledger's positions."""
        if self._connection.closed or self._connection.broken:
            self._connection = connect(self._settings.database_url)
        else:
            with retryable():
                self._connection.rollback()
        self._take_over()


class _SeekToLedger(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: StageConsumer) -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to close between polls."""

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._consumer.note_assigned(sorted(assigned))


class _Tripped(Exception):
    def __init__(self, outcome: Outcome, limit: str) -> None:
        super().__init__(limit)
        self.message = outcome.message
        self.refused = replace(outcome.message, refusal=outcome.refusal or "PAUSED", trips=limit)


def _without_later(messages: Sequence[Message], trip: _Tripped) -> list[Message]:
    """The messages up to the tripping one of its partner, that one refused as a whole, and all of the others."""
    place = next(n for n, message in enumerate(messages) if message is trip.message)
    later = [m for m in messages[place + 1 :] if m.partner != trip.message.partner]
    return [*messages[:place], trip.refused, *later]
