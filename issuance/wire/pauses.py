"""Paused partners: their counts since the last resume, and the SQL that stops clocks meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from issuance.city.partners import Limits
from issuance.ledger.connection import Connection
from issuance.wire.refusals import NOT_COUNTED, Outcome

AT_ONCE = frozenset({"BATCH_TOO_LARGE"})
"""Refusals that pause a partner by themselves: codes of lifecycle.PAUSES."""


@dataclass
class PartnerCount:
    """A partner's counts since its last resume; older ones weigh less and less (Limits.window)."""

    received: int
    refused: int
    run: int

    def add(self, outcome: Outcome, limits: Limits) -> str | None:
        """Count one message; the limit that it makes exceeded, or None."""
        if outcome.refusal in NOT_COUNTED or not outcome.items:
            return None
        whole = outcome.refusal is not None
        self.received += outcome.items
        self.refused += outcome.items if whole else outcome.refused
        self.run = self.run + 1 if whole or outcome.refused == outcome.items else 0
        if self.received > limits.window:
            self.received, self.refused = self.received // 2, self.refused // 2
        return outcome.refusal if outcome.refusal in AT_ONCE else self.tripped(limits)

    def tripped(self, limits: Limits) -> str | None:
        """The limit that these counts exceed (a code of lifecycle.PAUSES), or None."""
        if self.run >= limits.run:
            return "RUN"
        if self.received >= limits.enough and self.refused > limits.ratio * self.received:
            return "RATIO"
        return None


def read_counts(connection: Connection, partners: set[str]) -> dict[str, PartnerCount]:
    """The counts of these partners; locks the rows, in key order."""
    connection.execute(
        "INSERT INTO partner_state (partner) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (sorted(partners),)
    )
    rows = connection.execute(
        "SELECT partner, received, refused, run FROM partner_state WHERE partner = ANY (%s)"
        " ORDER BY partner FOR UPDATE",
        (sorted(partners),),
    )
    return {partner: PartnerCount(*row) for partner, *row in rows}


def write_counts(connection: Connection, counts: Mapping[str, PartnerCount]) -> None:
    """Keep the counts."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE partner_state SET received = %s, refused = %s, run = %s WHERE partner = %s",
            [(s.received, s.refused, s.run, partner) for partner, s in counts.items()],
        )


def paused_partners(connection: Connection) -> set[str]:
    """The partners that are paused now."""
    return {row[0] for row in connection.execute("SELECT partner FROM partner_state WHERE paused_on IS NOT NULL")}


def pause_partner(connection: Connection, partner: str, reason: str, day: date) -> None:
    """Pause a partner, in the ledger, so that it survives restarts."""
    connection.execute(
        "INSERT INTO partner_state (partner, paused_on, reason) VALUES (%s, %s, %s)"
        " ON CONFLICT (partner) DO UPDATE SET paused_on = excluded.paused_on, reason = excluded.reason",
        (partner, day, reason),
    )


def lift_pause(connection: Connection, partner: str) -> bool:
    """Resume a paused partner with new counts; False if it was not paused."""
    done = connection.execute(
        "UPDATE partner_state SET paused_on = NULL, reason = NULL, received = 0, refused = 0, run = 0"
        " WHERE partner = %s AND paused_on IS NOT NULL",
        (partner,),
    )
    return done.rowcount == 1


def paused(*partners: str) -> str:
    """SQL: whether one of these partners (SQL expressions) is paused; deadlines that depend on it do not run."""
    return (
        f"EXISTS (SELECT FROM partner_state z WHERE z.paused_on IS NOT NULL AND z.partner IN ({', '.join(partners)}))"
    )
