"""Marks: the text form of a fact's value, whose order is the contract's (occurred_at, canonical content).

13 digits of UTC milliseconds, '|', reason, '|', canonical JSON of the other values ('' when there are none).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

CONTENT_FIELDS = ("place", "action", "code", "serial", "return_tracking_no", "actors")
"""Item fields of the canonical content; a hand-over's count and destination are added to them."""


def mark_end(reason: str | None, content: Mapping[str, Any] | None) -> str:
    """What a mark says behind its instant; empty content fields are left out, so that absent and null are the same
    value."""
    values = {name: value for name, value in (content or {}).items() if value not in (None, [], "")}
    text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode() if values else ""
    return f"|{reason or ''}|{text}"
