"""The relay: sends the outbox to Kafka under one lock, in the order of its ids, and marks after the acknowledgement.

Ids keep the order within a transaction and between transactions that follow each other. Rows are marked one by one, so
one that a slower transaction commits later is sent later and never skipped. A message that Kafka will never take is set
aside as a fault of ours, and the others go on; a relay that starts tries it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from kafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from issuance.clock import instant_on
from issuance.errors import Unavailable
from issuance.ledger.connection import Connection, business_day, connect, retryable
from issuance.settings import Settings
from issuance.wire.codec import Codec
from issuance.wire.faults import clear_faults, note_fault
from issuance.wire.kafka import cloud_event_headers, make_producer, our_credentials
from issuance.wire.letters import LetterProducer
from issuance.wire.loop import Loop
from issuance.wire.outbox import letter_parts

log = logging.getLogger(__name__)
SOURCE = "urn:issuance:pipeline"
BATCH = 1000
BATCH_BYTES = 16 * 1024 * 1024
"""What one step sends at most; a single larger message goes alone."""
IDLE_SECONDS = 0.1
UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError)
"""What lies in the message: the broker says the same the next time."""


class Row(NamedTuple):
    """One unsent message."""

    id: int
    ce_id: str
    topic: str
    key: str | None
    record: str | None
    body: bytes | None
    headers: list[tuple[str, str | None]]
    business_day: date
    schema: str | None


class Relay:
    """One process sends at a time; a second one waits for the lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codec = Codec(settings.schema_registry_url)
        self._producer = make_producer(our_credentials(settings))
        self._letters = LetterProducer(our_credentials(settings))
        self._connection = connect(settings.database_url)
        self._loop = Loop("relay")
        with retryable(), self._connection.transaction():
            clear_faults(self._connection, "NOT_SENT")

    def run(self) -> None:
        """Send until stopped; what was sent but not marked is sent again with the same id."""
        self._loop.run(self._step, self._recover)
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._producer.close()
        self._codec.close()
        self._connection.close()

    def _step(self) -> None:
        if self.send_batch() == 0:
            self._loop.rest(IDLE_SECONDS)

    def send_batch(self) -> int:
        """Send the oldest unsent messages; returns how many were acknowledged and marked, or set aside."""
        with retryable(), self._connection.transaction():
            rows = _unsent(self._connection)
            if not rows:
                return 0
            try:
                refused = self._send_all(rows)
            except KafkaError as error:
                raise Unavailable("KAFKA_UNAVAILABLE", f"not acknowledged: {type(error).__name__}") from error
            sent = [row.id for row in rows if row.id not in refused]
            self._connection.execute("UPDATE outbox SET sent = true WHERE id = ANY (%s)", (sent,))
            for row in rows:
                if row.id in refused:
                    self._set_aside(row, refused[row.id])
        log.info("relay sent=%d set_aside=%d", len(sent), len(refused))
        return len(rows)

    def _send_all(self, rows: list[Row]) -> dict[int, str]:
        """Send and await; the ids of messages that can't be sent, and why.

        The client gives up everything on its way when one message is refused for good: each is then sent alone.
        """
        refused = self._send_together(rows)
        if not refused:
            return {}
        self._producer.close(timeout=5)
        self._producer = make_producer(our_credentials(self._settings))
        if len(rows) == 1:
            return refused
        alone = [self._send_all([row]) for row in rows if row.id in refused]
        return {number: error for one in alone for number, error in one.items()}

    def _send_together(self, rows: list[Row]) -> dict[int, str]:
        refused: dict[int, str] = {}
        on_their_way = []
        for row in rows:
            try:
                on_their_way.append((row, self._send(row)))
            except UNSENDABLE as error:
                refused[row.id] = type(error).__name__
        self._producer.flush()
        self._letters.flush()
        for row, acknowledged in on_their_way:
            try:
                acknowledged()
            except UNSENDABLE as error:
                refused[row.id] = type(error).__name__
        return refused

    def _send(self, row: Row) -> Callable[[], Any]:
        """Send one message; what awaits its acknowledgement."""
        if row.record is None or row.schema is None:
            key, headers = letter_parts(row.key, row.headers)
            return partial(self._letters.send(row.topic, key, row.body, headers).result, timeout=30)
        ce_type = f"cn.issuance.v1.{row.record}"
        event = cloud_event_headers(row.ce_id, ce_type, SOURCE, instant_on(row.business_day, 0).isoformat())
        framed = self._codec.frame_as(row.topic, row.body or b"", row.schema)
        return partial(self._producer.send(row.topic, framed, (row.key or "").encode(), event).get, timeout=30)

    def _set_aside(self, row: Row, error: str) -> None:
        detail = f"{row.topic}: {error}, {len(row.body or b'')} bytes"
        log.error("relay cannot send %s: %s", row.ce_id, detail)
        note_fault(self._connection, "NOT_SENT", str(row.id), detail, business_day(self._connection))

    def _recover(self) -> None:
        """Reconnect after an error."""
        if self._connection.closed or self._connection.broken:
            self._connection = connect(self._settings.database_url)


ASIDE = "EXISTS (SELECT FROM fault f WHERE f.kind = 'NOT_SENT' AND f.reference = outbox.id::text)"
"""Whether a message was set aside."""


def _unsent(connection: Connection) -> list[Row]:
    """The oldest unsent messages, by number and size; a second relay waits here."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.outbox'))")
    rows = connection.execute(
        "SELECT id, ce_id, topic, key, record, body, headers, business_day, schema FROM ("
        "  SELECT *, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS before FROM ("
        f"    SELECT * FROM outbox WHERE NOT sent AND NOT {ASIDE} ORDER BY id LIMIT %s) oldest) sized"
        " LEFT JOIN outbox_schema USING (schema_md5) WHERE coalesce(before, 0) < %s ORDER BY id",
        (BATCH, BATCH_BYTES),
    )
    return [Row(*row) for row in rows]


def unsent_count(connection: Connection) -> int:
    """How many messages wait; those that were set aside wait for a person."""
    row = connection.execute(f"SELECT count(*) FROM outbox WHERE NOT sent AND NOT {ASIDE}").fetchone()
    return int(row[0]) if row else 0
