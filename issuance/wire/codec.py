"""The frame of the schema registry (0, schema id, Avro body) and the registry's client."""

from __future__ import annotations

import json
import struct
from typing import Any

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from fastavro.types import Schema

from issuance.errors import Unavailable
from issuance.wire.avro import decode_body

FRAME = struct.Struct(">bI")


class Codec:
    """Frames and unframes bodies; schema ids are cached. Schemas are never registered automatically."""

    def __init__(self, registry_url: str) -> None:
        self._client = SchemaRegistryClient({"url": registry_url})
        self._ids: dict[str, int] = {}
        self._writers: dict[int, Schema] = {}

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

    def decode(self, record: str, framed: bytes) -> Any:
        """The value of a framed message, read with our schema.

        Raises:
            ValueError: the bytes are not a framed message of this record.
            Unavailable: the registry does not answer.
        """
        if len(framed) < FRAME.size or framed[0] != 0:
            raise ValueError("no frame")
        return decode_body(record, framed[FRAME.size :], self._writer(FRAME.unpack_from(framed)[1]))

    def _writer(self, schema_id: int) -> Schema:
        if schema_id not in self._writers:
            try:
                text = self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if error.http_status_code == 404:
                    raise ValueError(f"schema {schema_id} is not registered") from error
                raise Unavailable("REGISTRY_UNAVAILABLE", f"schema {schema_id}: {error.http_status_code}") from error
            except OSError as error:
                raise Unavailable("REGISTRY_UNAVAILABLE", f"schema {schema_id}: {type(error).__name__}") from error
            self._writers[schema_id] = fastavro.parse_schema(json.loads(text or "null"))
        return self._writers[schema_id]
