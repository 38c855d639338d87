"""The kit against factories in real time: a sound one passes, a broken one gets exactly the right findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_fixture import Running, check, failed

from issuance.settings import Settings


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[Running]:
    found = Running(stack, "conformance_factory")
    yield found
    found.close()


def test_a_sound_factory_passes_every_case(running: Running, tmp_path: Path) -> None:
    results = check(running, tmp_path, "factory", "F-ICBC")
    assert failed(results) == {}
    assert {name for name, result in results.items() if result.outcome != "passed"} == set()


BROKEN = [
    (
        ("miscount", "leak", "gap", "deaf"),
        {
            "receipt": {"RECEIPT_DIFFERS"},
            "handed-over": {"COUNT_DIFFERS"},
            "missing": {"NOT_SENT_AGAIN"},
            "sequence": {"SEQUENCE_GAP"},
            "no-personal-data": {"PERSONAL_DATA"},
            "taken": {"COUNT_DIFFERS", "FIELD_INVALID"},  # a receipt that differs is refused, and an item with a name
        },
    ),
    (
        ("unchecked", "make-twice", "ignore-cancel"),
        {
            "order-repeated": {"MADE_TWICE"},
            "order-resent": {"MADE_TWICE"},
            "cancel-plastic": {"CANCEL_IGNORED"},
            "cancel-job": {"CANCEL_IGNORED"},
            "cancel-first": {"CANCEL_IGNORED"},
            "file-hash": {"NOT_CHECKED"},
            "file-count": {"NOT_CHECKED"},
            "file-signature": {"NOT_CHECKED"},
        },
    ),
    (
        ("sulk", "old-keys", "one-witness"),
        {
            "key-rotation": {"NOT_OPENED"},
            "destroy": {"WITNESSES"},
            "pause": {"SILENT_AFTER_PAUSE"},
            "taken": {"FIELD_MISSING"},  # a destruction needs two witnesses
        },
    ),
    (("reuse-id",), {"report-ids": {"ID_REUSED"}, "taken": {"ID_REUSED"}}),
    (("impostor",), {"taken": {"NOT_YOURS", "PAUSED"}}),
]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param(faults, expected, id=" ".join(faults), marks=() if faults[0] == "reuse-id" else pytest.mark.slow)
        for faults, expected in BROKEN
    ],
)
def test_a_broken_factory_gets_exactly_the_right_findings(
    running: Running, tmp_path: Path, faults: tuple[str, ...], expected: dict[str, set[str]]
) -> None:
    only = ("receipt", "answer", "made", "report-ids", "taken") if faults[0] in ("reuse-id", "impostor") else ()
    partner = "F-BOC" if faults == ("impostor",) else "F-ABC"  # who is past the limit stays paused
    results = check(running, tmp_path, "factory", partner, faults, patience=15.0, only=only)
    assert failed(results) == expected
