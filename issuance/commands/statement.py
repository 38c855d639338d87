"""The closing statement as a person reads it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from issuance.lifecycle import CARD_STATES
from issuance.reconcile.closing import ClosingStatement


def print_statement(statement: ClosingStatement) -> None:
    """Print counts by state, the closing equations and the open breaks."""
    console = Console(highlight=False)
    console.print(f"\n批次 / cohort [bold]{statement.cohort_id}[/]: {statement.state.lower()}")
    states = Table("状态", "state", "cards", title_justify="left")
    for state, count in statement.counts.items():
        states.add_row(CARD_STATES[state][1], state, f"{count:,}")
    console.print(states)
    equations = Table("equation", "unit", "left", "right", "holds", "buckets")
    for item in statement.balances:
        buckets = ", ".join(f"{name} {count:,}" for name, count in item.buckets.items() if count)
        holds = "yes" if item.holds else f"NO ({len(item.differing)} differ)"
        equations.add_row(item.equation.name, item.equation.unit, f"{item.left:,}", f"{item.right:,}", holds, buckets)
    console.print(equations)
    open_breaks = ", ".join(f"{kind} {count}" for kind, count in statement.breaks.items()) or "none"
    console.print(f"open breaks: {open_breaks}; open requests: {statement.open_requests}")
