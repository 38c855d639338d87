"""`issuance stack up|down|status|logs`."""

from __future__ import annotations

import json
import sys

import click

from issuance.errors import IssuanceError


@click.group()
def stack() -> None:
    """The local stack: Kafka, PostgreSQL, S3, schema registry, Airflow and our own processes."""


@stack.command()
@click.option("--workers/--no-workers", default=True, help="Start consumers and relay too.")
def up(workers: bool) -> None:
    """Start everything; returns when it all answers."""
    from issuance.stack import run

    run.up(click.echo, workers=workers)


@stack.command()
def down() -> None:
    """Stop everything; data and secrets stay."""
    from issuance.stack import run

    run.down(click.echo)
    click.echo("stack: nothing is running")


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def status(as_json: bool) -> None:
    """State, memory and address of every program; exit code 1 if one is not running."""
    from issuance.stack import run

    rows = run.status()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif not rows:
        click.echo("the stack is not running; start it with `issuance stack up`")
    else:
        for row in rows:
            pid, memory = row["pid"] or "-", row["memory_mb"] or 0
            click.echo(f"{row['name']:<24}{row['state']:<10}{pid!s:>8}{memory:>7} MB  {row['at'] or ''}")
    if not rows or any(row["state"] not in ("RUNNING", "YOURS") for row in rows):
        sys.exit(1)


@stack.command()
@click.argument("component", required=False)
@click.option("-n", "--lines", default=40, show_default=True, help="Lines per log.")
def logs(component: str | None, lines: int) -> None:
    """The last lines of a component's log, or of all."""
    from issuance.stack import run

    click.echo(run.logs(component, lines))


def main() -> None:
    """Run the group alone; the `issuance` command mounts it and handles errors itself."""
    try:
        stack()
    except IssuanceError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
