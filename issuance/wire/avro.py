"""The Avro records of schemas/: encoding and decoding of bodies, without the registry's frame."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any

import fastavro
from fastavro.types import Schema

from issuance.settings import ROOT

SCHEMAS = ROOT / "schemas"


@cache
def schema_text(record: str) -> str:
    """A record's schema as it is registered, by the name of its file in schemas/ (for example `card_report`)."""
    return (SCHEMAS / f"{record}.avsc").read_text(encoding="utf-8")


@cache
def schema_of(record: str) -> Schema:
    """The parsed schema of a record."""
    return fastavro.parse_schema(json.loads(schema_text(record)))


def plain(schema: Any) -> Any:
    """A schema's JSON without logical types: instants stay UTC milliseconds, days stay numbers, whoever wrote them."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


@cache
def _inbound_schema_of(record: str) -> Schema:
    return fastavro.parse_schema(plain(json.loads(schema_text(record))))


def encode_body(record: str, value: Any) -> bytes:
    """The Avro body of a value; unknown fields are errors. Datetimes must be aware (naive ones are local time)."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema_of(record), value, strict_allow_default=True)
    return buffer.getvalue()


def decode_body(record: str, body: bytes, writer: Schema | None = None) -> Any:
    """The value of a body, written with `writer` (by default our own schema) and read with ours.

    Raises:
        ValueError: the bytes are not such a record, or there are trailing bytes.
    """
    return _read(record, body, writer, schema_of(record))


def read_inbound(record: str, body: bytes, writer: Schema | None = None) -> Any:
    """The value of an inbound body: as `decode_body`, but with instants as UTC milliseconds and days as days since
    1970-01-01, so that a time outside of every calendar is a number that can be judged. `writer` is plain.

    Raises:
        ValueError: the bytes are not such a record, or there are trailing bytes.
    """
    return _read(record, body, writer, _inbound_schema_of(record))


def inbound_form(record: str, value: Any) -> Any:
    """A value that somebody writes, in the form in which it is read here."""
    return read_inbound(record, encode_body(record, value))


def _read(record: str, body: bytes, writer: Schema | None, own: Schema) -> Any:
    buffer = io.BytesIO(body)
    try:
        value = fastavro.schemaless_reader(buffer, own if writer is None else writer, own)
    except Exception as error:  # fastavro raises whatever the bytes lead it to: EOF, index, unicode, overflow
        raise ValueError(f"not a {record}") from error
    if buffer.read(1):
        raise ValueError(f"bytes left over after a {record}")
    return value
