"""`issuance quarantine`: rows that were not accepted, listed and given back to be corrected."""

from __future__ import annotations

from pathlib import Path

import click

from issuance.client.session import desk
from issuance.commands.output import emit, private_file, read_key
from issuance.commands.values import AS_JSON


@click.group()
def quarantine() -> None:
    """隔离与重复。 Rows that were not accepted."""


@quarantine.command(name="list")
@click.argument("cohort_id")
@click.option("--all", "everything", is_flag=True, help="Include corrected rows.")
@AS_JSON
def list_rows(cohort_id: str, everything: bool, as_json: bool) -> None:
    """Rows that were not accepted, each with reasons, remedy, and the conflicting card."""
    emit(desk().get(f"cohorts/{cohort_id}/quarantine", everything=everything), as_json)


@quarantine.command()
@click.argument("cohort_id")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--reason", default="更正 / to be corrected", show_default=True, help="Recorded in the audit.")
@click.option("--seal-to", type=click.Path(path_type=Path), help="Public key (PEM): TARGET is a JWE for its owner.")
@AS_JSON
def export(cohort_id: str, target: Path, reason: str, seal_to: Path | None, as_json: bool) -> None:
    """导出隔离行。 Write the rows that you submitted to TARGET, to be corrected and submitted with --amends."""
    body = {"reason": reason, "seal_to": read_key(seal_to)}
    with private_file(target) as file:
        content, headers = desk().export(f"cohorts/{cohort_id}/quarantine/export", body)
        file.write(content)
    rows = int(headers["Issuance-Rows"])
    emit({"cohort_id": cohort_id, "rows": rows, "file": str(target), "sealed": seal_to is not None}, as_json)


COMMANDS = (quarantine,)
