"""Sending what others wrote, byte by byte: kafka-python refuses nulls in headers and messages without key and value, so
dead letters and their replays go out by librdkafka."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError as Failure
from confluent_kafka import KafkaException, Producer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from issuance.wire.kafka import MOST_REQUEST, Credentials, librdkafka_options
from issuance.wire.outbox import Headers

SECONDS = 30
"""How long an acknowledgement is awaited."""


class LetterProducer:
    """Sends messages as they came; errors are those of kafka-python."""

    def __init__(self, credentials: Credentials) -> None:
        self._producer = Producer(
            {
                **librdkafka_options(credentials),
                "enable.idempotence": True,
                "compression.type": "gzip",
                "message.max.bytes": MOST_REQUEST,
                "message.timeout.ms": SECONDS * 1000,
                "allow.auto.create.topics": False,
            }
        )

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Future[None]:
        """The acknowledgement to come; `flush` awaits it."""
        told: Future[None] = Future()
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=_tell(told))
        except KafkaException as error:
            told.set_exception(_as_ours(error.args[0]))
        return told

    def flush(self) -> None:
        """Until everything is acknowledged or given up."""
        self._producer.flush(SECONDS)


def _tell(told: Future[None]) -> Any:
    def tell(error: Failure | None, _: Any) -> None:
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(_as_ours(error))

    return tell


def _as_ours(error: Failure) -> KafkaError:
    return MessageSizeTooLargeError() if error.code() == Failure.MSG_SIZE_TOO_LARGE else KafkaError(error.name())
