"""How commands print: JSON for programs, aligned tables for people; and how they write what is private."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from issuance.errors import Refused


def emit(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], as_json: bool) -> None:
    """Print rows or one record."""
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1, default=str))
    elif isinstance(rows, Mapping):
        width = max((_width(str(name)) for name in rows), default=0)
        for name, value in rows.items():
            click.echo(f"{_pad(str(name), width)}  {_text(value)}")
    else:
        _table(rows)


def tell(what: str, dry_run: bool = False) -> None:
    """Say what an act did, or would have done."""
    click.echo(f"试做，未作更改 / tried, nothing was changed: {what}" if dry_run else what)


@contextmanager
def private_file(target: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner can read (mode 0600), there before anything is exported; gone if that fails.

    Raises:
        Refused: it exists, or cannot be written.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(
            "FILE_EXISTS",
            f"{target} 已存在，请换一个文件名。 / {target} exists: choose another name.",
            file=str(target),
        ) from error
    except OSError as error:
        raise Refused(
            "FILE_UNWRITABLE",
            f"无法写入 {target}，请检查文件夹和权限。 / cannot write {target}: check folder and permissions.",
            file=str(target),
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def read_key(path: Path | None) -> str | None:
    """The text of a public key's file, if one is given; the desk says whether it is usable.

    Raises:
        Refused: it cannot be read as text.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise Refused("KEY_UNUSABLE", f"{path} 不是公钥（PEM）。 / {path} is not a public key in PEM.") from error


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        click.echo("(无 / none)")
        return
    names = list(rows[0])
    lines = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        click.echo("  ".join(_pad(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _width(text: str) -> int:
    """Columns on a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
