"""Reports over the real broker: two orders, repeats and a killed consumer give one ledger; poison is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from kafka import TopicPartition
from ledger_fixture import CITIES, OPENS, fresh_database, item, make_cohort, new_ledger, report
from wire_fixture import Wire, credentials_of, wait_for

from issuance.city.partners import Limits, topic_of
from issuance.clock import instant_on
from issuance.ledger.connection import connect, set_business_day
from issuance.proof.digest import ledger_digest
from issuance.proof.verify import verify_ledger
from issuance.settings import Settings
from issuance.wire.kafka import make_consumer, make_producer, our_credentials, resume_fetching

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
FAMILIES = ("production", "collection", "activation")
Sent = tuple[str, str, dict[str, Any]]


@pytest.fixture
def wire(stack: Settings, request: pytest.FixtureRequest) -> Iterator[tuple[Wire, str, list[UUID]]]:
    """A ledger of its own with 200 plastics under way, and the wire to it."""
    url = fresh_database(stack.database_url, "ledger_wire")
    new_ledger(url)
    with connect(url) as connection:
        refs = make_cohort(connection, 200)
        set_business_day(connection, OPENS + timedelta(days=60))
    wire = Wire(stack, url)
    yield wire, url, refs
    wire.close()


def reports(refs: list[UUID]) -> list[Sent]:
    """A life for every plastic, in reports of 50 items, each partner's sequences from 1."""
    place = {"handover_id": "H1", "handover_count": len(refs), "to_place": "ICBC-001"}
    steps: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
        ("F-ICBC", "production", "MADE", {}, {}),
        ("F-ICBC", "production", "BANK_KEYED", {}, {}),
        ("HRSS-BJ", "activation", "SS_KEYED", {}, {}),
        ("F-ICBC", "production", "HANDED_OVER", {}, place),
        ("ICBC", "collection", "RECEIVED_AT_PLACE", {"place": "ICBC-001"}, place),
        ("ICBC", "collection", "COLLECTED", {"place": "ICBC-001", "actors": HOLDER}, {}),
        ("HRSS-BJ", "activation", "SS_ACTIVATED", {}, {}),
    ]
    accepted = wire_value("F-ICBC", "job", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J1", sequence=1)
    sent: list[Sent] = [("F-ICBC", "production", accepted)]
    sequence = {"F-ICBC": 1, "HRSS-BJ": 0, "ICBC": 0}
    for day, (partner, family, milestone, values, head) in enumerate(steps, 2):
        for start in range(0, len(refs), 50):
            sequence[partner] += 1
            items = [item(milestone, ref, day, **values) for ref in refs[start : start + 50]]
            value = wire_value(partner, f"{milestone}-{start}", items, sequence=sequence[partner], **head)
            sent.append((partner, family, value))
    return sent


def wire_value(partner: str, report_id: str, items: list[dict[str, Any]], **head: Any) -> dict[str, Any]:
    """A CardReport as a partner writes it."""
    return report(partner, report_id, items, reported_at=instant_on(OPENS, 9), **head).value


def cut_connections(url: str) -> None:
    """End every other session of a ledger, as a restart of PostgreSQL does."""
    with connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


def one_life(
    wire: Wire, url: str, sent: list[Sent], kill_after: int | None = None, cut_after: frozenset[int] = frozenset()
) -> str:
    """Send, consume (killing one consumer and cutting the ledger's connections on the way), and digest."""
    wire.start(*FAMILIES)
    for number, (partner, family, value) in enumerate(sent):
        wire.send(partner, family, value)
        if number in cut_after:
            cut_connections(url)
        if number == kill_after:
            wait_for(lambda: wire.lag("production") < 40)
            wire.kill("production")
    if kill_after is not None:
        wire.start("production")
    wire.await_read(*FAMILIES)
    with connect(url) as connection:
        assert verify_ledger(connection, CITIES) == [
            "tally of cohort 1 WAITING: 0, counted 200"
        ]  # nothing decided here
        return ledger_digest(connection)


def test_orders_repeats_and_a_killed_consumer_give_one_digest(
    stack: Settings, wire: tuple[Wire, str, list[UUID]]
) -> None:
    first, url, refs = wire
    sent = reports(refs)
    digest = one_life(first, url, sent)
    first.close()
    shuffled = [*sent, *sent[::3]]
    random.Random(7).shuffle(shuffled)
    ways = ((shuffled, None, frozenset[int]()), (sent[::-1], 12, frozenset[int]()), (sent, None, frozenset({3, 9, 20})))
    for number, (order, kill_after, cut_after) in enumerate(ways):
        other_url = fresh_database(stack.database_url, f"ledger_wire_{number}")
        new_ledger(other_url)
        with connect(other_url) as connection:
            make_cohort(connection, 200)
            set_business_day(connection, OPENS + timedelta(days=60))
        other = Wire(stack, other_url)
        try:
            assert one_life(other, other_url, order, kill_after, cut_after) == digest
            with connect(other_url) as connection:
                assert connection.execute("SELECT count(*) FROM fact").fetchone() == (1 + 7 * 200,)
        finally:
            other.close()


def codes(url: str) -> list[tuple[str, str]]:
    """What was dead-lettered and why."""
    with connect(url) as connection:
        return connection.execute("SELECT partner, code FROM dead_letter ORDER BY code").fetchall()


def test_broken_structure_is_dead_lettered_and_answered(wire: tuple[Wire, str, list[UUID]]) -> None:
    line, url, refs = wire
    good = wire_value("F-ICBC", "good", [item("MADE", refs[0], 2)])
    line.start("production")
    line.send("F-ICBC", "production", b"\x00not avro")
    line.send("F-ICBC", "production", good)
    line.send("F-ICBC", "production", wire_value("F-ICBC", "good", [item("MADE", refs[1], 2)]))
    line.send("F-ICBC", "production", good | {"report_id": "other", "partner": "F-ABC"})
    line.send("F-ICBC", "production", good | {"report_id": "count", "declared_count": 9})
    line.send("F-ICBC", "production", good | {"report_id": "hash", "hash_total": "0" * 16})
    line.send("F-ICBC", "production", good | {"report_id": "empty", "items": [], "declared_count": 0})
    line.send("F-ICBC", "production", good)
    line.await_read("production")
    expected = ["COUNT_DIFFERS", "EMPTY", "HASH_DIFFERS", "ID_REUSED", "NOT_YOURS", "UNDECODABLE"]
    assert codes(url) == [("F-ICBC", code) for code in expected]
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM fact").fetchone() == (1,)
        answers = connection.execute(
            "SELECT count(*) FILTER (WHERE ce_id LIKE 'F-ICBC/REPORT_REFUSED/%%'),"
            " count(*) FILTER (WHERE ce_id LIKE 'F-ICBC/APPLIED/%%'),"
            " count(*) FILTER (WHERE topic = 'issuance.production.F-ICBC.v1.dlq') FROM outbox"
        ).fetchone()
    assert answers == (6, 1, 6)


def test_one_partners_poison_pauses_that_partner_only(wire: tuple[Wire, str, list[UUID]]) -> None:
    line, url, refs = wire
    line.start("production", "activation")
    for _ in range(Limits().run + 5):
        line.send("F-ICBC", "production", b"poison")
    line.send("HRSS-BJ", "activation", wire_value("HRSS-BJ", "h", [item("SS_KEYED", refs[0], 3)]))
    line.await_read("activation")
    wait_for(lambda: len(codes(url)) == Limits().run)
    with connect(url) as connection:
        paused = connection.execute("SELECT partner, reason FROM partner_state WHERE paused_on IS NOT NULL")
        assert paused.fetchall() == [("F-ICBC", "RUN")]
    assert line.lag("production") == 5
    assert set(codes(url)) == {("F-ICBC", "UNDECODABLE")}, "the one that trips keeps its own code"
    with connect(url) as connection:
        connection.execute("UPDATE partner_state SET paused_on = NULL, run = 0 WHERE partner = 'F-ICBC'")
    line.await_read("production")
    assert len(codes(url)) == Limits().run + 5


def test_a_partition_that_is_resumed_is_read_on_although_nothing_else_comes(stack: Settings) -> None:
    """kafka-python keeps what it had unpacked of a paused partition; the process must not wait for others' traffic."""
    paused, other = (TopicPartition(topic_of("production", partner), 0) for partner in ("F-CCB", "F-BOC"))
    consumer = make_consumer(our_credentials(stack), None)
    consumer.assign([paused, other])
    consumer.seek_to_end()
    begin = consumer.position(paused)
    consumer.position(other)
    send_plain(stack, "F-CCB", paused.topic, 10)
    assert len(poll_until(consumer, 2, most=2)) == 2
    consumer.pause(paused)
    send_plain(stack, "F-BOC", other.topic, 3)
    assert {record.topic for record in poll_until(consumer, 3)} == {other.topic}
    consumer.seek(paused, begin + 2)
    resume_fetching(consumer, [paused])
    assert [record.offset for record in poll_until(consumer, 8)] == list(range(begin + 2, begin + 10))
    consumer.close()


def send_plain(stack: Settings, partner: str, topic: str, count: int) -> None:
    """Messages of a partner in one batch, none of which is a report."""
    producer = make_producer(credentials_of(stack, partner))
    for number in range(count):
        producer.send(topic, b"%d" % number, b"key")
    producer.flush()
    producer.close()


def poll_until(consumer: Any, count: int, most: int = 100) -> list[Any]:
    """So many records, at most `most` at a time."""
    records: list[Any] = []

    def enough() -> bool:
        for polled in consumer.poll(timeout_ms=100, max_records=most).values():
            records.extend(polled)
        return len(records) >= count

    wait_for(enough)
    return records
