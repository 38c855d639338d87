"""The box: what reaches a partner by hand in reality, as JSON slips, never changed.

A slip is neither a message nor part of the contract, only the bundle on the counter. Whoever runs the check lays the
slips into a folder, one file each, which a client under check reads as its staff would see what was delivered:
`{"kind": "plastics" | "to key" | "letters" | "returned" | "applications", …}`; docs/conformance.md has the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Box:
    """A partner's box; `lay_down` takes a slip's name and content."""

    def __init__(self, lay_down: Callable[[str, dict[str, Any]], None]) -> None:
        self._lay_down = lay_down

    def lay(self, name: str, kind: str, **fields: Any) -> None:
        """Lay a slip into the box."""
        self._lay_down(name, {"kind": kind, **fields})
