"""The `issuance` command. Exit codes: 0 ok, 1 findings, 2 usage, 3 unavailable."""

from __future__ import annotations

import json
import os
import sys

import click

from issuance.commands import (
    cohort,
    demo,
    keys,
    ledger,
    operate,
    partner,
    person,
    quarantine,
    report,
    retention,
    submit,
    user,
)
from issuance.commands.stack import stack
from issuance.errors import IssuanceError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """第三代社保卡批量换发。 Batch issuance of third-generation social security cards."""


cli.add_command(stack)
for command in (
    *cohort.COMMANDS,
    *demo.COMMANDS,
    *keys.COMMANDS,
    *ledger.COMMANDS,
    *operate.COMMANDS,
    *partner.COMMANDS,
    *person.COMMANDS,
    *quarantine.COMMANDS,
    *report.COMMANDS,
    *retention.COMMANDS,
    *submit.COMMANDS,
    *user.COMMANDS,
):
    cli.add_command(command)


@cli.command()
@click.argument("stage")
def consume(stage: str) -> None:
    """Run one consumer until it is told to stop."""
    os.execv(sys.executable, [sys.executable, "-m", "consumers", stage])


@cli.command()
def relay() -> None:
    """Run the relay that sends the outbox, until it is told to stop."""
    os.execv(sys.executable, [sys.executable, "-m", "producers.outbox"])


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1)
def simulate(words: tuple[str, ...]) -> None:
    """Run the partner simulators of KIND…, by default all."""
    os.execv(sys.executable, [sys.executable, "-m", "producers.simulators", *words])


def main() -> None:
    """Run the command; an error is one clear line (or JSON with --json) and its exit code."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except IssuanceError as error:
        if "--json" in sys.argv and sys.argv[1] != "demo":  # there it names a file
            click.echo(json.dumps(error.as_dict(), ensure_ascii=False, default=str))
        else:
            click.echo(f"{error.code}: {error.message}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
