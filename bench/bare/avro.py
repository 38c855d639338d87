"""Avro bodies of a block, a person, and the container of a job."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from fastavro.types import Schema


@cache
def schema_of(record: str) -> Schema:
    """The parsed schema of a record."""
    return fastavro.parse_schema(json.loads(Path(__file__).with_name(f"{record}.avsc").read_text(encoding="utf-8")))


def encode_body(record: str, value: Any) -> bytes:
    """The Avro body of a value; unknown fields are errors."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema_of(record), value, strict_allow_default=True)
    return buffer.getvalue()


def decode_body(record: str, body: bytes) -> Any:
    """The value of a body; bytes left over are an error."""
    buffer, schema = io.BytesIO(body), schema_of(record)
    value = fastavro.schemaless_reader(buffer, schema, schema)
    if buffer.read(1):
        raise ValueError(f"bytes left over after a {record}")
    return value


def encode_job(records: Iterable[Mapping[str, Any]], job_id: str) -> bytes:
    """The clear container of a job's file."""
    buffer = io.BytesIO()
    metadata = {"issuance.job_id": job_id, "issuance.hash_total": ""}
    fastavro.writer(buffer, schema_of("personalization_record"), records, codec="deflate", metadata=metadata)
    return buffer.getvalue()
