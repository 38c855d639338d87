"""`issuance partner check`: our side played against a partner's real client."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from issuance.commands.output import emit
from issuance.commands.values import AS_JSON


@click.command()
@click.argument("partner_id")
@click.option("--patience", default=60.0, show_default=True, help="Seconds to wait for each answer of the client.")
@click.option("--case", "only", multiple=True, help="Only this case; repeatable.")
@click.option("--with", "also", multiple=True, help="Another partner that the same client plays; repeatable.")
@click.option("--box", type=click.Path(file_okay=False, path_type=Path), help="Folder for what is delivered by hand.")
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
@click.option("--on-this-ledger", is_flag=True, help="Allow a ledger that is not on this machine.")
@AS_JSON
def check(
    partner_id: str,
    patience: float,
    only: tuple[str, ...],
    also: tuple[str, ...],
    box: Path | None,
    junit_file: Path | None,
    on_this_ledger: bool,
    as_json: bool,
) -> None:
    """一致性检查。 Check a partner's real client against the contract, case by case; exit code 1 on findings."""
    from issuance.airflow.login import current_user
    from issuance.conformance import report
    from issuance.conformance.case import Result
    from issuance.conformance.run import Options, check_partner
    from issuance.settings import load_settings

    settings = load_settings()
    options = Options(patience, also, only, box, on_this_ledger)

    def tell(result: Result) -> None:
        if not as_json:
            click.echo("\n".join(report.lines(result)))

    found, results = check_partner(settings, partner_id, current_user(settings), options, tell)
    if as_json:
        emit(report.as_dict(found, partner_id, results), True)
    else:
        click.echo(report.summary(found, results))
    if junit_file:
        junit_file.write_bytes(report.junit(found, partner_id, results))
    sys.exit(1 if any(result.findings for result in results) else 0)
