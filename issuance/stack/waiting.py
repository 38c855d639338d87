"""Awaiting a condition while watching the process that has to make it true."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable

from issuance.errors import Unavailable
from issuance.waiting import wait_for


def await_condition(name: str, holds: Callable[[], bool], check_alive: Callable[[], None], seconds: float) -> None:
    """Return once `holds()` is true.

    Raises:
        Unavailable: whatever `check_alive` raises when the process has died, or START_TIMEOUT after `seconds`.
    """

    def ready() -> bool:
        if holds():
            return True
        check_alive()
        return False

    if not wait_for(ready, seconds):
        raise Unavailable(
            "START_TIMEOUT",
            f"{name} is not ready after {seconds:.0f} s; see `issuance stack logs {name}`, then try again",
            component=name,
        )


def answers(url: str) -> bool:
    """Whether a server answers a read at this address with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def port_is_open(host: str, port: int) -> bool:
    """Whether something accepts connections on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen on this port; a connection in TIME_WAIT does not count as taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
