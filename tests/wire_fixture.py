"""Partners that speak over the real broker, and consumer processes that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kafka import TopicPartition

from issuance.city.partners import topic_of
from issuance.ledger.connection import connect
from issuance.settings import Settings, read_env_file
from issuance.wire.avro import encode_body
from issuance.wire.codec import Codec
from issuance.wire.kafka import Credentials, cloud_event_headers, make_consumer, make_producer, our_credentials

RECORDS = {"statements": "statement", "holder-events": "holder_event"}


def credentials_of(settings: Settings, partner: str) -> Credentials:
    """A partner's own Kafka user."""
    env = read_env_file(settings.partner_credentials_dir / partner / "partner.env")
    return Credentials(settings.kafka_bootstrap_servers, env["KAFKA_USER"], env["KAFKA_PASSWORD"])


class Wire:
    """Sends as partners and runs consumers of one ledger; only what is sent from now on is read."""

    def __init__(self, settings: Settings, ledger_url: str) -> None:
        self._settings = settings
        self._url = ledger_url
        self._codec = Codec(settings.schema_registry_url)
        self._producers: dict[str, Any] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watcher = make_consumer(our_credentials(settings), None)
        self._start_at_end()

    def _start_at_end(self) -> None:
        """Positions at the present ends: other tests' messages are not this ledger's."""
        with connect(self._url) as connection:
            for partition, end in self._ends().items():
                connection.execute(
                    "INSERT INTO topic_position VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (*partition, end)
                )

    def _ends(self) -> dict[Any, int]:
        topics = [t for t in self._watcher.topics() if t.startswith("issuance.") and not t.endswith(".dlq")]
        ends: dict[Any, int] = self._watcher.end_offsets([TopicPartition(topic, 0) for topic in sorted(topics)])
        return ends

    def send(self, partner: str, family: str, value: dict[str, Any] | bytes) -> None:
        """Send one record (or raw bytes) on a partner's own topic, as that partner."""
        topic = topic_of(family, partner)
        if partner not in self._producers:
            self._producers[partner] = make_producer(credentials_of(self._settings, partner))
        record = RECORDS.get(family, "card_report")
        body = value if isinstance(value, bytes) else self._codec.frame(topic, encode_body(record, value))
        headers = cloud_event_headers(
            "test", f"cn.issuance.v1.{record}", f"urn:{partner}", datetime.now(UTC).isoformat()
        )
        self._producers[partner].send(topic, body, b"key", headers).get(timeout=30)

    def start(self, *stages: str) -> None:
        """Start consumer processes of this ledger."""
        env = {**os.environ, "DATABASE_URL": self._url, "PYTHONPATH": os.pathsep.join(sys.path)}
        for stage in stages:
            self._processes[stage] = subprocess.Popen(
                [sys.executable, "-m", "consumers", stage], env=env, stderr=subprocess.DEVNULL, start_new_session=True
            )

    def kill(self, stage: str) -> None:
        """kill -9, by id."""
        process = self._processes.pop(stage)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def await_read(self, *families: str) -> None:
        """Until everything sent on these families is in the ledger."""
        wait_for(lambda: self.lag(*families) == 0)

    def lag(self, *families: str) -> int:
        """Messages of these families that are not in the ledger."""
        return sum(self.lags(*families).values())

    def lags(self, *families: str) -> dict[str, int]:
        """The same by topic."""
        with connect(self._url) as connection:
            rows = connection.execute("SELECT topic, topic_partition, next_offset FROM topic_position").fetchall()
        positions = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
        ends = {p: end for p, end in self._ends().items() if p.topic.split(".")[1] in families}
        return {p.topic: end - positions.get(p, 0) for p, end in ends.items() if end > positions.get(p, 0)}

    def close(self) -> None:
        """End the processes by their ids."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=30)
        for producer in self._producers.values():
            producer.close()
        self._watcher.close()
        self._codec.close()


def wait_for(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Await a condition; the patience only bounds a failure."""
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, "the condition did not come true"
        time.sleep(0.05)
