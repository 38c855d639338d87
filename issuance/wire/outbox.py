"""Messages written in the transaction of the facts they report; the relay sends them (producers/outbox).

A row keeps the Avro body without its frame, so that writing one needs no registry; the relay frames it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from issuance.ledger.connection import Connection
from issuance.wire.avro import encode_body


@dataclass(frozen=True)
class Outgoing:
    """One message: its derived CloudEvents id, topic, key and record (an Avro record name and its value)."""

    ce_id: str
    topic: str
    key: str
    record: str | None
    value: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    """Extra headers, values base64; a raw message (record None) keeps its original bytes as value."""

    def body(self) -> bytes:
        """The bytes to store."""
        return bytes(self.value) if self.record is None else encode_body(self.record, self.value)


def write_outbox(connection: Connection, messages: Iterable[Outgoing], day: date) -> int:
    """Add messages to the outbox; the same derived id is written once. Returns how many are new."""
    rows = [(m.ce_id, m.topic, m.key, m.record, m.body(), json.dumps(dict(m.headers)), day) for m in messages]
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO outbox (ce_id, topic, key, record, body, headers, business_day)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (ce_id) DO NOTHING",
            rows,
        )
        return cursor.rowcount


ITEMS = 1000


def in_batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Slices of at most 1,000, the limit of one message."""
    for start in range(0, len(items), ITEMS):
        yield items[start : start + ITEMS]
