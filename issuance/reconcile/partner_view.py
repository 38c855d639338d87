"""A cohort as one partner sees it: the part for which that partner is responsible, and nothing else.

Every entity of an equation, every card's state and every break belongs to one partner: the parts add up to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from issuance.breaks.kinds import HOLDING_KINDS
from issuance.city.city import load_cities
from issuance.city.partners import Partner
from issuance.ledger.connection import Connection, transaction
from issuance.reconcile.closing import CohortSnapshot, snapshot_cohort
from issuance.reconcile.equations import EQUATIONS, Balance, balance
from issuance.settings import Settings

STATES = (
    "SELECT state, count(*) FROM card c WHERE cohort_no = %(cohort)s AND c.bank = %(partner)s GROUP BY 1 ORDER BY 1"
)
BREAKS = """
SELECT kind, count(*) FROM break WHERE cohort_no = %(cohort)s AND closed_on IS NULL AND answers_for = %(partner)s
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class PartnerStatement:
    """The part of a cohort's equations, states and breaks for which one partner is responsible."""

    cohort_id: str
    partner: str
    state: str
    counts: dict[str, int]
    """Its cards by state; a bank has cards, the others have none."""
    balances: Sequence[Balance]
    breaks: dict[str, int]
    watched: dict[str, int]

    @property
    def holds(self) -> bool:
        """Every equation of the partner holds."""
        return all(balance.holds for balance in self.balances)

    def as_dict(self) -> dict[str, Any]:
        """The closing statement's JSON, of this partner's part."""
        return {
            "cohort_id": self.cohort_id,
            "partner": self.partner,
            "state": self.state.lower(),
            "counts": self.counts,
            "equations": [balance.as_dict() for balance in self.balances],
            "breaks": self.breaks,
            "watched": self.watched,
        }


def partner_statement(settings: Settings, cohort_id: str, partner_id: str) -> PartnerStatement:
    """The part of a cohort for which a partner is responsible, from the ledger's current state.

    Raises:
        Refused: there is no such cohort or partner.
    """
    cities = load_cities(settings)
    partner = cities.partners.partner(partner_id)
    with transaction(settings.database_url) as connection:
        return read_part(connection, snapshot_cohort(connection, cohort_id, cities), partner)


def read_part(connection: Connection, cohort: CohortSnapshot, partner: Partner) -> PartnerStatement:
    """The same for a cohort whose snapshot is in the open transaction's temporary tables."""
    values = {"cohort": cohort.cohort_no, "partner": partner.id}
    counts = connection.execute(STATES, values).fetchall() if partner.kind == "bank" else []
    breaks: dict[str, int] = dict(connection.execute(BREAKS, values).fetchall())
    asked = [equation for equation in EQUATIONS if partner.kind in equation.answers]
    return PartnerStatement(
        cohort.cohort_id,
        partner.id,
        cohort.state,
        dict(counts),
        [balance(connection, equation, cohort.cohort_no, cohort.city.hrss, partner.id) for equation in asked],
        {kind: count for kind, count in breaks.items() if kind in HOLDING_KINDS},
        {kind: count for kind, count in breaks.items() if kind not in HOLDING_KINDS},
    )
