"""The kit against banks in real time: a sound one passes, a broken one gets exactly the right findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_fixture import Running, check, failed

from issuance.settings import Settings


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[Running]:
    found = Running(stack, "conformance_bank")
    yield found
    found.close()


def test_a_sound_bank_passes_every_case(running: Running, tmp_path: Path) -> None:
    results = check(running, tmp_path, "bank", "ICBC", patience=25.0)
    assert failed(results) == {}
    assert {name: result.why for name, result in results.items() if result.outcome != "passed"} == {}


BROKEN = [
    (
        ("miscount", "early-account", "deaf", "gap"),
        {
            "received": {"COUNT_DIFFERS"},
            "account-cancelled": {"TOO_EARLY"},
            "statement-again": {"NOT_SENT_AGAIN"},
            "missing": {"NOT_SENT_AGAIN"},
            "sequence": {"SEQUENCE_GAP"},
        },
    ),
    (
        ("one-witness", "sulk", "short-list"),
        {
            "destroyed": {"WITNESSES"},
            "pause": {"SILENT_AFTER_PAUSE"},
            "statement-true": {"STATEMENT_MISSING"},
            "taken": {"FIELD_MISSING"},
        },
    ),
    (("wrong-total",), {"statement-whole": {"COUNT_DIFFERS"}, "taken": {"COUNT_DIFFERS"}}),
]


@pytest.mark.parametrize(("faults", "expected"), BROKEN, ids=[" ".join(faults) for faults, _ in BROKEN])
def test_a_broken_bank_gets_exactly_the_right_findings(
    running: Running, tmp_path: Path, faults: tuple[str, ...], expected: dict[str, set[str]]
) -> None:
    only = ("statement-whole", "taken") if faults == ("wrong-total",) else ()
    results = check(running, tmp_path, "bank", "ABC", faults, patience=20.0, only=only)
    assert failed(results) == expected
