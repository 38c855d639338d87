"""`issuance retention`: personal data whose purpose has ended, erased and certified."""

from __future__ import annotations

import click

from issuance.client.session import desk
from issuance.commands.output import emit
from issuance.commands.values import AS_JSON


@click.group()
def retention() -> None:
    """个人数据保存期限。 Personal data: when a cohort's is erased, erasing it, certificates."""


@retention.command(name="list")
@AS_JSON
def list_cohorts(as_json: bool) -> None:
    """Every cohort: when its personal data is due for erasure, what prevents it, the certificate."""
    emit(desk().get("retention"), as_json)


@retention.command()
@click.argument("cohort_ids", nargs=-1, metavar="[COHORT]...")
@AS_JSON
def run(cohort_ids: tuple[str, ...], as_json: bool) -> None:
    """到期清除。 Erase all cohorts that are due, or the given ones if due; completes interrupted erasures."""
    found = desk().act("retention/run", {"cohorts": list(cohort_ids)})
    emit(found if as_json else [{name: row[name] for name in SHOWN} for row in found], as_json)


SHOWN = ("certificate", "issued_on", "cohort_id", "whole", "ground", "sha256", "audit_entry")


@retention.command()
@click.argument("cohort_id", required=False)
@click.option("--number", type=int, help="The certificate with this number.")
@AS_JSON
def certificate(cohort_id: str | None, number: int | None, as_json: bool) -> None:
    """清除证明。 Certificates of erasure, of one cohort or all: what was erased, what stays and why, when, by whom."""
    found = desk().get("certificates", cohort_id=cohort_id, number=number)
    if as_json:
        emit(found, True)
        return
    for row in found:
        emit({**row.pop("content"), **{name: row[name] for name in SHOWN}}, False)
        click.echo()


COMMANDS = (retention,)
