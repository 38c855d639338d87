"""A topic that is made anew while its consumer runs is a loud stop of that topic, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

from findings_fixture import count_facts, made, open_kinds, two_factories
from kafka import TopicPartition
from kafka.errors import KafkaError
from ledger_fixture import OPENS
from wire_fixture import wait_for

from issuance.breaks.faults import watch_faults
from issuance.city.partners import topic_of
from issuance.ledger.connection import connect
from issuance.settings import Settings, environment
from issuance.tracking.stages import PRODUCTION
from issuance.wire.consumer import StageConsumer
from issuance.wire.positions import go_on
from issuance.wire.topics_apply import apply_kafka, kafka_admin

TOPIC = topic_of("production", "F-ICBC")


def make_anew(stack: Settings) -> None:
    """Delete the topic and make it again, as somebody who cleans up would."""
    env = environment()
    admin_user = (env["KAFKA_ADMIN_USER"], env["KAFKA_ADMIN_PASSWORD"])
    with kafka_admin(stack, *admin_user) as admin:
        admin.delete_topics([TOPIC])
        wait_for(lambda: TOPIC not in admin.list_topics())

    def is_made() -> bool:
        try:
            apply_kafka(stack, *admin_user)
        except KafkaError:  # the broker is still deleting it
            return False
        return True

    wait_for(is_made)


def test_a_topic_made_anew_is_not_read_before_a_person_says_so(stack: Settings) -> None:
    with two_factories(stack, "anew") as (line, url, refs):
        line.start("production")
        line.send("F-ICBC", "production", made("F-ICBC", refs[0]))
        wait_for(lambda: count_facts(url, refs[0]) == 1)
        make_anew(replace(stack, database_url=url))
        line.send("F-ICBC", "production", made("F-ICBC", refs[1]))

        def is_held() -> bool:
            with connect(url) as connection:
                watch_faults(connection, OPENS)
                return open_kinds(connection) == ["TOPIC_CHANGED"]

        wait_for(is_held, 90)
        line.send("F-ABC", "production", made("F-ABC", refs[4]))
        wait_for(lambda: count_facts(url, refs[4]) == 1)
        assert count_facts(url, refs[1]) == 0
        with connect(url) as connection:
            assert go_on(connection, TOPIC) == ["TOPIC_CHANGED"]
        wait_for(lambda: count_facts(url, refs[1]) == 1)


def test_what_was_gathered_beside_an_offset_outside_of_its_log_is_read_again(stack: Settings) -> None:
    """One answer of Kafka holds messages of one topic and the error of another; the first are not lost with it."""
    with two_factories(stack, "outside") as (line, url, refs):
        line.send("F-ICBC", "production", made("F-ICBC", refs[0]))
        consumer = StageConsumer(replace(stack, database_url=url), PRODUCTION)
        wait_for(lambda: bool(consumer._guarded_step()) or count_facts(url, refs[0]) == 1)
        line.send("F-ABC", "production", made("F-ABC", refs[4]))
        consumer._consumer.seek(TopicPartition(TOPIC, 0), 10**9)
        wait_for(lambda: bool(consumer._guarded_step()) or count_facts(url, refs[4]) == 1)
        line.send("F-ICBC", "production", made("F-ICBC", refs[1]))
        wait_for(lambda: bool(consumer._guarded_step()) or count_facts(url, refs[1]) == 1)
        consumer._consumer.close()
