"""The kit against HRSS, a carrier, a platform and a notifier in real time: sound ones pass, broken ones are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_fixture import Running, check, failed

from issuance.settings import Settings


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[Running]:
    found = Running(stack, "conformance_others")
    yield found
    found.close()


SOUND = [
    ("hrss", "HRSS-BJ", {"statement-revised"}),
    ("carrier", "EMS", {"reasons"}),  # nothing fails on the way
    ("platform", "MSB", set[str]()),
    ("notifier", "SMS", {"topic-read"}),  # it reads without a group
]


@pytest.mark.parametrize(("kind", "partner", "unseen"), SOUND, ids=[kind for kind, *_ in SOUND])
def test_a_sound_client_passes(running: Running, tmp_path: Path, kind: str, partner: str, unseen: set[str]) -> None:
    results = check(running, tmp_path, kind, partner, patience=25.0)
    assert failed(results) == {}
    assert {name for name, result in results.items() if result.outcome == "not shown"} == unseen


@pytest.mark.slow
def test_a_broken_hrss_gets_exactly_the_right_findings(running: Running, tmp_path: Path) -> None:
    only = ("keyed", "received", "cancelled", "sequence", "missing", "taken")
    results = check(running, tmp_path, "hrss", "HRSS-BJ", ("miscount", "gap", "deaf"), patience=10.0, only=only)
    assert failed(results) == {
        "received": {"COUNT_DIFFERS"},
        "missing": {"NOT_SENT_AGAIN"},
        "sequence": {"SEQUENCE_GAP"},
    }


@pytest.mark.slow
def test_a_broken_carrier_gets_exactly_the_right_findings(running: Running, tmp_path: Path) -> None:
    results = check(running, tmp_path, "carrier", "EMS", ("gap", "deaf", "fail"), patience=10.0)
    assert failed(results) == {"missing": {"NOT_SENT_AGAIN"}, "sequence": {"SEQUENCE_GAP"}}
    assert results["reasons"].outcome == "passed"
