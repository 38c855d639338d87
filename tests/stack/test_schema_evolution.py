"""Schemas change while partners do not: old and new clients side by side, in both directions, in the real registry."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from ledger_fixture import OPENS, fresh_database, item, make_cohort, new_ledger, report
from wire_fixture import Wire, wait_for

from issuance.clock import instant_on
from issuance.ledger.connection import connect, set_business_day
from issuance.settings import ROOT, Settings
from issuance.wire.avro import decode_body, encode_body
from issuance.wire.codec import FRAME, Codec

Json = dict[str, Any]


def shipped(record: str) -> Json:
    """A schema as partners have it today."""
    found: Json = json.loads((ROOT / "schemas" / f"{record}.avsc").read_text(encoding="utf-8"))
    return found


def items_of(schema: Json) -> Json:
    """The item record of a report's schema."""
    (field,) = [field for field in schema["fields"] if field["name"] == "items"]
    found: Json = field["type"]["items"]
    return found


def next_report() -> Json:
    """Version 2 of CardReport: a field with a default on the report and on its items, and another milestone."""
    schema = shipped("card_report")
    schema["fields"].append({"name": "shift", "type": ["null", "string"], "default": None})
    item_schema = items_of(schema)
    item_schema["fields"].append({"name": "machine", "type": "string", "default": "unknown"})
    (milestone,) = [field for field in item_schema["fields"] if field["name"] == "milestone"]
    milestone["type"]["symbols"].append("LAMINATED")
    return schema


def next_job() -> Json:
    """Version 2 of CardJob: a field with a default, and another action."""
    schema = shipped("card_job")
    schema["fields"].append({"name": "priority", "type": "int", "default": 0})
    (action,) = [field for field in schema["fields"] if field["name"] == "action"]
    action["type"]["symbols"].append("HURRY")
    return schema


@pytest.fixture
def client(stack: Settings) -> Iterator[SchemaRegistryClient]:
    found = SchemaRegistryClient({"url": stack.schema_registry_url})
    yield found
    found.close()


@pytest.fixture
def topic(client: SchemaRegistryClient) -> str:
    """A topic of nobody's, whose subject promises what partner topics do."""
    return f"issuance.evolution-{uuid4().hex[:8]}.v1"


def register(client: SchemaRegistryClient, topic: str, *schemas: Json) -> list[int]:
    """Register versions one after the other under FULL_TRANSITIVE; returns their ids."""
    ids = []
    for schema in schemas:
        ids.append(client.register_schema(f"{topic}-value", Schema(json.dumps(schema), "AVRO")))
        client.set_compatibility(f"{topic}-value", "FULL_TRANSITIVE")
    return ids


def write(schema: Json, schema_id: int, value: Json) -> bytes:
    """A framed message of a client that has this schema."""
    buffer = io.BytesIO()
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    fastavro.schemaless_writer(buffer, parsed, value, strict_allow_default=True)
    return FRAME.pack(0, schema_id) + buffer.getvalue()


def read(client: SchemaRegistryClient, reader: Json, framed: bytes) -> Json:
    """What a client that has `reader` makes of a message, by the writer's schema of the registry."""
    writer = json.loads(client.get_schema(FRAME.unpack_from(framed)[1]).schema_str or "")
    found = fastavro.schemaless_reader(
        io.BytesIO(framed[FRAME.size :]), fastavro.parse_schema(writer), fastavro.parse_schema(copy.deepcopy(reader))
    )
    assert isinstance(found, dict)
    return found


def a_report(**values: Any) -> Json:
    """A report of today."""
    made = item("MADE", uuid4(), 1)
    return {**report("F-ICBC", "r1", [made]).value, "reported_at": instant_on(OPENS, 9), **values}


def a_job(**values: Any) -> Json:
    """An order of today."""
    order = {
        "job_id": "J1", "action": "ORDER", "cohort_id": "c", "bank": "ICBC", "wave": 1, "card_count": 3,
        "hash_total": "0" * 16, "object": "o", "sha256": "h", "key_id": "k", "algorithm": "RSA-OAEP-256",
        "due_on": OPENS,
    }  # fmt: skip
    return order | values


def test_both_versions_stand_in_the_registry_and_each_message_names_its_own(
    client: SchemaRegistryClient, topic: str
) -> None:
    first, second = register(client, topic, shipped("card_report"), next_report())
    assert first != second
    assert client.get_versions(f"{topic}-value") == [1, 2]


def test_an_old_reader_reads_new_reports_and_a_new_reader_old_ones(client: SchemaRegistryClient, topic: str) -> None:
    old, new = shipped("card_report"), next_report()
    first, second = register(client, topic, old, new)
    value = a_report(shift="night")
    value["items"][0]["machine"] = "M7"
    by_old = read(client, old, write(new, second, value))
    assert "shift" not in by_old
    assert by_old["items"][0]["milestone"] == "MADE"
    by_new = read(client, new, write(old, first, a_report()))
    assert (by_new["shift"], by_new["items"][0]["machine"]) == (None, "unknown")


def test_an_old_client_reads_new_orders_and_a_new_client_old_ones(client: SchemaRegistryClient, topic: str) -> None:
    old, new = shipped("card_job"), next_job()
    first, second = register(client, topic, old, new)
    by_old = read(client, old, write(new, second, a_job(priority=5)))
    assert by_old == a_job()
    assert read(client, new, write(old, first, a_job()))["priority"] == 0


def test_a_symbol_that_a_reader_does_not_know_is_unknown_to_it(client: SchemaRegistryClient, topic: str) -> None:
    old, new = shipped("card_job"), next_job()
    _, second = register(client, topic, old, new)
    assert read(client, old, write(new, second, a_job(action="HURRY")))["action"] == "UNKNOWN"


def test_our_codec_reads_what_a_client_with_the_next_schema_frames(
    stack: Settings, client: SchemaRegistryClient, topic: str
) -> None:
    _, second = register(client, topic, shipped("card_report"), next_report())
    value = a_report(shift="night")
    value["items"].append(item("MADE", uuid4(), 1) | {"milestone": "LAMINATED"})
    codec = Codec(stack.schema_registry_url)
    try:
        found = codec.decode("card_report", write(next_report(), second, value))
    finally:
        codec.close()
    assert [one["milestone"] for one in found["items"]] == ["MADE", "UNKNOWN"]
    assert "shift" not in found


def test_the_next_consumer_reads_what_an_old_client_frames() -> None:
    """Our side one version ahead: its reader has more fields than the partner's writer."""
    body = encode_body("card_report", a_report())
    ahead = fastavro.schemaless_reader(
        io.BytesIO(body), fastavro.parse_schema(shipped("card_report")), fastavro.parse_schema(next_report())
    )
    assert isinstance(ahead, dict)
    assert (ahead["shift"], ahead["items"]) == (None, [one | {"machine": "unknown"} for one in ahead["items"]])
    assert decode_body("card_report", body)["report_id"] == ahead["report_id"]


def without_default(schema: Json) -> None:
    schema["fields"].append({"name": "shift", "type": "string"})


def without_a_field(schema: Json) -> None:
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "report_id"]


def another_type(schema: Json) -> None:
    next(field for field in schema["fields"] if field["name"] == "sequence")["type"] = "string"


def a_symbol_fewer(schema: Json) -> None:
    milestone = next(field for field in items_of(schema)["fields"] if field["name"] == "milestone")
    milestone["type"]["symbols"].remove("UNKNOWN")
    del milestone["type"]["default"]


@pytest.mark.parametrize("spoil", [without_default, without_a_field, another_type, a_symbol_fewer])
def test_what_would_break_somebody_is_refused(client: SchemaRegistryClient, topic: str, spoil: Any) -> None:
    register(client, topic, shipped("card_report"), next_report())
    spoiled = next_report()
    spoil(spoiled)
    with pytest.raises(SchemaRegistryError) as caught:
        client.register_schema(f"{topic}-value", Schema(json.dumps(spoiled), "AVRO"))
    assert caught.value.http_status_code in (409, 422)
    assert client.get_versions(f"{topic}-value") == [1, 2]


def test_compatibility_is_held_against_every_version_not_the_last_alone(
    client: SchemaRegistryClient, topic: str
) -> None:
    with_default, required = shipped("card_job"), shipped("card_job")
    with_default["fields"].append({"name": "priority", "type": "int", "default": 0})
    required["fields"].append({"name": "priority", "type": "int"})
    register(client, topic, shipped("card_job"), with_default)
    with pytest.raises(SchemaRegistryError):  # version 2 alone would take it; version 1 has no such field
        client.register_schema(f"{topic}-value", Schema(json.dumps(required), "AVRO"))


def test_a_running_consumer_takes_reports_of_old_and_new_clients_of_one_partner(
    stack: Settings, client: SchemaRegistryClient
) -> None:
    """Over the real broker: two clients of F-ICBC, one a version ahead, on one topic, into one ledger."""
    url = fresh_database(stack.database_url, "ledger_evolution")
    new_ledger(url)
    with connect(url) as connection:
        refs = make_cohort(connection, 2)
        set_business_day(connection, OPENS + timedelta(days=60))
    own = f"issuance.evolution-{uuid4().hex[:8]}.v1"
    _, second = register(client, own, shipped("card_report"), next_report())
    wire = Wire(stack, url)
    try:
        wire.start("production")
        old = a_report(items=[item("MADE", refs[0], 2)], report_id="old")
        new = a_report(items=[item("MADE", refs[1], 2) | {"machine": "M7"}], report_id="new", sequence=2, shift="night")
        beyond = a_report(items=[item("MADE", refs[1], 2) | {"milestone": "LAMINATED"}], report_id="beyond", sequence=3)
        wire.send("F-ICBC", "production", old)
        wire.send("F-ICBC", "production", write(next_report(), second, new))
        wire.send("F-ICBC", "production", write(next_report(), second, beyond))
        wire.await_read("production")
        with connect(url) as connection:
            wait_for(lambda: connection.execute("SELECT count(*) FROM report").fetchone() == (3,))
            made = connection.execute("SELECT count(*) FROM plastic WHERE made IS NOT NULL").fetchone()
            refused = connection.execute("SELECT report_id, code FROM refused_item").fetchall()
        assert made == (2,)
        assert refused == [("beyond", "MILESTONE_UNKNOWN")], "the rest of a report stands, an unknown symbol does not"
    finally:
        wire.close()
