"""Every awkward case on the real stack, side by side: closed, proved, and what must come of it is what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_fixture import Run, run_demo, stop

from issuance.demo.scenarios import SCENARIOS

CARDS = 30


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Every scenario, played once side by side; the stack stays up."""
    run = run_demo(tmp_path_factory.mktemp("scenarios") / "stack", "--scenario", "all", "--cards", str(CARDS))
    side_by_side = {f"demo-{scenario.name}" for scenario in SCENARIOS.values() if not scenario.alone}
    assert set(run.result) == side_by_side, "the JSON is by cohort"
    yield run
    stop(run)


def results(played: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each scenario that was played, and what it came to."""
    for cohort_id, result in played.result.items():
        yield cohort_id.removeprefix("demo-"), result


@pytest.mark.slow
def test_every_scenario_closes_and_every_equation_holds(played: Run) -> None:
    for name, result in results(played):
        assert (name, result["state"]) == (name, "closed")
        assert (name, [equation["name"] for equation in result["equations"] if not equation["holds"]]) == (name, [])


@pytest.mark.slow
def test_what_was_planted_is_what_was_found(played: Run) -> None:
    for name, result in results(played):
        assert (name, result["differences"]) == (name, 0)
        for outcome in SCENARIOS[name].outcomes:
            counts = result["planted"][f"{outcome.zh} / {outcome.en}"]
            assert counts["planted"] == counts["found"] > 0, (name, outcome.en)


@pytest.mark.slow
@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS.values() if scenario.alone])
def test_a_scenario_that_concerns_every_cohort_is_played_alone(tmp_path: Path, name: str) -> None:
    run = run_demo(tmp_path / "stack", "--scenario", name, "--cards", str(CARDS))
    try:
        assert (run.result["state"], run.result["differences"]) == ("closed", 0)
        assert [equation["name"] for equation in run.result["equations"] if not equation["holds"]] == []
        for outcome in SCENARIOS[name].outcomes:
            counts = run.result["planted"][f"{outcome.zh} / {outcome.en}"]
            assert counts["planted"] == counts["found"] > 0, outcome.en
        assert run.issuance("ledger", "verify").stdout.strip() == "(无 / none)"
    finally:
        stop(run)


@pytest.mark.slow
def test_what_the_operator_sees_is_printed(played: Run) -> None:
    for name, _ in results(played):
        section = played.output.split(f"== {name}: ", 1)[1].split("\n== ", 1)[0]
        assert SCENARIOS[name].zh in section
        assert "经办人所见" in section
        assert f"demo-{name}" in section


@pytest.mark.slow
def test_the_ledger_verifies_and_rebuilds_to_the_same(played: Run) -> None:
    digest = played.issuance("ledger", "digest").stdout.strip()
    assert played.issuance("ledger", "verify").stdout.strip() == "(无 / none)"
    assert played.with_login("admin").issuance("ledger", "rebuild").returncode == 0
    assert played.issuance("ledger", "digest").stdout.strip() == digest
    assert played.issuance("ledger", "verify").returncode == 0


def test_a_scenario_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    done = Run(tmp_path, {}, {}, "").issuance("demo", "--scenario", "flood")
    assert done.returncode == 2
    assert "flood" in done.stderr
    assert "turned-up" in done.stderr


def test_a_scenario_to_be_played_alone_is_not_played_beside_another(tmp_path: Path) -> None:
    done = Run(tmp_path, {}, {}, "").issuance("demo", "--scenario", "silent-carrier", "--scenario", "gap")
    assert (done.returncode, "silent-carrier" in done.stderr) == (2, True)


def test_scenarios_are_listed() -> None:
    listed = Run(Path(), {}, {}, "").issuance("demo", "--scenario", "list").stdout
    assert all(name in listed for name in SCENARIOS)
