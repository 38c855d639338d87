"""Cases that others have met, over the real broker: the right outcome; marks name what is still to be mended."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from findings_fixture import another_client, open_kinds
from kafka import TopicPartition
from ledger_fixture import OPENS, fresh_database, new_ledger
from wire_fixture import credentials_of

from issuance.breaks.faults import watch_faults
from issuance.city.partners import topic_of
from issuance.ledger.connection import connect
from issuance.settings import Settings, load_settings
from issuance.wire.kafka import make_consumer, our_credentials
from issuance.wire.outbox import Letter, write_outbox
from issuance.wire.partner_notices import partner_notice
from issuance.wire.refusals import Message, refuse_message
from issuance.wire.relay import Relay

TOPIC = topic_of("production", "F-CIB")
PATIENCE = 10.0


@pytest.mark.parametrize("codec", ["zstd", "lz4", "snappy", "gzip"])
def test_batches_of_every_codec_are_read(stack: Settings, codec: str) -> None:
    partition = TopicPartition(TOPIC, 0)
    consumer = make_consumer(our_credentials(stack), None)
    consumer.assign([partition])
    consumer.seek_to_end(partition)
    start = consumer.position(partition)
    producer = another_client(credentials_of(stack, "F-CIB"), **{"compression.type": codec})
    producer.produce(TOPIC, b"x" * 2000)
    assert producer.flush(PATIENCE) == 0
    read: list[bytes] = []
    until = time.monotonic() + PATIENCE
    failure: Exception | None = None
    while not read and failure is None and time.monotonic() < until:
        try:
            read += [one.value for found in consumer.poll(500).values() for one in found if one.offset >= start]
        except Exception as error:
            failure = error
    consumer.close(autocommit=False)
    assert (read, failure) == ([b"x" * 2000], None)


@pytest.fixture
def relay(stack: Settings) -> Iterator[tuple[Relay, str]]:
    """A relay of a ledger of its own."""
    url = fresh_database(stack.database_url, "ledger_findings_relay")
    new_ledger(url)
    found = Relay(replace(stack, database_url=url))
    yield found, url
    found.close()


def unsent(url: str) -> list[str]:
    """The ids of what waits."""
    with connect(url) as connection:
        return [ce_id for (ce_id,) in connection.execute("SELECT ce_id FROM outbox WHERE NOT sent").fetchall()]


def test_a_dead_letter_larger_than_a_request_is_sent(relay: tuple[Relay, str]) -> None:
    sender, url = relay
    with connect(url) as connection:
        message = Message(TOPIC, 0, 1, "F-CIB", b"k", bytes(3_000_000), (), None)
        write_outbox(connection, refuse_message(connection, message, "UNDECODABLE", OPENS), OPENS)
    sender.send_batch()
    assert unsent(url) == []


def test_what_kafka_never_takes_is_set_aside_with_a_break_and_holds_up_nothing(relay: tuple[Relay, str]) -> None:
    sender, url = relay
    with connect(url) as connection:
        large = Letter("large", TOPIC, None, random.Random(7).randbytes(9_000_000), [])
        after = partner_notice("F-CIB", "APPLIED", "R1", {"applied": 1, "refused": 0})
        write_outbox(connection, [large, after], OPENS)
    sender.send_batch()
    assert unsent(url) == ["large"]
    assert sender.send_batch() == 0, "it is not tried again and again"
    with connect(url) as connection:
        watch_faults(connection, OPENS)
        assert open_kinds(connection) == ["NOT_SENT"]
    again = Relay(replace(load_settings(), database_url=url))
    with connect(url) as connection:
        watch_faults(connection, OPENS)
        assert open_kinds(connection) == [], "a relay that starts tries it again"
    again.close()


def test_a_dead_letter_is_untouched(stack: Settings, relay: tuple[Relay, str]) -> None:
    sender, url = relay
    partition = TopicPartition(f"{TOPIC}.dlq", 0)
    consumer = make_consumer(our_credentials(stack), None)
    consumer.assign([partition])
    consumer.seek_to_end(partition)
    start = consumer.position(partition)
    twice = (("traceparent", b"1"), ("traceparent", b"2"), ("traceparent", None))
    with connect(url) as connection:
        message = Message(TOPIC, 0, start, "F-CIB", None, b"poison", twice, None)
        write_outbox(connection, refuse_message(connection, message, "UNDECODABLE", OPENS), OPENS)
    sender.send_batch()
    found: list[Any] = []
    until = time.monotonic() + PATIENCE
    while not found and time.monotonic() < until:
        found += [one for records in consumer.poll(500).values() for one in records]
    consumer.close(autocommit=False)
    assert (found[0].value, found[0].key) == (b"poison", None)
    assert [header for header in found[0].headers if header[0] == "traceparent"] == list(twice)
