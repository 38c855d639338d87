"""The frame of the schema registry (0, schema id, Avro body) and the registry's client."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from fastavro.types import Schema

from issuance.errors import Unavailable
from issuance.wire.avro import decode_body, plain, read_inbound

FRAME = struct.Struct(">bI")


class Codec:
    """Frames and unframes bodies; schema ids are cached. Schemas are never registered automatically."""

    def __init__(self, registry_url: str) -> None:
        self._client = SchemaRegistryClient({"url": registry_url})
        self._ids: dict[str, int] = {}
        self._written: dict[tuple[str, str], int] = {}
        self._writers: dict[tuple[int, Callable[[Any], Any]], Schema] = {}

    def close(self) -> None:
        """Close the registry's client."""
        self._client.close()

    def frame(self, topic: str, body: bytes) -> bytes:
        """A body framed with the id of the topic's newest registered schema.

        Raises:
            Unavailable: the registry does not answer or does not know the subject.
        """
        if topic not in self._ids:
            try:
                found = self._client.get_latest_version(f"{topic}-value").schema_id
            except (SchemaRegistryError, OSError) as error:
                raise Unavailable("REGISTRY_UNAVAILABLE", f"no schema of {topic}: {type(error).__name__}") from error
            if found is None:
                raise Unavailable("REGISTRY_UNAVAILABLE", f"no schema of {topic}: run `issuance topics apply`")
            self._ids[topic] = found
        return FRAME.pack(0, self._ids[topic]) + body

    def frame_as(self, topic: str, body: bytes, schema: str) -> bytes:
        """A body framed with the id under which its topic's subject knows the schema that it was written with.

        Raises:
            Unavailable: the registry does not answer or does not know that schema.
        """
        known = (topic, schema)
        if known not in self._written:
            try:
                found = self._client.lookup_schema(f"{topic}-value", RegistrySchema(as_registered(schema), "AVRO"))
            except (SchemaRegistryError, OSError) as error:
                message = f"the schema that a message of {topic} was written with: {type(error).__name__};"
                raise Unavailable("REGISTRY_UNAVAILABLE", f"{message} run `issuance topics apply`") from error
            self._written[known] = int(found.schema_id or 0)
        return FRAME.pack(0, self._written[known]) + body

    def decode(self, record: str, framed: bytes) -> Any:
        """The value of a framed message of ours, read with our schema: instants are datetimes.

        Raises:
            ValueError: the bytes are not a framed message of this record.
            Unavailable: the registry does not answer.
        """
        schema_id, body = _unframe(framed)
        return decode_body(record, body, self._writer(schema_id, as_written))

    def read_inbound(self, record: str, framed: bytes) -> Any:
        """The value of a framed message of others (avro.read_inbound): instants are numbers.

        Raises:
            as decode.
        """
        schema_id, body = _unframe(framed)
        return read_inbound(record, body, self._writer(schema_id, plain))

    def _writer(self, schema_id: int, form: Callable[[Any], Any]) -> Schema:
        known = (schema_id, form)
        if known not in self._writers:
            try:
                found = self._client.get_schema(schema_id)
            except SchemaRegistryError as error:
                if error.http_status_code == 404:
                    raise ValueError(f"schema {schema_id} is not registered") from error
                raise Unavailable("REGISTRY_UNAVAILABLE", f"schema {schema_id}: {error.http_status_code}") from error
            except OSError as error:
                raise Unavailable("REGISTRY_UNAVAILABLE", f"schema {schema_id}: {type(error).__name__}") from error
            self._writers[known] = _parse(schema_id, found, form)
        return self._writers[known]


def as_registered(schema: str) -> str:
    """A schema's text as the registry is given it: Apicurio 3.0.9 takes a string that begins with a brace (the default
    "{}") for an object and refuses the schema; escaped it is the same JSON."""
    return schema.replace('"{', '"\\u007b')


def as_written(schema: Any) -> Any:
    """A schema's JSON as it is."""
    return schema


def _unframe(framed: bytes) -> tuple[int, bytes]:
    if len(framed) < FRAME.size or framed[0] != 0:
        raise ValueError("no frame")
    return FRAME.unpack_from(framed)[1], framed[FRAME.size :]


def _parse(schema_id: int, found: RegistrySchema, form: Callable[[Any], Any]) -> Schema:
    """The Avro schema of a registry's entry.

    Raises:
        ValueError: it is of another kind, or can't be read.
    """
    if found.schema_type != "AVRO":
        raise ValueError(f"schema {schema_id} is no Avro schema")
    try:
        return fastavro.parse_schema(form(json.loads(found.schema_str or "null")))
    except Exception as error:  # whatever a foreign text leads the parser to
        raise ValueError(f"schema {schema_id} cannot be read") from error
