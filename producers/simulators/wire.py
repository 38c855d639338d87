"""The partners' side of Kafka: each partner reads and writes its own topics with its own credentials."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from issuance.city.partners import Partner, topic_of
from issuance.errors import Unavailable
from issuance.wire.avro import encode_body
from issuance.wire.codec import Codec
from issuance.wire.kafka import Credentials, client_options, cloud_event_headers, make_producer
from producers.simulators.records import Message, Outgoing

RECORDS = {"card-jobs": "card_job", "partner-notices": "partner_notice", "notices": "notice"}
"""The record of each family that a partner reads."""
PATIENCE = 60.0


class Line:
    """One partner's line: a consumer kept open, at positions of its own, and a producer from its first message on."""

    def __init__(self, partner: Partner, env: dict[str, str], codec: Codec, from_end: bool = False) -> None:
        self.partner = partner.id
        self._codec = codec
        self._credentials = Credentials(
            env["KAFKA_BOOTSTRAP_SERVERS"], env["KAFKA_USER"], env["KAFKA_PASSWORD"], env["KAFKA_SECURITY_PROTOCOL"]
        )
        topics = {topic: topic.split(".")[1] for topic, may in partner.topics() if may == "read"}
        # Fetches do not wait for news, or the next question for the end offsets would wait behind them.
        self._consumer = KafkaConsumer(
            **client_options(self._credentials),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=1,
        )
        self._families = {
            TopicPartition(topic, number): family
            for topic, family in topics.items()
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        }
        if len({partition.topic for partition in self._families}) < len(topics):
            raise Unavailable("TOPICS_MISSING", f"{partner.id} does not see all of {', '.join(sorted(topics))}")
        self._consumer.assign(list(self._families))
        self._read = dict.fromkeys(self._families, 0)
        if from_end:  # a client that joins: what was said before it came is not lived again
            self._read = {
                partition: int(end) for partition, end in self._consumer.end_offsets(list(self._families)).items()
            }
            for partition, end in self._read.items():
                self._consumer.seek(partition, end)
        self._consumer.pause(*self._families)
        self._producer: Any = None

    def read_to_end(self) -> list[Message]:
        """Everything up to the end of the partner's topics as it is now.

        Raises:
            Unavailable: the broker gives nothing for a minute.
        """
        ends: dict[Any, int] = self._consumer.end_offsets(list(self._families))
        behind = {partition for partition, end in ends.items() if end > self._read[partition]}
        messages: list[Message] = []
        patient_until = time.monotonic() + PATIENCE
        while behind:
            self._consumer.resume(*behind)
            for partition, records in self._consumer.poll(timeout_ms=200, max_records=2000).items():
                patient_until = time.monotonic() + PATIENCE
                family = self._families[partition]
                messages += (self._decode(family, record) for record in records)
                self._read[partition] = records[-1].offset + 1
                if self._read[partition] >= ends[partition]:
                    behind.discard(partition)
                    self._consumer.pause(partition)
            if time.monotonic() > patient_until:
                raise Unavailable("KAFKA_SILENT", f"{self.partner} reads nothing for {PATIENCE:.0f} s")
        return messages

    def send(self, message: Outgoing) -> None:
        """Send a message; `flush` waits for its acknowledgement."""
        if self._producer is None:
            self._producer = make_producer(self._credentials)
        topic = topic_of(message.family, self.partner)
        headers = cloud_event_headers(
            message.ce_id,
            f"cn.issuance.v1.{message.record}",
            f"urn:issuance:partner:{self.partner}",
            _time_of(message).isoformat(),
        )
        body = self._codec.frame(topic, encode_body(message.record, message.value))
        self._producer.send(topic, body, message.key.encode(), headers)

    def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        if self._producer is not None:
            self._producer.flush()

    def close(self) -> None:
        """Hang up."""
        self._consumer.close()
        if self._producer is not None:
            self._producer.close()

    def _decode(self, family: str, record: Any) -> Message:
        return Message(self.partner, family, self._codec.decode(RECORDS[family], record.value))


class Exchange:
    """The lines of all partners of a kind."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = {line.partner: line for line in lines}
        self._pool = ThreadPoolExecutor(max_workers=8)

    def read_to_end(self) -> list[Message]:
        """What all partners have not read yet, in their order."""
        return [message for read in self._pool.map(Line.read_to_end, self._lines.values()) for message in read]

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Send messages in order and wait for all acknowledgements."""
        used: dict[str, Line] = {}
        for message in messages:
            line = used.setdefault(message.partner, self._lines[message.partner])
            line.send(message)
        for _ in self._pool.map(Line.flush, used.values()):
            pass

    def close(self) -> None:
        """Hang up all lines."""
        self._pool.shutdown()
        for line in self._lines.values():
            line.close()


def _time_of(message: Outgoing) -> Any:
    return next(message.value[name] for name in ("reported_at", "as_of", "occurred_at") if name in message.value)
