"""Faults of ours as breaks: messages that could not be processed or sent, topics that are held, what failed."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection

KINDS = ("UNPROCESSABLE", "TOPIC_CHANGED", "PARTNER_HELD", "STAGE_STOPPED", "WATCH_FAILED", "NOT_SENT")
"""Those of wire.faults.Fault."""
FOUND = f"SELECT {difference('kind', reference='reference', expected='NULL::text', actual='detail')} FROM fault"


def watch_faults(connection: Connection, day: date) -> int:
    """A break for every fault that stands; it closes when the fault is gone. Returns how many changed."""
    return settle(connection, day, KINDS, FOUND)
