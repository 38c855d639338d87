"""Messages written in the transaction of the facts they report; the relay sends them (producers/outbox).

A row keeps the Avro body without its frame, so that writing one needs no registry, and names the schema that it was
written with; the relay frames it with that schema's id.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from issuance.errors import Broken
from issuance.ledger.connection import Connection
from issuance.wire.avro import encode_body, schema_text

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Outgoing:
    """One message: its derived CloudEvents id, topic, key and record (an Avro record name and its value)."""

    ce_id: str
    topic: str
    key: str
    record: str
    value: Any

    def columns(self) -> tuple[Any, ...]:
        """(ce_id, topic, key, record, body, headers, schema_md5) of its row."""
        body = encode_body(self.record, self.value)
        return self.ce_id, self.topic, self.key, self.record, body, "[]", _fingerprint(self.record)


@dataclass(frozen=True)
class Letter:
    """A message that somebody else wrote, byte by byte: a dead letter, or one that is put back on its topic."""

    ce_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    def columns(self) -> tuple[Any, ...]:
        """As of Outgoing; key and values of headers are base64."""
        headers = [(name, _text(value)) for name, value in self.headers]
        return self.ce_id, self.topic, _text(self.key), None, self.value, orjson.dumps(headers).decode(), None


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def letter_parts(key: str | None, headers: Iterable[tuple[str, str | None]]) -> tuple[bytes | None, Headers]:
    """Key and headers of a letter's row as they came."""
    return _bytes(key), [(name, _bytes(value)) for name, value in headers]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


@cache
def _fingerprint(record: str) -> UUID:
    return UUID(bytes=hashlib.md5(schema_text(record).encode(), usedforsecurity=False).digest())


COLUMNS = ("ce_id", "topic", "key", "record", "body", "headers", "schema_md5")


def write_outbox(connection: Connection, messages: Iterable[Outgoing | Letter], day: date) -> int:
    """Add messages to the outbox, in their order; the same derived id is written once. Returns how many are new.

    Raises:
        Broken: an id is known with other content, so that something would go unsaid.
    """
    rows = [message.columns() for message in messages]
    if not rows:
        return 0
    _keep_schemas(connection, {row[3] for row in rows if row[3]})
    columns = [list(column) for column in zip(*rows, strict=True)]
    written = connection.execute(
        f"INSERT INTO outbox ({', '.join(COLUMNS)}, business_day)"
        f" SELECT {', '.join(COLUMNS)}, %s FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[],"
        f" %s::jsonb[], %s::uuid[]) WITH ORDINALITY AS given ({', '.join(COLUMNS)}, place)"
        " ORDER BY place ON CONFLICT (ce_id) DO NOTHING",
        [day, *columns],
    ).rowcount
    if written < len(rows):
        _refuse_reused(connection, columns[0], columns[4])
    return written


def _keep_schemas(connection: Connection, records: set[str]) -> None:
    """Keep the text of each schema once; another process may be doing the same."""
    names = sorted(records, key=_fingerprint)
    connection.execute(
        "INSERT INTO outbox_schema (schema_md5, schema) SELECT * FROM unnest(%s::uuid[], %s::text[]) AS s (md5, text)"
        " WHERE NOT EXISTS (SELECT FROM outbox_schema k WHERE k.schema_md5 = s.md5) ORDER BY 1 ON CONFLICT DO NOTHING",
        ([_fingerprint(name) for name in names], [schema_text(name) for name in names]),
    )


def _refuse_reused(connection: Connection, ce_ids: list[str], bodies: list[bytes | None]) -> None:
    reused = connection.execute(
        "SELECT ce_id FROM unnest(%s::text[], %s::bytea[]) AS given (ce_id, body) JOIN outbox o USING (ce_id)"
        " WHERE o.body <> given.body ORDER BY 1",
        (ce_ids, bodies),
    ).fetchall()
    if reused:
        raise Broken("MESSAGE_ID_REUSED", f"{len(reused)} messages have an id of other content: {reused[0][0]}")


ITEMS = 1000


def in_batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Slices of at most 1,000, the limit of one message."""
    for start in range(0, len(items), ITEMS):
        yield items[start : start + ITEMS]
