"""A partner sees its own and nothing else (principle 9): asked of the broker, and tried once for each class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from ledger_fixture import REGISTRY
from wire_fixture import credentials_of

from issuance.city.partners import Partner, topic_of
from issuance.settings import Settings, environment, read_env_file
from issuance.vault.objects import ObjectStore
from issuance.wire.kafka import Credentials, client_options, make_consumer, make_producer
from issuance.wire.topics import declared_topics
from issuance.wire.topics_apply import apply_topics

KINDS = {kind: REGISTRY.of_kind(kind)[1 if kind == "factory" else 0] for kind in
         ("factory", "bank", "hrss", "carrier", "platform", "notifier")}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_broker_grants_a_partner_its_own_topics_only(stack: Settings, kind: str) -> None:
    partner = KINDS[kind]
    admin = KafkaAdminClient(**client_options(credentials_of(stack, partner.id)))
    try:
        described = admin.describe_topics([topic.name for topic in declared_topics(REGISTRY)])
    finally:
        admin.close()
    granted = {t["name"]: set(t["authorized_operations"]) for t in described if t["error_code"] == 0}
    expected = {topic: {"DESCRIBE", may.upper()} for topic, may in partner.topics()}
    assert granted == expected


def test_applying_topics_again_changes_nothing(stack: Settings) -> None:
    env = environment()
    assert apply_topics(stack, env["KAFKA_ADMIN_USER"], env["KAFKA_ADMIN_PASSWORD"]) == []


def others(kind: str) -> list[Partner]:
    """One partner of every other kind, and another of the same kind where there is one."""
    same = [partner for partner in REGISTRY.of_kind(kind) if partner.id != KINDS[kind].id][:1]
    return [*(partner for other, partner in KINDS.items() if other != kind), *same]


@pytest.mark.parametrize("kind", KINDS)
def test_writing_and_reading_anothers_topic_is_refused(stack: Settings, kind: str) -> None:
    credentials = credentials_of(stack, KINDS[kind].id)
    own = {topic for topic, _ in KINDS[kind].topics()}
    foreign = sorted({topic for other in others(kind) for topic, _ in other.topics()} - own)
    with ThreadPoolExecutor(max_workers=4) as pool:  # each refusal is waited for, and clients have one thread
        assert len(list(pool.map(lambda few: refuse(credentials, few), [foreign[n::4] for n in range(4)]))) == 4


def refuse(credentials: Credentials, topics: list[str]) -> None:
    """Writing to and reading from these topics is refused."""
    producer, consumer = make_producer(credentials), make_consumer(credentials, None)
    try:
        for topic in topics:
            with pytest.raises(TopicAuthorizationFailedError):
                producer.send(topic, b"x").get(timeout=10)
            with pytest.raises(TopicAuthorizationFailedError):
                read_one(consumer, topic)
    finally:
        producer.close()
        consumer.close()


def read_one(consumer: Any, topic: str) -> None:
    """Ask for a topic's messages from the beginning."""
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    consumer.poll(timeout_ms=500)
    consumer.beginning_offsets([partition])


def test_anothers_consumer_group_is_refused(stack: Settings) -> None:
    consumer = make_consumer(credentials_of(stack, "F-ICBC"), "F-ABC.readers")
    consumer.subscribe([topic_of("card-jobs", "F-ICBC")])
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            consumer.poll(timeout_ms=5000)
    finally:
        consumer.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_s3_identity_opens_its_own_prefix_only(stack: Settings, kind: str) -> None:
    own_store = ObjectStore.of(stack)
    prefixes = {"factory": "factories/{}/jobs", "notifier": "notices/{}"}
    keys = [
        prefixes[other.kind].format(other.id) + "/probe"
        for other in [*others(kind), KINDS[kind]]
        if other.kind in prefixes
    ]
    keys += ["vault/probe", "inbox/probe", "photos/probe", "keys/probe"]
    for key in keys:
        own_store.put(key, b"sealed")
    env = read_env_file(stack.partner_credentials_dir / KINDS[kind].id / "partner.env")
    client = boto3.client(
        "s3",
        endpoint_url=env["S3_ENDPOINT_URL"],
        aws_access_key_id=env["S3_ACCESS_KEY"],
        aws_secret_access_key=env["S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    opened = {key for key in keys if may_read(client, env["S3_BUCKET"], key)}
    assert opened == {key for key in keys if f"/{KINDS[kind].id}/" in key or key == "keys/probe"}
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=env["S3_BUCKET"], Key=keys[0], Body=b"mine now")


def may_read(client: Any, bucket: str, key: str) -> bool:
    """Whether a real attempt to read succeeds; anything but a refusal is an error."""
    try:
        client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True
