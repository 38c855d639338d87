"""Wire and registry on the real stack: the right outcome of each finding; marks name what is still to be mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from findings_fixture import on, wire_value
from ledger_fixture import fresh_database, item

from issuance.ledger.connection import connect, migrate, set_business_day
from issuance.reconcile.daily_report import make_daily_report
from issuance.settings import Settings
from issuance.wire.avro import encode_body
from issuance.wire.codec import FRAME, Codec


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
    stack: Settings, codec: Codec, request: pytest.FixtureRequest, kind: str, text: str
) -> None:
    if kind == "JSON":
        reason = "L1 a schema id of another kind of schema"
        request.applymarker(pytest.mark.xfail(strict=True, raises=KeyError, reason=reason))
    client = SchemaRegistryClient({"url": stack.schema_registry_url})
    schema_id = client.register_schema(f"findings-{kind.lower()}", Schema(text, kind))
    client.close()
    body = encode_body("card_report", wire_value("F-ICBC", "r", [item("MADE", None, 2)]))
    with pytest.raises(ValueError):
        codec.decode("card_report", FRAME.pack(0, schema_id) + body)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="L39 a daily report that was missed is never made")
def test_a_daily_report_that_was_missed_is_made_later(stack: Settings) -> None:
    url = fresh_database(stack.database_url, "ledger_findings_daily")
    migrate(url)
    for day in (1, 3):
        with connect(url) as connection:
            set_business_day(connection, on(day))
        make_daily_report(replace(stack, database_url=url))
    with connect(url) as connection:
        made_for = connection.execute("SELECT business_day FROM daily_report ORDER BY 1").fetchall()
    assert made_for == [(on(day),) for day in (1, 2, 3)]
