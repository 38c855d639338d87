"""Schemas in the registry: a subject for every topic, with the compatibility that its family promises."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from issuance.city.partners import load_registry
from issuance.errors import Misconfigured, Unavailable
from issuance.settings import Settings
from issuance.wire.codec import as_registered
from issuance.wire.topics import Topic, declared_topics

HTTP_THREADS = 4


def register_schemas(settings: Settings) -> list[str]:
    """The part of `apply_topics` that is the schema registry's: a schema and a compatibility per subject."""
    topics = [topic for topic in declared_topics(load_registry(settings.partners_file)) if topic.schema]
    client = SchemaRegistryClient({"url": settings.schema_registry_url})
    try:
        with ThreadPoolExecutor(max_workers=HTTP_THREADS) as pool:
            changes = list(pool.map(lambda topic: _register(client, topic), topics))
    except OSError as error:
        message = f"the schema registry at {settings.schema_registry_url} does not answer: {error}"
        raise Unavailable("REGISTRY_UNAVAILABLE", message) from error
    finally:
        client.close()
    return [change for change in changes if change]


def _register(client: SchemaRegistryClient, topic: Topic) -> str | None:
    if topic.schema is None:
        return None
    text = topic.schema.read_text(encoding="utf-8")
    known = _latest(client, topic.subject)
    if known is not None and json.loads(known) == json.loads(text):
        return None
    try:
        client.register_schema(topic.subject, Schema(as_registered(text), "AVRO"))
        client.set_compatibility(topic.subject, topic.compatibility)
    except SchemaRegistryError as error:
        message = f"{topic.schema.name} is refused for {topic.subject}: {error.error_message}"
        raise Misconfigured("SCHEMA_REFUSED", message, subject=topic.subject) from error
    return f"schema {topic.subject} registered"


def _latest(client: SchemaRegistryClient, subject: str) -> str | None:
    try:
        return client.get_latest_version(subject).schema.schema_str
    except SchemaRegistryError as error:
        if error.http_status_code == 404:
            return None
        message = f"the schema registry refuses {subject}: {error.error_message}"
        raise Unavailable("REGISTRY_REFUSES", message) from error
