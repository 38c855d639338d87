"""`issuance retention`: personal data whose purpose has ended, erased and certified."""

from __future__ import annotations

import click

from issuance.commands.output import emit
from issuance.commands.values import AS_JSON
from issuance.ledger.connection import transaction
from issuance.settings import load_settings


@click.group()
def retention() -> None:
    """个人数据保存期限。 Personal data: when a cohort's is erased, erasing it, certificates."""


@retention.command(name="list")
@AS_JSON
def list_cohorts(as_json: bool) -> None:
    """Every cohort: when its personal data is due for erasure, what prevents it, the certificate."""
    from issuance.retention.due import list_retention

    settings = load_settings()
    with transaction(settings.database_url) as connection:
        emit([cohort.as_dict() for cohort in list_retention(connection, settings)], as_json)


@retention.command()
@click.argument("cohort_ids", nargs=-1, metavar="[COHORT]...")
@AS_JSON
def run(cohort_ids: tuple[str, ...], as_json: bool) -> None:
    """到期清除。 Erase all cohorts that are due, or the given ones if due; completes interrupted erasures."""
    from issuance.airflow.login import current_user
    from issuance.retention.cohorts import run_retention

    settings = load_settings()
    found = run_retention(settings, current_user(settings), cohort_ids)
    emit(found if as_json else [{name: row[name] for name in SHOWN} for row in found], as_json)


SHOWN = ("certificate", "issued_on", "cohort_id", "whole", "ground", "sha256", "audit_entry")


@retention.command()
@click.argument("cohort_id", required=False)
@click.option("--number", type=int, help="The certificate with this number.")
@AS_JSON
def certificate(cohort_id: str | None, number: int | None, as_json: bool) -> None:
    """清除证明。 Certificates of erasure, of one cohort or all: what was erased, what stays and why, when, by whom."""
    from issuance.retention.certificates import list_certificates

    with transaction(load_settings().database_url) as connection:
        found = list_certificates(connection, cohort_id, number)
    if as_json:
        emit(found, True)
        return
    for row in found:
        emit({**row.pop("content"), **{name: row[name] for name in SHOWN}}, False)
        click.echo()


COMMANDS = (retention,)
