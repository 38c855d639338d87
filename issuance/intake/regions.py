"""GB/T 2260 codes with the abolished ones, from regions.csv (its source stands in its head)."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("regions.csv")


@cache
def known_regions() -> dict[str, str]:
    """Code of six digits: the last list in which it stands ('YYYY-MM'), '' while it is in force."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {row["code"]: row["last"] for row in rows}


@cache
def abolished_regions() -> frozenset[str]:
    """The codes that are in force no more."""
    return frozenset(code for code, last in known_regions().items() if last)
