"""Shared options, and option types: days, and NAME=VALUE pairs."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
NOTE = click.option("--note", required=True, help="The reason; recorded in the audit.")
REASON = click.option("--reason", required=True, help="The reason; recorded in the audit.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="只试不做。 Say what would happen; change nothing.")


class Day(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A day, YYYY-MM-DD, as a date."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date of a text."""
        if isinstance(value, date):
            return value
        found = day_of_text(str(value))
        if found is None:
            self.fail(f"{value} 不是日期（年-月-日）。 / {value} is not a day (YYYY-MM-DD).", param, ctx)
        return found


class Pair(click.ParamType):  # type: ignore[type-arg]
    """NAME=COUNT or NAME=DAY, as (name, value); with `bare`, DAY alone as ("", day)."""

    def __init__(self, kind: type[int] | type[date], bare: bool = False) -> None:
        self._kind = kind
        self._bare = bare
        self.name = "name=count" if kind is int else "name=day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """The pair of a text."""
        if isinstance(value, tuple):
            return value
        name, is_pair, text = str(value).rpartition("=")
        found = self._read(text)
        if found is None or not (name if is_pair else self._bare):
            what = ("整数", "a count") if self._kind is int else ("日期（年-月-日）", "a day (YYYY-MM-DD)")
            self.fail(f"{value} 不是“名称={what[0]}”。 / {value} is not NAME={what[1]}.", param, ctx)
        return name, found

    def _read(self, text: str) -> int | date | None:
        if self._kind is int:
            return int(text) if text.isascii() and text.isdigit() else None
        return day_of_text(text)


def day_of_text(text: str) -> date | None:
    """The day of YYYY-MM-DD; None if it is not a day."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
