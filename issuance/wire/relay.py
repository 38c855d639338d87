"""The relay: sends the outbox to Kafka under one lock, in the order of its ids, and marks after the acknowledgement.

Ids keep the order within a transaction and between transactions that follow each other. Rows are marked one by one, so
one that a slower transaction commits later is sent later and never skipped.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

from kafka.errors import KafkaError

from issuance.clock import instant_on
from issuance.errors import Unavailable
from issuance.ledger.connection import Connection, connect, retryable
from issuance.settings import Settings
from issuance.wire.codec import Codec
from issuance.wire.kafka import cloud_event_headers, make_producer, our_credentials
from issuance.wire.loop import Loop

log = logging.getLogger(__name__)
SOURCE = "urn:issuance:pipeline"
BATCH = 1000
IDLE_SECONDS = 0.1


class Relay:
    """One process sends at a time; a second one waits for the lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codec = Codec(settings.schema_registry_url)
        self._producer = make_producer(our_credentials(settings))
        self._connection = connect(settings.database_url)
        self._loop = Loop("relay")

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
        """Send the oldest unsent messages; returns how many were acknowledged and marked."""
        with retryable(), self._connection.transaction():
            rows = _unsent(self._connection)
            if not rows:
                return 0
            try:
                futures = [self._send(*row[1:]) for row in rows]
                self._producer.flush()
                for future in futures:
                    future.get(timeout=30)
            except KafkaError as error:
                raise Unavailable("KAFKA_UNAVAILABLE", f"not acknowledged: {type(error).__name__}") from error
            self._connection.execute("UPDATE outbox SET sent = true WHERE id = ANY (%s)", ([row[0] for row in rows],))
        log.info("relay sent=%d", len(rows))
        return len(rows)

    def _send(self, ce_id: str, topic: str, key: str, record: str | None, body: bytes, headers: Any, day: Any) -> Any:
        extra = {name: base64.b64decode(value) for name, value in headers.items()}
        if record is None:
            return self._producer.send(topic, body, base64.b64decode(key), list(extra.items()))
        ce_type = f"cn.issuance.v1.{record}"
        event = cloud_event_headers(ce_id, ce_type, SOURCE, instant_on(day, 0).isoformat(), extra)
        return self._producer.send(topic, self._codec.frame(topic, bytes(body)), key.encode(), event)

    def _recover(self) -> None:
        """Reconnect after an error."""
        if self._connection.closed or self._connection.broken:
            self._connection = connect(self._settings.database_url)


def _unsent(connection: Connection) -> list[Any]:
    """The oldest unsent messages; a second relay waits here."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.outbox'))")
    return connection.execute(
        "SELECT id, ce_id, topic, key, record, body, headers, business_day FROM outbox"
        " WHERE NOT sent ORDER BY id LIMIT %s",
        (BATCH,),
    ).fetchall()


def unsent_count(connection: Connection) -> int:
    """How many messages wait."""
    row = connection.execute("SELECT count(*) FROM outbox WHERE NOT sent").fetchone()
    return int(row[0]) if row else 0
