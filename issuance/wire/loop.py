"""The life of a long-running process: step until told to stop, and after an error recover before the next step."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from issuance.errors import Retryable

log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between tries, doubled each time."""


class Loop:
    """Runs steps until SIGTERM or SIGINT."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopping = threading.Event()

    def stop(self, *_: Any) -> None:
        """Ask the loop to end after the present step."""
        self._stopping.set()

    def rest(self, seconds: float) -> None:
        """Sleep, but wake on a request to stop."""
        self._stopping.wait(seconds)

    def run(self, step: Callable[[], Any], recover: Callable[[], None]) -> None:
        """Step until stopped. After a Retryable error no step runs before `recover` has succeeded: a step on
        half-recovered state could skip what the failed one had read."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        wait, healthy = FIRST_WAIT, True
        while not self._stopping.is_set():
            try:
                if not healthy:
                    recover()
                    healthy = True
                step()
                wait = FIRST_WAIT
            except Retryable as error:
                healthy = False
                log.warning("%s retry in %.1fs: %s", self._name, wait, error.code)
                self.rest(wait)
                wait = min(wait * 2, LONGEST_WAIT)
