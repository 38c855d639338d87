"""Faults of ours as breaks: messages that could not be processed or sent, topics that are held, what failed."""

from __future__ import annotations

from datetime import date
from typing import get_args

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection
from issuance.wire.faults import Fault

KINDS: tuple[Fault, ...] = get_args(Fault)
FOUND = f"SELECT {difference('kind', reference='reference', expected='NULL::text', actual='detail')} FROM fault"


def watch_faults(connection: Connection, day: date) -> int:
    """A break for every fault that stands; it closes when the fault is gone. Returns how many changed."""
    return settle(connection, day, KINDS, FOUND)
