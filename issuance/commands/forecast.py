"""The forecast as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from issuance.dispatch.forecast import Forecast

TITLES = {
    "cohorts": "批次 / cohorts",
    "waves": "待编制各批 / waves to come",
    "factories": "制卡厂 / factories",
    "late": "预计超期 / cards that will breach",
}


def print_forecast(found: Forecast) -> None:
    """Print cohorts, waves, factories with load, and the cards that will breach."""
    console = Console(highlight=False)
    console.print(f"\n预测（未作任何更改） / forecast as of {found.day}, nothing was changed")
    for name, title in TITLES.items():
        rows: Sequence[Mapping[str, Any]] = getattr(found, name)
        busy = [row for row in rows if name != "factories" or row["cards"]]
        if busy:
            console.print(_table(title, busy))
    if found.unknown:
        console.print(f"尚无该年工作日历，未预测 / no calendar of their year yet: {', '.join(found.unknown)}")
    late = sum(row["cards"] for row in found.late)
    console.print(f"预计超期 {late:,} 张 / {late:,} cards will breach their due date")


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
