"""Reading messages up to a transaction's bound, decoded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from issuance.wire.codec import Codec
from issuance.wire.refusals import Message, partner_of
from issuance.wire.unpacking import Unread

MOST_ITEMS = 20_000
"""Items in a transaction: below 5,000 the merge is slower, above it only grows in memory (principle 6)."""
MOST_BYTES = 16 * 1024 * 1024
"""Bytes in a transaction, as unpacked."""
RECORDS = 20
"""Messages taken from the client at once: a transaction goes past its bound by less than these."""


class Reader:
    """What a consumer's client gives, decoded. `weight`: items that a message counts for beside those it holds."""

    def __init__(self, consumer: Any, registry_url: str, record: str, weight: int) -> None:
        self._consumer, self._record, self._weight = consumer, record, weight
        self._codec = Codec(registry_url)

    def gather(self, timeout_ms: int) -> list[Message]:
        """Messages up to a transaction's bound, as long as the client has some at hand; waits for a first one.

        Raises:
            Unavailable: the registry does not answer; the client is past what it has given.
        """
        messages: list[Message] = []
        items = size = 0
        while items < MOST_ITEMS and size < MOST_BYTES:
            polled = self._consumer.poll(timeout_ms=0 if messages else timeout_ms, max_records=RECORDS)
            if not polled:
                break
            for partition in sorted(polled):
                for record in polled[partition]:
                    messages.append(self._decode(record))
                    items += self._weight + len((messages[-1].value or {}).get("items", ()))
                    size += len(record.value or b"")
        return messages

    def close(self) -> None:
        """Close the registry's client."""
        self._codec.close()

    def _decode(self, record: Any) -> Message:
        message = Message(
            record.topic, record.partition, record.offset, partner_of(record.topic), record.key, record.value,
            tuple(record.headers or ()), None,
        )  # fmt: skip
        if isinstance(record.value, Unread):
            return replace(message, raw=None, refusal=record.value.decode())
        try:
            value = self._codec.read_inbound(self._record, record.value or b"")
        except ValueError:
            return replace(message, refusal="UNDECODABLE")
        return replace(message, value=value)
