"""Wire and registry on the real stack: the right outcome of each finding; marks name what is still to be mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from findings_fixture import on, wire_value
from ledger_fixture import fresh_database, item, new_ledger

from issuance.errors import Broken
from issuance.ledger.connection import connect, set_business_day
from issuance.reconcile.daily_report import make_daily_report
from issuance.settings import Settings
from issuance.wire.avro import encode_body, schema_text
from issuance.wire.codec import FRAME, Codec
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice


@pytest.fixture
def codec(stack: Settings) -> Iterator[Codec]:
    """The codec of the stack's registry."""
    found = Codec(stack.schema_registry_url)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("JSON", '{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {}}'),
        ("PROTOBUF", 'syntax = "proto3"; message Finding { string a = 1; }'),
        ("AVRO", '"string"'),
    ],
    ids=["JSON", "PROTOBUF", "AVRO"],
)
def test_a_message_written_with_another_kind_of_schema_is_no_message(
    stack: Settings, codec: Codec, kind: str, text: str
) -> None:
    client = SchemaRegistryClient({"url": stack.schema_registry_url})
    schema_id = client.register_schema(f"findings-{kind.lower()}", Schema(text, kind))
    client.close()
    body = encode_body("card_report", wire_value("F-ICBC", "r", [item("MADE", None, 2)]))
    with pytest.raises(ValueError):
        codec.read_inbound("card_report", FRAME.pack(0, schema_id) + body)


def test_a_daily_report_that_was_missed_is_made_later(stack: Settings) -> None:
    url = fresh_database(stack.database_url, "ledger_findings_daily")
    new_ledger(url)
    for day in (1, 3):
        with connect(url) as connection:
            set_business_day(connection, on(day))
        make_daily_report(replace(stack, database_url=url))
    with connect(url) as connection:
        made_for = connection.execute("SELECT business_day FROM daily_report ORDER BY 1").fetchall()
    assert made_for == [(on(day),) for day in (1, 2, 3)]


def test_a_message_is_framed_with_the_schema_that_it_was_written_with(stack: Settings, codec: Codec) -> None:
    """Finding L32: the newest schema's id on an older release's bytes makes them another message."""
    client = SchemaRegistryClient({"url": stack.schema_registry_url})
    field = '{"name": "a", "type": "string"}'
    texts = [f'{{"type": "record", "name": "R", "fields": [{fields}]}}' for fields in (
        field, f'{field}, {{"name": "b", "type": ["null", "string"], "default": null}}')]  # fmt: skip
    ids = [client.register_schema("findings-release-value", Schema(text, "AVRO")) for text in texts]
    client.close()
    framed = [codec.frame_as("findings-release", b"body", text) for text in texts]
    assert [FRAME.unpack_from(one)[1] for one in framed] == ids
    assert codec.frame("findings-release", b"body") == framed[1]


def test_every_row_of_the_outbox_names_its_schema(stack: Settings) -> None:
    url = fresh_database(stack.database_url, "ledger_findings_outbox")
    new_ledger(url)
    with connect(url) as connection:
        write_outbox(connection, [partner_notice("F-CIB", "APPLIED", "R1", {"applied": 1, "refused": 0})], on(1))
        row = connection.execute("SELECT schema FROM outbox JOIN outbox_schema USING (schema_md5)").fetchone()
    assert row == (schema_text("partner_notice"),)


def test_an_id_of_the_outbox_with_other_content_is_refused(stack: Settings) -> None:
    """Finding L27, the kind: what is left out of a derived id is lost in silence."""
    url = fresh_database(stack.database_url, "ledger_findings_outbox")
    new_ledger(url)
    with connect(url) as connection:
        for applied in (1, 1):
            write_outbox(connection, [partner_notice("F-CIB", "APPLIED", "R1", {"applied": applied})], on(1))
        with pytest.raises(Broken, match="MESSAGE_ID_REUSED"):
            write_outbox(connection, [partner_notice("F-CIB", "APPLIED", "R1", {"applied": 2})], on(1))
