"""What a partner writes to its topics: read with the pipeline's own user, from the start of the check."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import TopicPartition

from issuance.city.partners import Partner, topic_of
from issuance.settings import Settings
from issuance.wire.codec import Codec
from issuance.wire.kafka import make_consumer, our_credentials

RECORDS = {
    "production": "card_report",
    "mail": "card_report",
    "collection": "card_report",
    "activation": "card_report",
    "statements": "statement",
    "holder-events": "holder_event",
    "card-jobs": "card_job",
    "partner-notices": "partner_notice",
    "notices": "notice",
}
REPORTS = frozenset({"production", "mail", "collection", "activation"})


@dataclass(frozen=True)
class Seen:
    """One message: where and when it was stored, its bytes, and its value if it can be decoded."""

    family: str
    offset: int
    at: datetime
    key: bytes | None
    raw: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: dict[str, Any] | None

    @property
    def name(self) -> str:
        """How findings refer to it: the sender's id where there is one, its place always."""
        value = self.value or {}
        ids = (str(value[name]) for name in ("report_id", "statement_id", "event_id") if value.get(name))
        return f"{next(ids, 'undecodable')} ({self.family}/{self.offset})"

    @property
    def everything(self) -> bytes:
        """All its bytes."""
        return b"\n".join([self.key or b"", self.raw, *(value for _, value in self.headers)])


class Watch:
    """Reads the topics of some partners from their current ends."""

    def __init__(self, settings: Settings, codec: Codec, partner: Partner) -> None:
        self._codec = codec
        self._consumer = make_consumer(our_credentials(settings), None)
        self._families = {topic: topic.split(".")[1] for topic, _ in partner.topics()}
        self._families[topic_of("partner-notices", partner.id)] = "partner-notices"
        partitions = [
            TopicPartition(topic, number)
            for topic in sorted(self._families)
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]
        self._consumer.assign(partitions)
        for partition, end in self._consumer.end_offsets(partitions).items():
            self._consumer.seek(partition, end)
        self.seen: list[Seen] = []

    def read(self, timeout_ms: int = 100) -> int:
        """Read new messages; returns how many."""
        polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=2000)
        found = [self._see(record) for partition in sorted(polled) for record in polled[partition]]
        self.seen += found
        return len(found)

    def of(self, *families: str) -> list[Seen]:
        """What was seen of some families, in the order of arrival."""
        return [seen for seen in self.seen if seen.family in families]

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _see(self, record: Any) -> Seen:
        family = self._families[record.topic]
        raw = record.value or b""
        try:
            value = self._codec.decode(RECORDS[family], raw)
        except ValueError:
            value = None
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return Seen(family, record.offset, at, record.key, raw, tuple(record.headers or ()), value)
