"""A paused partner is read again, and the clocks that ran out meanwhile are looked at again."""

from __future__ import annotations

from datetime import date, timedelta

from issuance.ledger.connection import Connection

RAN_OUT = ("WAITING", "PLANNED", "ORDERED", "ACCEPTED", "MADE", "KEYED", "POSTED", "AT_PLACE", "SENT_BACK")
"""States with a clock. Of a card whose clock ran out, nobody would think again."""


def resume_partner(connection: Connection, partner: str, day: date) -> bool:
    """Let a paused partner's messages be read again, with a new count; False when it was not paused.

    Clocks that ran out meanwhile are looked at again tomorrow, when what the partner had to say has been read.
    """
    done = connection.execute(
        "UPDATE partner_standing SET paused_on = NULL, reason = NULL, received = 0, refused = 0, run = 0"
        " WHERE partner = %s AND paused_on IS NOT NULL",
        (partner,),
    )
    if done.rowcount:
        connection.execute(
            "UPDATE card SET next_due = least(next_due, %(tomorrow)s)"
            " WHERE next_due IS NULL AND state = ANY (%(ran_out)s)"
            " OR state IN ('COLLECTED', 'ACTIVE', 'NOT_ACTIVATED', 'SUSPENDED') AND EXISTS (SELECT FROM plastic p"
            " WHERE (p.card_ref, p.attempt) = (card.card_ref, card.effective) AND p.finance_activated IS NULL"
            " AND (p.bank = %(partner)s OR p.ss_activated IS NULL))",
            {"tomorrow": day + timedelta(days=1), "ran_out": list(RAN_OUT), "partner": partner},
        )
    return done.rowcount == 1
