"""Seconds by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Seconds by stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def show(self, name: str, count: int) -> None:
        """Print the total, how many rows or cards a second that is, and each stage's share."""
        print(f"{name:<28}{self.total:8.1f} s {count / self.total:10,.0f}/s")
        for stage, seconds in self.seconds.items():
            print(f"    {stage:<24}{seconds:8.1f} s {100 * seconds / self.total:6.0f} %")

    @property
    def total(self) -> float:
        """All of them."""
        return sum(self.seconds.values())
