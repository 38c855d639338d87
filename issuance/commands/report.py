"""`issuance report`: the daily report, by cohort and partner."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from issuance.commands.output import emit
from issuance.commands.values import AS_JSON, Day
from issuance.settings import load_settings


@click.group()
def report() -> None:
    """报表。 Reports."""


@report.command()
@click.option("--day", type=Day(), help="The day; by default the last one that is over.")
@AS_JSON
def daily(day: date | None, as_json: bool) -> None:
    """日报。 Make a day's report (CSV and Parquet on S3), or show where the existing one is."""
    from issuance.airflow.login import current_user
    from issuance.reconcile.daily_report import make_daily_report

    settings = load_settings()
    made: dict[str, Any] = make_daily_report(settings, day, current_user(settings))
    emit(made, as_json)


COMMANDS = (report,)
