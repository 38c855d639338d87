"""Faults of ours, and doors that only a person opens again: each is a break while it stands (breaks.faults)."""

from __future__ import annotations

from datetime import date
from typing import Literal

from issuance.ledger.connection import Connection

Fault = Literal[
    "UNPROCESSABLE", "TOPIC_CHANGED", "PARTNER_HELD", "STAGE_STOPPED", "WATCH_FAILED", "NOT_SENT", "DECISION_FAILED"
]
HOLDING: tuple[Fault, ...] = ("TOPIC_CHANGED", "PARTNER_HELD")
"""Faults over which a partition (`topic/number`) is not read until `issuance topics goon`."""


def note_fault(connection: Connection, kind: Fault, reference: str, detail: str, day: date) -> None:
    """Note a fault; it keeps its first day. `detail` holds codes, ids and counts, never a person's data."""
    connection.execute(
        "INSERT INTO fault (kind, reference, detail, since) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (kind, reference) DO UPDATE SET detail = excluded.detail WHERE fault.detail <> excluded.detail",
        (kind, reference, detail, day),
    )


def clear_faults(connection: Connection, kind: Fault, *references: str) -> int:
    """Faults that are gone, of these references or all of the kind; returns how many."""
    return connection.execute(
        "DELETE FROM fault WHERE kind = %s AND (%s OR reference = ANY (%s))",
        (kind, not references, list(references)),
    ).rowcount


def held_partitions(connection: Connection) -> set[str]:
    """The partitions (`topic/number`) that are not read until a person says so."""
    return standing(connection, *HOLDING)


def standing(connection: Connection, *kinds: Fault) -> set[str]:
    """The references of the faults of these kinds that stand."""
    rows = connection.execute("SELECT reference FROM fault WHERE kind = ANY (%s)", (list(kinds),))
    return {reference for (reference,) in rows}
