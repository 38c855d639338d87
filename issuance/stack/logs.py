"""Reading the ends of log files."""

from __future__ import annotations

import os
import re
from pathlib import Path

FAILURE = re.compile(r"\b(FATAL|PANIC|\w*(Error|Exception))\b|^F\d{4} ")
"""Of PostgreSQL, Java, Python, and the Go logger of SeaweedFS (F and the date)."""


def last_line(log: Path) -> str:
    """The line that best explains a failure: the last that names one, else the last that is not blank."""
    lines = [line.strip() for line in tail(log, 60) if line.strip() and not line.startswith((" ", "\t"))]
    telling = [line for line in lines if FAILURE.search(line)] or lines
    return telling[-1][:300] if telling else "it wrote no log"


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log file, read from its end."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 400 * lines - 4_096))
        return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
