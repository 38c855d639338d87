"""A paused partner is resumed, and the clocks that expired meanwhile are re-examined."""

from __future__ import annotations

from datetime import date, timedelta

from issuance.ledger.connection import Connection
from issuance.wire.pauses import lift_pause
from issuance.words.lifecycle import in_states

RAN_OUT = f"""
UPDATE card SET next_due = least(next_due, %(tomorrow)s)
WHERE next_due IS NULL AND ({in_states("state", "due_runs", "kept")} OR state = 'POSTED')
   OR {in_states("state", "in_hand")} AND EXISTS (
       SELECT FROM plastic p WHERE (p.card_ref, p.attempt) = (card.card_ref, card.effective)
       AND p.finance_activated IS NULL AND (p.bank = %(partner)s OR p.ss_activated IS NULL))
"""
"""Cards whose clock expired while it was stopped: nothing else would look at them again."""


def resume_partner(connection: Connection, partner: str, day: date) -> bool:
    """Resume a paused partner with new counts; False if it was not paused.

    Clocks that expired meanwhile are re-examined tomorrow, when the partner's backlog has been read.
    """
    if not lift_pause(connection, partner):
        return False
    connection.execute(RAN_OUT, {"tomorrow": day + timedelta(days=1), "partner": partner})
    return True
