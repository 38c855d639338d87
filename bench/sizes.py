"""How large this process became."""

from __future__ import annotations

import re
from pathlib import Path

MIB = 1024
"""In KiB, as the system counts."""


def largest_size() -> int:
    """The largest resident size this process ever had, in KiB; `getrusage` counts the parent's before it."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) if found else 0
