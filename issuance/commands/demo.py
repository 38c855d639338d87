"""`issuance demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--cards", default=20_000, show_default=True, help="Synthetic retirees.")
@click.option("--seed", default=7, show_default=True, help="Every random choice derives from it.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the result here.")
@click.option("--exit", "leave", is_flag=True, help="Stop the stack at the end.")
@click.option("--recheck", is_flag=True, help="Only prove again a demo that has run: truth files against the ledger.")
def demo(cards: int, seed: int, json_file: Path | None, leave: bool, recheck: bool) -> None:
    """演示。 One cohort through its whole life on the local stack; exit code 1 when anything does not add up."""
    from issuance.commands.statement import print_statement
    from issuance.demo.run import Demo, prove, run_demo
    from issuance.settings import load_settings
    from issuance.stack import run as stack

    demonstration = Demo(cards, seed, click.echo)
    try:
        if not recheck:
            with demonstration.stage("stack"):
                stack.up(lambda line: click.echo(f"  {line}"))
        statement, result = prove(demonstration, load_settings()) if recheck else run_demo(demonstration)
        if json_file:
            json_file.write_text(json.dumps(result, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
        print_statement(statement)
        _print_planted(result)
        if not leave:
            _print_where(demonstration.cohort_id)
    finally:
        if leave:
            stack.down(lambda line: click.echo(f"  {line}"))
    proven = statement.holds and statement.state == "CLOSED" and result["differences"] == 0
    sys.exit(0 if proven else 1)


def _print_planted(result: dict[str, Any]) -> None:
    from issuance.commands.output import emit

    emit([{"defect": kind, **counts} for kind, counts in result["planted"].items()], False)
    click.echo(f"differences between truth and ledger: {result['differences']}")
    click.echo(f"seconds: {json.dumps(result['seconds'])}")


def _print_where(cohort_id: str) -> None:
    from issuance.settings import STACK_DIR, environment

    click.echo(
        f"\nAirflow: {environment()['AIRFLOW_API_URL']} (user viewer, password in {STACK_DIR / 'stack.env'})\n"
        f"issuance cohort statement {cohort_id} · issuance cohort show {cohort_id} · issuance break list --all\n"
        "issuance stack status · issuance stack logs · stop everything: make down"
    )


COMMANDS = (demo,)
