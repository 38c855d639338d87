"""The one adapter to kafka-python: clients with the defaults this product needs, headers, positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from issuance.settings import Settings
from issuance.wire.unpacking import limit_batches

MOST_REQUEST = 32 * 1024 * 1024
"""Bytes of a message before it is packed: a dead letter is as large as what others could unpack here."""


@dataclass(frozen=True)
class Credentials:
    """A Kafka user and its credentials."""

    bootstrap_servers: str
    user: str
    password: str
    security_protocol: str = "SASL_PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-256"

    def __repr__(self) -> str:
        return f"Credentials({self.user}@{self.bootstrap_servers})"


def our_credentials(settings: Settings) -> Credentials:
    """The pipeline's own user."""
    return Credentials(
        settings.kafka_bootstrap_servers,
        settings.kafka_user,
        settings.kafka_password,
        settings.kafka_security_protocol,
        settings.kafka_sasl_mechanism,
    )


def client_options(credentials: Credentials) -> dict[str, Any]:
    """Settings common to all clients."""
    return {
        "bootstrap_servers": credentials.bootstrap_servers,
        "security_protocol": credentials.security_protocol,
        "sasl_mechanism": credentials.sasl_mechanism,
        "sasl_plain_username": credentials.user,
        "sasl_plain_password": credentials.password,
    }


def librdkafka_options(credentials: Credentials) -> dict[str, Any]:
    """The same for a client of librdkafka."""
    return {
        "bootstrap.servers": credentials.bootstrap_servers,
        "security.protocol": credentials.security_protocol,
        "sasl.mechanism": credentials.sasl_mechanism,
        "sasl.username": credentials.user,
        "sasl.password": credentials.password,
    }


def make_consumer(
    credentials: Credentials, group: str | None, beyond_log: Literal["earliest", "none"] = "earliest"
) -> Any:
    """A consumer that commits nothing and reads committed records only, in batches of every codec up to a bound.

    `beyond_log`: where to go on when a position lies outside the log; "none" raises OffsetOutOfRangeError. Topics have
    few partitions, so they are spread one by one: by range one process would get partition 0 of every topic.
    """
    consumer = KafkaConsumer(
        **client_options(credentials),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset=beyond_log,
        allow_auto_create_topics=False,
        isolation_level="read_committed",
        metadata_max_age_ms=30_000,
        fetch_max_bytes=8 * 1024 * 1024,
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
    )
    limit_batches(consumer)
    return consumer


def resume_fetching(consumer: Any, partitions: Iterable[Any]) -> None:
    """Fetch paused partitions again, from the positions to which the caller has moved them.

    kafka-python 3.0.12 never takes up again what it had unpacked of a partition when it was paused, if the batch that
    it gave out last is used up, and fetches nothing of that partition meanwhile; here it is dropped.
    """
    for partition in partitions:
        consumer._fetcher._paused_partition_records.pop(partition, None)
        consumer._fetcher._paused_completed_fetches.pop(partition, None)
    consumer.resume(*partitions)


def topic_ids(consumer: Any, topics: Iterable[str]) -> dict[str, UUID | None]:
    """The ids that a consumer's Kafka gives to topics; one made anew under the same name has another."""
    return {topic: consumer._client._manager.cluster.topic_id(topic) for topic in topics}


def make_producer(credentials: Credentials) -> Any:
    """An idempotent producer that waits for all replicas."""
    return KafkaProducer(
        **client_options(credentials),
        allow_auto_create_topics=False,
        compression_type="gzip",
        linger_ms=5,
        max_request_size=MOST_REQUEST,
    )


def cloud_event_headers(
    ce_id: str, ce_type: str, source: str, time: str, extra: Mapping[str, bytes] | None = None
) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in binary mode."""
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": ce_id.encode(),
        "ce_type": ce_type.encode(),
        "ce_source": source.encode(),
        "ce_time": time.encode(),
        "content-type": b"application/avro",
    }
    return [*headers.items(), *(extra or {}).items()]
