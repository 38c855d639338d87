"""Waiting for a condition of another process, with a timeout."""

from __future__ import annotations

from collections.abc import Callable

from issuance.errors import Unavailable
from issuance.waiting import wait_for

PATIENCE = 300.0
"""Seconds that a run of Airflow may take, beside a second for every thousand cards."""


def await_condition(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition; polls twice a second.

    Raises:
        Unavailable: it did not come true within `patience` seconds.
    """
    if not wait_for(condition, patience, poll=0.5):
        raise Unavailable("TOO_SLOW", f"waited {patience:.0f} s for {what}; see `issuance stack logs`")
