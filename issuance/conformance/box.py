"""The box: what reaches a partner by hand in reality, as JSON slips in a folder, one file each, never changed.

A slip is neither a message nor part of the contract, only the bundle on the counter. A client under check reads the
folder as its staff would see what was delivered: `{"kind": "plastics" | "to key" | "letters" | "returned" |
"applications", …}`; docs/conformance.md has the fields.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Box:
    """A partner's box."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def lay(self, name: str, kind: str, **fields: Any) -> None:
        """Write a slip, atomically."""
        draft = self.directory / f".{name}.draft"
        draft.write_text(json.dumps({"kind": kind, **fields}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.directory / f"{name}.json")
