"""`issuance submit`, `generate`."""

from __future__ import annotations

import json
import runpy
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import yaml

from issuance.client.desk import Desk
from issuance.client.session import desk
from issuance.commands.output import emit
from issuance.commands.values import DRY_RUN
from issuance.errors import Refused

CATEGORIES = ("retiree", "employee", "resident", "flexible", "minor", "foreigner")
"""Of the rules of intake, which a client does not carry."""


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--cohort", help="Cohort ID, [A-Za-z0-9_.-]{1,64}.")
@click.option("--city", help="GB/T 2260 code, for example 110000.")
@click.option("--category", type=click.Choice(CATEGORIES))
@click.option("--opens", type=click.DateTime(["%Y-%m-%d"]), help="Opening day.")
@click.option("--declared", type=int, help="Number of rows by the submitter's own records.")
@click.option("--amends", is_flag=True, default=None, help="Correct quarantined lines; keeps city, category and opens.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of the photos; by default photos/ beside FILE.")
@click.option("--wait", is_flag=True, help="Wait until intake has ended.")
@DRY_RUN
@click.option("--json", "as_json", is_flag=True)
def submit(
    files: tuple[Path, ...], opens: datetime | None, wait: bool, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """提交一个批次。 Submit a cohort: FILES with the options, or one manifest.yaml with the same fields."""
    fields = {**given, "opens": opens.date() if opens else None}
    manifest, paths, photos = read_package(files, fields)
    session = desk()
    result = session.upload(
        "submissions", json.dumps(manifest, default=str).encode(), paths, photos_of(paths, photos), dry_run
    )
    refusals = result.pop("refusals")
    if wait and not dry_run:
        result["state"] = _await_intake(session, result, refusals)
    emit(result, as_json)


FIELDS = ("cohort", "city", "category", "opens", "declared", "amends", "photos", "files")


def read_package(files: tuple[Path, ...], given: dict[str, Any]) -> tuple[dict[str, Any], list[Path], Path | None]:
    """The manifest of options or of a file, the package's files and its folder of photos; the desk checks the fields.

    Raises:
        Refused: the manifest cannot be read, or a file is missing.
    """
    paths, fields = list(files), dict(given)
    if len(paths) == 1 and paths[0].suffix in (".yaml", ".yml") and paths[0].exists():
        manifest = _manifest(paths[0])
        paths = [paths[0].parent / str(name) for name in manifest.get("files") or []]
        fields = {name: value if value is not None else manifest.get(name) for name, value in given.items()}
        if fields["photos"] is not None:
            fields["photos"] = files[0].parent / fields["photos"]
    photos: Path | None = fields.pop("photos")
    _refuse_absent(paths, photos)
    return {name: value for name, value in fields.items() if value is not None}, paths, photos


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        manifest = None
    unknown: list[str] = []
    if isinstance(manifest, dict):
        unknown = sorted(map(str, set(manifest) - set(FIELDS) | _of_another_kind(manifest)))
    if not isinstance(manifest, dict) or unknown:
        what = f": {', '.join(unknown)}" if unknown else ""
        raise Refused(
            "MANIFEST_INVALID",
            f"{path.name} 不是可用的清单，字段为 {', '.join(FIELDS)}{what}。"
            f" / {path.name} is not a valid manifest; its fields are {', '.join(FIELDS)}{what}.",
            unknown=unknown,
        )
    return manifest


def _of_another_kind(manifest: dict[Any, Any]) -> set[str]:
    """The names of files and the folder of photos, where they are none."""
    files, photos = manifest.get("files") or [], manifest.get("photos")
    wrong = set() if isinstance(files, list) and all(isinstance(name, str) for name in files) else {"files"}
    return wrong if photos is None or isinstance(photos, str) else wrong | {"photos"}


def _refuse_absent(paths: list[Path], photos: Path | None) -> None:
    absent = [str(path) for path in paths if not path.is_file()]
    if photos is not None and not photos.is_dir():
        absent.append(str(photos))
    if absent:
        raise Refused(
            "FILE_MISSING", f"没有文件 {', '.join(absent)}。 / no such file: {', '.join(absent)}.", files=absent
        )


def photos_of(paths: list[Path], folder: Path | None) -> dict[str, Path]:
    """The photos to send, by the names that rows give them: of the folder, by default of photos/ beside each file."""
    folders = [folder] if folder else sorted({path.parent / "photos" for path in paths})
    found = ((each, photo) for each in folders if each.is_dir() for photo in sorted(each.rglob("*")))
    return {photo.relative_to(each).as_posix(): photo for each, photo in found if photo.is_file()}


def _await_intake(session: Desk, result: dict[str, Any], refusals: int) -> str:
    """The state in which intake ends.

    Raises:
        Refused: the announcement was refused, and is not one of those refused before.
    """
    while True:
        found = session.get(f"packages/{result['sha256']}", cohort_id=result["cohort_id"])
        if found["ended"]:
            return str(found["state"]).lower()
        if found["state"] is None and len(found["refusals"]) > refusals:
            code, cohort_id = found["refusals"][-1], result["cohort_id"]
            raise Refused(
                "SUBMISSION_REFUSED",
                f"批次 {cohort_id} 的提交未被登记（{code}）。 / the submission was not registered: {code}.",
                reason=code,
            )
        time.sleep(0.5)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1)
def generate(words: tuple[str, ...]) -> None:
    """Write a synthetic cohort with defects, and the truth about it: generate DIRECTORY --cards N --seed S."""
    sys.argv = ["producers.generate", *words]
    runpy.run_module("producers.generate", run_name="__main__", alter_sys=True)


COMMANDS = (submit, generate)
