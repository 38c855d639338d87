"""Waiting for a condition of other processes."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], patience: float, poll: float = 0.1) -> bool:
    """Ask every `poll` seconds until a condition is true; False when the patience (seconds) ends first."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(poll)
    return True
