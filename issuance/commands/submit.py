"""`issuance submit`, `generate`, `login`."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from issuance.commands.output import emit
from issuance.errors import Refused
from issuance.settings import load_settings


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--cohort", "cohort_id", help="Cohort ID, [A-Za-z0-9_.-]{1,64}.")
@click.option("--city", help="GB/T 2260 code, for example 110000.")
@click.option("--category", type=click.Choice(["retiree", "employee", "resident", "flexible", "minor", "foreigner"]))
@click.option("--opens", type=click.DateTime(["%Y-%m-%d"]), help="Opening day.")
@click.option("--declared", type=int, help="Rows that the submitter declares.")
@click.option("--wait", is_flag=True, help="Return when intake has ended.")
@click.option("--json", "as_json", is_flag=True)
def submit(
    files: tuple[Path, ...],
    cohort_id: str | None,
    city: str | None,
    category: str | None,
    opens: datetime | None,
    declared: int | None,
    wait: bool,
    as_json: bool,
) -> None:
    """提交一个批次。 Submit a cohort: FILES with the options, or one manifest.yaml with the same fields."""
    from issuance.intake.submit import refused_announcements, submit_package, wait_for_intake
    from issuance.login import current_user

    given = {"cohort": cohort_id, "city": city, "category": category, "declared": declared}
    package, paths = read_package(files, given, opens.date() if opens else None)
    settings = load_settings()
    known = set(refused_announcements(settings, package.cohort_id))
    result = submit_package(settings, package, paths, current_user(settings))
    if wait:
        result["state"] = wait_for_intake(settings, package.cohort_id, result["sha256"], known, time.sleep)
    emit({**result, "state": result["state"].lower()}, as_json)


def read_package(files: tuple[Path, ...], given: dict[str, Any], opens: date | None) -> tuple[Any, list[Path]]:
    """The package of options or of a manifest.

    Raises:
        Refused: a field or a file is missing.
    """
    from issuance.intake.submit import Package

    fields = {**given, "opens": opens}
    paths = list(files)
    if len(paths) == 1 and paths[0].suffix in (".yaml", ".yml") and paths[0].exists():
        manifest = yaml.safe_load(paths[0].read_text(encoding="utf-8")) or {}
        paths = [paths[0].parent / name for name in manifest.pop("files", [])]
        fields = {name: value if value is not None else manifest.get(name) for name, value in fields.items()}
    missing = [name for name, value in fields.items() if value is None] + ([] if paths else ["files"])
    absent = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise Refused(
            "FIELDS_MISSING", f"缺少：{', '.join(missing)}。 / missing: {', '.join(missing)}.", missing=missing
        )
    if absent:
        raise Refused(
            "FILE_MISSING", f"没有文件 {', '.join(absent)}。 / no such file: {', '.join(absent)}.", files=absent
        )
    opens_on = fields["opens"] if isinstance(fields["opens"], date) else date.fromisoformat(str(fields["opens"]))
    package = Package(
        str(fields["cohort"]), str(fields["city"]), str(fields["category"]), opens_on, int(str(fields["declared"]))
    )
    return package, paths


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1)
def generate(words: tuple[str, ...]) -> None:
    """Write a synthetic cohort with defects, and the truth about it: generate DIRECTORY --cards N --seed S."""
    os.execv(sys.executable, [sys.executable, "-m", "producers.generate", *words])


@click.command()
@click.argument("user")
@click.option("--password", prompt=True, hide_input=True, envvar="ISSUANCE_PASSWORD")
def login(user: str, password: str) -> None:
    """Log in as an Airflow user; the audit holds that user."""
    from issuance.login import log_in

    log_in(load_settings(), user, password)
    click.echo(f"logged in as {user}")


COMMANDS = (submit, generate, login)
