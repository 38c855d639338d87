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
def schema_of(record: str) -> Schema:
    """The parsed schema of a record, by the name of its file in schemas/ (for example `card_report`)."""
    return fastavro.parse_schema(json.loads((SCHEMAS / f"{record}.avsc").read_text(encoding="utf-8")))


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
    buffer = io.BytesIO(body)
    own = schema_of(record)
    try:
        value = fastavro.schemaless_reader(buffer, own if writer is None else writer, own)
    except Exception as error:  # fastavro raises whatever the bytes lead it to: EOF, index, unicode, overflow
        raise ValueError(f"not a {record}") from error
    if buffer.read(1):
        raise ValueError(f"bytes left over after a {record}")
    return value
