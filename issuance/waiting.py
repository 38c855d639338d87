"""Waiting for a condition of other processes."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], patience: float, poll: float = 0.1) -> bool:
    """Poll a condition every `poll` seconds until it is true; False if `patience` seconds pass first."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(poll)
    return True
