"""`issuance report`: the daily report, by cohort and partner."""

from __future__ import annotations

from datetime import date

import click

from issuance.client.session import desk
from issuance.commands.output import emit
from issuance.commands.values import AS_JSON, Day


@click.group()
def report() -> None:
    """报表。 Reports."""


@report.command()
@click.option("--day", type=Day(), help="The day; by default the last one that is over.")
@AS_JSON
def daily(day: date | None, as_json: bool) -> None:
    """日报。 Make a day's report (CSV and Parquet on S3), or show where the existing one is."""
    emit(desk().act("reports/daily", {"day": str(day) if day else None}), as_json)


COMMANDS = (report,)
