"""The forecast: its options, and its output for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import click
from rich.console import Console
from rich.table import Table

TITLES = {
    "cohorts": "批次 / cohorts",
    "waves": "待编制的制卡批 / waves to come",
    "factories": "制卡厂 / factories",
    "late": "预计超期 / cards that will breach",
}


def assume(
    cohort_ids: Sequence[str],
    capacity: Sequence[tuple[str, int]],
    maintenance: Sequence[tuple[str, date]],
    opens: Sequence[tuple[str, date]],
) -> dict[str, Any]:
    """The desk's WhatIf of the options; a bare --opens DAY applies to the single cohort given.

    Raises:
        UsageError: a bare day without exactly one cohort.
    """
    days: dict[str, set[date]] = defaultdict(set)
    for factory, day in maintenance:
        days[factory].add(day)
    if any(not name for name, _ in opens) and len(cohort_ids) != 1:
        raise click.UsageError("--opens 只写日期时须指定一个批次。 / --opens DAY needs exactly one cohort.")
    opening = {name or cohort_ids[0]: day for name, day in opens}
    return {
        "cohorts": list(cohort_ids),
        "capacity": dict(capacity),
        "maintenance": {name: sorted(found) for name, found in days.items()},
        "opens": opening,
    }


def print_forecast(found: Mapping[str, Any]) -> None:
    """Print cohorts, waves, factories with load, and the cards that will breach."""
    console = Console(highlight=False)
    console.print(f"\n预测（未作任何更改） / forecast as of {found['day']}, nothing was changed")
    for name, title in TITLES.items():
        rows: Sequence[Mapping[str, Any]] = found[name]
        busy = [row for row in rows if name != "factories" or row["cards"]]
        if busy:
            console.print(_table(title, busy))
    if found["unknown"]:
        console.print(f"尚无该年工作日历，未预测 / no calendar of their year yet: {', '.join(found['unknown'])}")
    late = sum(row["cards"] for row in found["late"])
    console.print(f"预计超期 {late:,} 张 / {late:,} cards will breach their due date")


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
