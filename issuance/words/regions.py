"""GB/T 2260 codes including abolished ones, from regions.csv (its header names the source)."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("regions.csv")


@cache
def known_regions() -> dict[str, str]:
    """Code of six digits: the last list that has it ('YYYY-MM'), '' while it is in force."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {row["code"]: row["last"] for row in rows}


@cache
def abolished_regions() -> frozenset[str]:
    """The abolished codes."""
    return frozenset(code for code, last in known_regions().items() if last)
