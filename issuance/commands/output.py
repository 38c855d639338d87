"""How commands query the ledger and print: JSON for programs, aligned tables for people."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import click

from issuance.ledger.connection import transaction
from issuance.settings import load_settings


def read(question: Any, *values: Any) -> Any:
    """The result of a ledger query (a function of a connection and values)."""
    with transaction(load_settings().database_url) as connection:
        return question(connection, *values)


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
