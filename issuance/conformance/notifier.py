"""Cases for notifiers. A notifier reports nothing: only its access and its reading can be observed."""

from __future__ import annotations

import io
import re

import boto3
import fastavro
from botocore.config import Config
from botocore.exceptions import ClientError
from kafka import KafkaAdminClient, TopicPartition

from issuance.city.partners import topic_of
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.roles import credentials_of
from issuance.conformance.workbench import Bench
from issuance.errors import Broken
from issuance.settings import read_env_file
from issuance.tracking.notices import send_notices
from issuance.vault.envelopes import open_sealed
from issuance.vault.keys import NamedKey
from issuance.wire.kafka import client_options

NOTIFIER = frozenset({"notifier"})
WISHES = (Wish("told"), Wish("told", "mail"))
LINK = re.compile(r"https?:|www\.|\.(com|cn|net)\b")


def prepare(bench: Bench) -> None:
    """Notify the holders of the check that their applications were received."""
    bench.decide()
    send_notices(bench.settings)
    bench.until(lambda: bench.watch.of("notices"))


def check_file(bench: Bench) -> Verdicts:
    """The contact file can be fetched by the notifier's own identity, opens with its key, and has no link."""
    batches = [seen.value for seen in bench.watch.of("notices") if seen.value]
    if not batches:
        yield NotShown("未收到通知 / no batch of notices came")
    env = read_env_file(bench.key_folder() / "partner.env")
    for batch in batches:
        try:
            contacts = _contacts(bench, env, batch["object"])
        except (ClientError, Broken) as error:
            yield Finding("NOT_FETCHED", f"{batch['batch_id']} 无法取回或打开 / {type(error).__name__}")
            continue
        if len(contacts) != batch["count"]:
            yield Finding("COUNT_DIFFERS", f"{batch['batch_id']}: {len(contacts)}, {batch['count']}")
        if any(LINK.search(contact["text"]) for contact in contacts):
            yield Finding("LINK", f"{batch['batch_id']} 含链接 / a text has a link")


def _contacts(bench: Bench, env: dict[str, str], key: str) -> list[dict[str, str]]:
    client = boto3.client(
        "s3", endpoint_url=env["S3_ENDPOINT_URL"], aws_access_key_id=env["S3_ACCESS_KEY"],
        aws_secret_access_key=env["S3_SECRET_KEY"], region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    sealed = client.get_object(Bucket=env["S3_BUCKET"], Key=key)["Body"].read()
    private = NamedKey(bench.partner.id, (bench.key_folder() / "private.pem").read_bytes())
    found = fastavro.reader(io.BytesIO(open_sealed(private, sealed)))
    return [{"text": str(contact["text"])} for contact in found if isinstance(contact, dict)]


def check_read(bench: Bench) -> Verdicts:
    """A consumer group of the notifier's has read its topic to the end; not shown for a client without groups."""
    admin = KafkaAdminClient(**client_options(credentials_of(bench.settings, bench.partner.id)))
    partition = TopicPartition(topic_of("notices", bench.partner.id), 0)
    last = max((seen.offset for seen in bench.watch.of("notices")), default=-1)
    try:
        groups = [group for group in _groups(admin) if group.startswith(f"{bench.partner.id}.")]

        def read_to(group: str) -> int:
            found = admin.list_group_offsets(group).get(partition)
            return found.offset if found else 0

        if not groups:
            yield NotShown("客户端不用消费组，无从得知 / the client uses no consumer group: it reads unobserved")
        elif not bench.until(lambda: any(read_to(group) > last for group in groups)):
            yield Finding("NOT_READ", "通知主题未读到末尾 / its topic was not read to the end")
    finally:
        admin.close()


def _groups(admin: KafkaAdminClient) -> list[str]:
    return [str(group["group_id"]) for group in admin.list_groups()]


CASES = (
    Case(
        "contact-file", NOTIFIER, "联系文件可取回、可打开、件数相符、无链接",
        "A batch of notices is one contact file sealed to you; no text has a link.", check_file,
    ),
    Case(
        "topic-read", NOTIFIER, "通知主题读到末尾",
        "the consumer groups that begin with your id and a dot", check_read,
    ),
)  # fmt: skip
