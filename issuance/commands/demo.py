"""`issuance demo`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from issuance.demo.run import Proof
    from issuance.demo.scenarios import Scenario

SMALL = 40
"""Cards of a scenario's cohort."""


@click.command()
@click.option("--cards", type=click.IntRange(1), help=f"Synthetic retirees: 20,000, or {SMALL} for each scenario.")
@click.option("--seed", default=7, show_default=True, help="Seed of every random choice.")
@click.option("--scenario", "names", multiple=True, help="Play an awkward case instead (repeatable); `all`; `list`.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the result here.")
@click.option("--exit", "leave", is_flag=True, help="Stop the stack at the end.")
@click.option("--recheck", is_flag=True, help="Only check a finished demo again: truth files against the ledger.")
def demo(
    cards: int | None, seed: int, names: tuple[str, ...], json_file: Path | None, leave: bool, recheck: bool
) -> None:
    """演示。 A cohort through its whole life on the local stack; exit code 1 if anything does not add up."""
    from issuance.demo.run import Demo, prove, run_demo
    from issuance.settings import load_settings
    from issuance.stack import run as stack

    if "list" in names:
        _list_scenarios()
        return
    scenarios = _chosen(names)
    demonstration = Demo(cards or (SMALL if scenarios else 20_000), seed, click.echo, scenarios)
    try:
        if not recheck:
            with demonstration.stage("stack"):
                stack.up(lambda line: click.echo(f"  {line}"))
        proofs = prove(demonstration, load_settings()) if recheck else run_demo(demonstration)
        if json_file:
            json_file.write_text(_as_json(proofs), encoding="utf-8")
        for proof in proofs:
            _print_proof(proof)
        click.echo(f"seconds: {json.dumps(demonstration.seconds)}")
        if not leave:
            _print_where(proofs[0].play.cohort_id)
    finally:
        if leave:
            stack.down(lambda line: click.echo(f"  {line}"))
    sys.exit(0 if all(proof.holds for proof in proofs) else 1)


def _chosen(names: Sequence[str]) -> tuple[Scenario, ...]:
    from issuance.demo.scenarios import SCENARIOS

    unknown = sorted(set(names) - {*SCENARIOS, "all"})
    if unknown:
        raise click.BadParameter(
            f"没有场景 {', '.join(unknown)}。 / unknown {', '.join(unknown)}; known: all, {', '.join(SCENARIOS)}"
        )
    chosen = tuple(s for name, s in SCENARIOS.items() if name in names or ("all" in names and not s.alone))
    alone = [scenario.name for scenario in chosen if scenario.alone]
    if alone and len(chosen) > 1:
        raise click.BadParameter(f"场景 {alone[0]} 须单独演示。 / the scenario {alone[0]} has to be played alone.")
    return chosen


def _list_scenarios() -> None:
    from issuance.commands.output import emit
    from issuance.demo.scenarios import SCENARIOS

    emit(
        [
            {"scenario": s.name, "场景": s.zh, "what happens": s.en, "alone": "yes" if s.alone else ""}
            for s in SCENARIOS.values()
        ],
        False,
    )


def _as_json(proofs: Sequence[Proof]) -> str:
    """The contract's record of one cohort; of several, by cohort."""
    results: Any = {proof.play.cohort_id: proof.result for proof in proofs} if len(proofs) > 1 else proofs[0].result
    return json.dumps(results, ensure_ascii=False, indent=1, default=str)


def _print_proof(proof: Proof) -> None:
    """Print a cohort's closing statement and planted versus found; for a scenario, also what the operator sees."""
    from issuance.commands.output import emit
    from issuance.commands.statement import print_statement
    from issuance.demo.tell import told_by_ledger

    if proof.play.scenario:
        click.echo(f"\n== {proof.play.scenario.name}: {proof.play.scenario.zh} / {proof.play.scenario.en}")
    print_statement(proof.statement.as_dict())
    if proof.play.scenario:
        click.echo("\n经办人所见 / what the operator sees")
        emit(told_by_ledger(proof.play.cohort_id), False)
    click.echo("\n植入与发现 / planted and found")
    emit([{"what": kind, **counts} for kind, counts in proof.result["planted"].items() if any(counts.values())], False)
    click.echo(f"differences between truth and ledger: {proof.result['differences']}")


def _print_where(cohort_id: str) -> None:
    from issuance.settings import STACK_DIR, environment

    click.echo(
        f"\nAirflow: {environment()['AIRFLOW_API_URL']} (user viewer, password in {STACK_DIR / 'stack.env'})\n"
        f"issuance cohort statement {cohort_id} · issuance cohort show {cohort_id} · issuance break list --all\n"
        "issuance stack status · issuance stack logs · stop everything: make down"
    )


COMMANDS = (demo,)
