"""One consumer of the real broker: the right outcome of findings in its loop; marks name what is still to be mended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from findings_fixture import another_client, count_facts, made, open_kinds, two_factories
from ledger_fixture import OPENS
from wire_fixture import Wire

from issuance.breaks.faults import watch_faults
from issuance.city.partners import Limits, topic_of
from issuance.demo.stepper import Stepper
from issuance.ledger.connection import connect
from issuance.settings import Settings, environment
from issuance.tracking.resuming import resume_partner
from issuance.wire.avro import encode_body
from issuance.wire.codec import Codec
from issuance.wire.kafka import Credentials
from issuance.wire.pauses import pause_partner
from issuance.wire.positions import go_on

TOPIC, BEYOND = topic_of("production", "F-ICBC"), topic_of("production", "F-BOC")
Under = tuple[Wire, str, list[UUID]]


def await_condition(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """What a test only waits for; that it does not come true is no finding."""
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def wire(stack: Settings) -> Iterator[Under]:
    """A ledger whose consumer reads; its position of F-BOC's topic lies beyond the topic's end."""
    with two_factories(stack, "findings_wire") as (line, url, refs):
        with connect(url) as connection:
            connection.execute("UPDATE topic_position SET next_offset = next_offset + 1000 WHERE topic = %s", (BEYOND,))
        line.start("production")
        line.send("F-ABC", "production", made("F-ABC", refs[4]))
        await_condition(lambda: count_facts(url, refs[4]) == 1)
        yield line, url, refs


def test_the_marker_of_a_transaction_is_no_lag(stack: Settings, wire: Under) -> None:
    _, url, refs = wire
    admin = Credentials(stack.kafka_bootstrap_servers, "admin", environment()["KAFKA_ADMIN_PASSWORD"])
    producer = another_client(admin, **{"transactional.id": "findings"})  # partners may use none yet
    producer.init_transactions(10)
    producer.begin_transaction()
    codec = Codec(stack.schema_registry_url)
    producer.produce(TOPIC, codec.frame(TOPIC, encode_body("card_report", made("F-ICBC", refs[0]))))
    producer.commit_transaction(10)
    codec.close()
    await_condition(lambda: count_facts(url, refs[0]) == 1)
    assert is_quiet(stack, url)


def is_quiet(stack: Settings, url: str) -> bool:
    """Whether nothing waits, but what the relay would send, within some seconds."""
    with connect(url) as connection:
        connection.execute("UPDATE outbox SET sent = true")
    stepper = Stepper(replace(stack, database_url=url), None)  # type: ignore[arg-type]  # only its waiting is asked
    waiting = threading.Thread(target=stepper.await_quiet, daemon=True)
    waiting.start()
    waiting.join(4)
    quiet = not waiting.is_alive()
    if not quiet:  # past the marker there is nothing else that it waits for
        with connect(url) as connection:
            connection.execute("UPDATE topic_position SET next_offset = next_offset + 1 WHERE topic = %s", (TOPIC,))
        waiting.join(10)
        if waiting.is_alive():
            raise TimeoutError("it waits for something else")
    stepper.close()
    return quiet


def test_a_resumed_partner_is_read_while_others_go_on_sending(wire: Under) -> None:
    line, url, refs = wire
    with connect(url) as connection:
        pause_partner(connection, "F-ICBC", "RUN", OPENS)
    line.send("F-ICBC", "production", made("F-ICBC", refs[1]))
    line.send("F-ABC", "production", made("F-ABC", refs[5]))
    await_condition(lambda: count_facts(url, refs[5]) == 1)
    with connect(url) as connection:
        resume_partner(connection, "F-ICBC", OPENS)
    until, again = time.monotonic() + 4, 0
    while time.monotonic() < until and not count_facts(url, refs[1]):
        again += 1
        line.send("F-ABC", "production", made("F-ABC", refs[5], again))
    assert count_facts(url, refs[1]) == 1


def test_a_position_beyond_the_log_is_a_break_and_others_go_on(wire: Under) -> None:
    line, url, refs = wire
    line.send("F-BOC", "production", made("F-BOC", refs[2]))
    line.send("F-ABC", "production", made("F-ABC", refs[6]))
    await_condition(lambda: count_facts(url, refs[6]) == 1)
    until = time.monotonic() + 4
    kinds: list[str] = []
    while not kinds and time.monotonic() < until:
        with connect(url) as connection:
            watch_faults(connection, OPENS)
            kinds = open_kinds(connection)
        time.sleep(0.1)
    assert kinds == ["TOPIC_CHANGED"]
    assert was_read(url) == 0
    with connect(url) as connection:
        assert go_on(connection, BEYOND) == ["TOPIC_CHANGED"]
    await_condition(lambda: was_read(url) > 0)


def was_read(url: str) -> int:
    """How many reports of F-BOC are in the inbox."""
    with connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM report WHERE partner = 'F-BOC'").fetchone()
    return int(row[0]) if row else 0


def test_the_message_that_pauses_a_partner_keeps_the_code_of_its_refusal(wire: Under) -> None:
    line, url, _ = wire
    for _ in range(Limits().run):
        line.send("F-CCB", "production", b"poison")
    codes: list[str] = []
    query = "SELECT code FROM dead_letter WHERE partner = 'F-CCB'"

    def are_all_there() -> bool:
        with connect(url) as connection:
            codes[:] = [code for (code,) in connection.execute(query).fetchall()]
        return len(codes) == Limits().run

    await_condition(are_all_there)
    assert set(codes) == {"UNDECODABLE"}


def test_a_report_id_that_comes_on_two_topics_at_once_ends_nothing(wire: Under) -> None:
    line, url, refs = wire
    await_condition(lambda: count_facts(url, refs[1]) == 1)  # F-ICBC is read again
    waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connect(url) as other, connect(url, autocommit=True) as watch:
        other.execute(  # the other topic's process, about to commit
            "INSERT INTO report (partner, report_id, sha256, topic, topic_partition, topic_offset, items, refused)"
            " VALUES ('F-ABC', %s, '', 't', 0, 0, 1, 0)", (made("F-ABC", refs[7])["report_id"],),
        )  # fmt: skip
        line.send("F-ABC", "production", made("F-ABC", refs[7]))
        await_condition(lambda: watch.execute(waits).fetchone() == (True,))
    line.send("F-ICBC", "production", made("F-ICBC", refs[3]))
    until = time.monotonic() + 5
    while time.monotonic() < until and not count_facts(url, refs[3]):
        time.sleep(0.05)
    assert count_facts(url, refs[3]) == 1
