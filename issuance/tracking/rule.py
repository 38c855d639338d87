"""A decision rule as data: which plastics get it, and why."""

from __future__ import annotations

from dataclasses import dataclass

OPTIONAL = {
    "occasion": "''",
    "consignment_id": "NULL::text",
    "ground": "NULL::text",
    "request": "NULL::text",
    "partner": "NULL::text",
    "due_on": "NULL::date",
}
"""Columns that a rule may omit, with their defaults."""


@dataclass(frozen=True)
class Rule:
    """One kind of decision. Its identity is (card_ref, kind, attempt, occasion); it is recorded once, and no evidence
    undoes it."""

    kind: str
    who: str
    """SELECT over the snapshot (tracking.snapshot) with the named columns card_ref, attempt, reason and `gives`."""
    gives: tuple[str, ...] = ()
    """The columns of OPTIONAL that it names."""
    stands: str = ""
    """SELECT of the day on which what the rule finds (row f of its query) was recorded; by default in `decision`."""

    @property
    def recorded(self) -> str:
        """SELECT of the day on which what the rule finds (row f of its query) was recorded."""
        return self.stands or (
            "SELECT d.business_day FROM decision d WHERE (d.card_ref, d.attempt, d.kind, d.occasion)"
            f" = (f.card_ref, f.attempt, '{self.kind}', f.occasion)"
        )

    @property
    def query(self) -> str:
        """The SELECT with every column, by name."""
        columns = ", ".join(
            f"who.{name}" if name in self.gives else f"{default} AS {name}" for name, default in OPTIONAL.items()
        )
        return f"SELECT card_ref, attempt, reason, {columns} FROM ({self.who}) AS who"
