"""Marks: the text form of a fact's value, whose order is the contract's (occurred_at, canonical content).

13 digits of UTC milliseconds, '|', reason, '|', canonical JSON of the other values ('' when there are none).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

CONTENT_FIELDS = ("place", "action", "code", "serial", "return_tracking_no", "actors")
"""Item fields of the canonical content; a hand-over's count and destination are added to them."""


def mark_of(occurred_at: datetime, reason: str | None = None, content: Mapping[str, Any] | None = None) -> str:
    """The mark of a value; empty content fields are left out, so that absent and null are the same value."""
    values = {name: value for name, value in (content or {}).items() if value not in (None, [], "")}
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if values else ""
    return f"{milliseconds(occurred_at):013d}|{reason or ''}|{text}"


def milliseconds(instant: datetime) -> int:
    """UTC milliseconds of an aware instant, exactly."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000
