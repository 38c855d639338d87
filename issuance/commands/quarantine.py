"""`issuance quarantine`: rows that were not accepted, listed and given back to be corrected."""

from __future__ import annotations

from pathlib import Path

import click

from issuance.commands.output import emit
from issuance.commands.values import AS_JSON
from issuance.settings import load_settings


@click.group()
def quarantine() -> None:
    """隔离与重复。 Rows that were not accepted."""


@quarantine.command(name="list")
@click.argument("cohort_id")
@click.option("--all", "everything", is_flag=True, help="Include corrected rows.")
@AS_JSON
def list_rows(cohort_id: str, everything: bool, as_json: bool) -> None:
    """Rows that were not accepted, each with reasons, remedy, and the conflicting card."""
    from issuance.intake.quarantine import list_quarantine
    from issuance.ledger.connection import transaction

    with transaction(load_settings().database_url) as connection:
        emit(list_quarantine(connection, cohort_id, everything), as_json)


@quarantine.command()
@click.argument("cohort_id")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--seal-to", type=click.Path(path_type=Path), help="Public key (PEM): TARGET is a JWE for its owner.")
@AS_JSON
def export(cohort_id: str, target: Path, seal_to: Path | None, as_json: bool) -> None:
    """导出隔离行。 Write the rows that you submitted to TARGET, to be corrected and submitted with --amends."""
    from issuance.airflow.login import current_user
    from issuance.intake.quarantine import export_quarantine

    settings = load_settings()
    rows = export_quarantine(settings, cohort_id, current_user(settings), target, seal_to)
    emit({"cohort_id": cohort_id, "rows": rows, "file": str(target), "sealed": seal_to is not None}, as_json)


COMMANDS = (quarantine,)
