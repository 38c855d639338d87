"""The closing statement of a cohort, or of a partner's part of it, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from issuance.breaks.kinds import BREAK_KINDS
from issuance.words.lifecycle import CARD_STATES


def print_statement(statement: Mapping[str, Any]) -> None:
    """Print counts by state, the closing equations and the open breaks of the contract's JSON."""
    console = Console(highlight=False)
    part = f" · {statement['partner']}" if "partner" in statement else ""
    console.print(f"\n批次 / cohort [bold]{statement['cohort_id']}[/]{part}: {statement['state']}")
    states = Table("状态", "state", "cards", title_justify="left")
    for state, count in statement["counts"].items():
        states.add_row(CARD_STATES[state].zh, state, f"{count:,}")
    console.print(states)
    equations = Table(Column("equation", no_wrap=True), "unit", "left", "right", "holds", "buckets")
    for item in statement["equations"]:
        buckets = ", ".join(f"{name} {count:,}" for name, count in item["buckets"].items() if count)
        holds = "yes" if item["holds"] else f"NO ({len(item['differing'])} differ)"
        equations.add_row(item["name"], item["unit"], f"{item['left']:,}", f"{item['right']:,}", holds, buckets)
    console.print(equations)
    console.print(f"未决差异 / open breaks: {_kinds(statement['breaks'])}")
    console.print(f"只作关注 / watched only: {_kinds(statement['watched'])}")
    if "activations" in statement:
        console.print(f"三项启用 / activations: {_counts(statement['activations'])}")
        console.print(f"旧卡 / old cards: {_counts(statement['old_cards'])}")
        console.print(f"未答复请求 / open requests: {statement['open_requests']}")
    if statement.get("kept_open"):
        console.print("由人重新打开 / reopened by {user} on {day}: {note}".format(**statement["kept_open"]))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _kinds(breaks: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {BREAK_KINDS[kind].zh} {count}" for kind, count in breaks.items()) or "无 / none"
