"""After an error nothing is stepped before the recovery has succeeded: it could pass over messages."""

from __future__ import annotations

import os
import signal

import pytest

from issuance.errors import Broken, Unavailable
from issuance.wire import loop
from issuance.wire.loop import Loop


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr(loop, "FIRST_WAIT", 0.001)


def test_no_step_before_a_recovery_that_succeeded() -> None:
    told: list[str] = []
    failures = iter([True, True, False])
    process = Loop("test")

    def step() -> None:
        told.append("step")
        if len(told) == 1:
            raise Unavailable("AWAY", "away")
        process.stop()

    def recover() -> None:
        told.append("recover")
        if next(failures):
            raise Unavailable("STILL_AWAY", "still away")

    process.run(step, recover)
    assert told == ["step", "recover", "recover", "recover", "step"]


def test_a_permanent_error_ends_the_process() -> None:
    def step() -> None:
        raise Broken("BROKEN", "a promise does not hold")

    with pytest.raises(Broken):
        Loop("test").run(step, lambda: None)


def test_sigterm_ends_it_after_the_present_step() -> None:
    steps: list[int] = []

    def step() -> None:
        steps.append(len(steps))
        os.kill(os.getpid(), signal.SIGTERM)

    Loop("test").run(step, lambda: None)
    assert steps == [0]
