"""schemas/asyncapi.yaml against the topics and schemas that are in Kafka and the registry."""

from __future__ import annotations

import json
from typing import Any

import yaml
from confluent_kafka.schema_registry import SchemaRegistryClient

from issuance.city.partners import load_registry
from issuance.docpages.asyncapi import FILE
from issuance.settings import Settings
from issuance.wire.topics import SCHEMAS, declared_topics

DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_addresses_keys_and_schemas_are_those_of_the_topics_that_are_made(stack: Settings) -> None:
    registry = load_registry(stack.partners_file)
    known = SchemaRegistryClient({"url": stack.schema_registry_url})
    topics = [topic for topic in declared_topics(registry) if topic.schema]
    assert {topic.family for topic in topics} == set(DOCUMENT["channels"])
    for topic in topics:
        channel = DOCUMENT["channels"][topic.family]
        assert channel["address"].replace("{partner}", topic.partner or "") == topic.name
        (message,) = channel["messages"]
        payload = DOCUMENT["components"]["messages"][message]["payload"]["schema"]["$ref"]
        registered = json.loads(known.get_latest_version(topic.subject).schema.schema_str or "null")
        assert registered == json.loads((SCHEMAS / payload).read_text(encoding="utf-8")), topic.name
        assert channel["x-key"] in {field["name"] for field in registered["fields"]}
    known.close()
