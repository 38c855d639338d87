"""`issuance submit`, `generate`, `login`."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from issuance.commands.output import emit
from issuance.errors import Refused, unknown_cohort
from issuance.intake.columns import CODES
from issuance.ledger.checks import CHECKS
from issuance.settings import Settings, load_settings
from issuance.words.regions import known_regions

if TYPE_CHECKING:
    from issuance.intake.submit import Package


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--cohort", "cohort_id", help="Cohort ID, [A-Za-z0-9_.-]{1,64}.")
@click.option("--city", help="GB/T 2260 code, for example 110000.")
@click.option("--category", type=click.Choice(list(CODES["category"])))
@click.option("--opens", type=click.DateTime(["%Y-%m-%d"]), help="Opening day.")
@click.option("--declared", type=int, help="Number of rows by the submitter's own records.")
@click.option("--amends", is_flag=True, default=None, help="Correct quarantined lines; keeps city, category and opens.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of the photos; by default photos/ beside FILE.")
@click.option("--wait", is_flag=True, help="Wait until intake has ended.")
@click.option("--json", "as_json", is_flag=True)
def submit(files: tuple[Path, ...], opens: datetime | None, wait: bool, as_json: bool, **given: Any) -> None:
    """提交一个批次。 Submit a cohort: FILES with the options, or one manifest.yaml with the same fields."""
    from issuance.airflow.login import current_user
    from issuance.intake.submit import submit_package
    from issuance.intake.wait import refused_announcements, wait_for_intake

    settings = load_settings()
    fields = {"cohort": given.pop("cohort_id"), "opens": opens.date() if opens else None, **given}
    package, paths, photos = read_package(settings, files, fields)
    known = set(refused_announcements(settings, package.cohort_id))
    result = submit_package(settings, package, paths, current_user(settings), photos)
    if wait:
        result["state"] = wait_for_intake(settings, package.cohort_id, result["sha256"], known, time.sleep)
    emit({**result, "state": result["state"].lower()}, as_json)


FIELDS = ("cohort", "city", "category", "opens", "declared", "amends", "photos", "files")


def read_package(
    settings: Settings, files: tuple[Path, ...], given: dict[str, Any]
) -> tuple[Package, list[Path], Path | None]:
    """The package of options or of a manifest, its files and its folder of photos.

    Raises:
        Refused: a field is missing, unknown or invalid, or a file is missing.
    """
    paths, fields = list(files), dict(given)
    if len(paths) == 1 and paths[0].suffix in (".yaml", ".yml") and paths[0].exists():
        manifest = _manifest(paths[0])
        paths = [paths[0].parent / str(name) for name in manifest.get("files") or []]
        fields = {name: value if value is not None else manifest.get(name) for name, value in given.items()}
        if fields["photos"] is not None:
            fields["photos"] = files[0].parent / fields["photos"]
    if fields["amends"]:
        fields |= _standing_fields(settings, str(fields["cohort"]))
    _refuse_missing(fields, paths)
    _refuse_reserved(str(fields["cohort"]))
    return _package(fields), paths, fields["photos"]


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        manifest = None
    unknown = sorted(set(manifest) - set(FIELDS)) if isinstance(manifest, dict) else []
    if not isinstance(manifest, dict) or unknown:
        what = f": {', '.join(map(str, unknown))}" if unknown else ""
        raise Refused(
            "MANIFEST_INVALID",
            f"{path.name} 不是可用的清单，字段为 {', '.join(FIELDS)}{what}。"
            f" / {path.name} is not a valid manifest; its fields are {', '.join(FIELDS)}{what}.",
            unknown=unknown,
        )
    return manifest


def _standing_fields(settings: Settings, cohort_id: str) -> dict[str, Any]:
    """What a correction does not repeat: the cohort's city, category and opening day."""
    from issuance.ledger.connection import transaction

    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT city, category, opens_on FROM cohort WHERE cohort_id = %s", (cohort_id,)
        ).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    return dict(zip(("city", "category", "opens"), row, strict=True))


def _refuse_missing(fields: dict[str, Any], paths: list[Path]) -> None:
    needed = ("cohort", "city", "category", "opens", "declared")
    missing = [name for name in needed if fields[name] is None] + ([] if paths else ["files"])
    if missing:
        raise Refused(
            "FIELDS_MISSING", f"缺少：{', '.join(missing)}。 / missing: {', '.join(missing)}.", missing=missing
        )
    absent = [str(path) for path in paths if not path.is_file()]
    if fields["photos"] is not None and not fields["photos"].is_dir():
        absent.append(str(fields["photos"]))
    if absent:
        raise Refused(
            "FILE_MISSING", f"没有文件 {', '.join(absent)}。 / no such file: {', '.join(absent)}.", files=absent
        )


def _refuse_reserved(cohort_id: str) -> None:
    if cohort_id.startswith(CHECKS):
        raise Refused(
            "COHORT_ID_RESERVED",
            f"以 {CHECKS} 开头的批次编号留给一致性检查：请另取编号。"
            f" / cohort IDs that begin with {CHECKS} are reserved for conformance checks: choose another.",
        )


def _package(fields: dict[str, Any]) -> Package:
    from issuance.intake.submit import Package

    wrong = [] if fields["category"] in CODES["category"] else ["category"]
    opens, declared = fields["opens"], str(fields["declared"])
    try:
        opens = opens if isinstance(opens, date) else date.fromisoformat(str(opens))
    except ValueError:
        wrong.append("opens")
    if not declared.isdecimal() or not 0 < int(declared) < 2**31:
        wrong.append("declared")
    if str(fields["city"]) not in known_regions():
        wrong.append("city")
    if wrong:
        raise Refused(
            "FIELDS_INVALID",
            f"字段值无效：{', '.join(wrong)}（opens 形如 2025-10-09，declared 为正整数，city 为 6 位区划代码，"
            f"category 为 {'、'.join(CODES['category'])}）。 / invalid values: {', '.join(wrong)}"
            " (opens as 2025-10-09, declared a positive number, city a code of GB/T 2260).",
            fields=wrong,
        )
    return Package(
        str(fields["cohort"]), str(fields["city"]), fields["category"], opens, int(declared), bool(fields["amends"])
    )


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
    from issuance.airflow.login import log_in

    log_in(load_settings(), user, password)
    click.echo(f"logged in as {user}")


COMMANDS = (submit, generate, login)
