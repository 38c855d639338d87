"""Waiting for a condition of another process, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from issuance.errors import Unavailable

PATIENCE = 300.0
"""Seconds that a run of Airflow may take, beside a second for every thousand cards."""


def await_condition(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition; polls twice a second.

    Raises:
        Unavailable: it did not come true within so many seconds.
    """
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise Unavailable("TOO_SLOW", f"waited {patience:.0f} s for {what}; see `issuance stack logs`")
        time.sleep(0.5)
