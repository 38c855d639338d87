"""A cohort as one partner sees it: the part for which that partner has to answer, and nothing of the others.

Every entity of an equation, every card's state and every break belongs to one partner: the parts sum up to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from issuance.breaks.kinds import HOLDING_KINDS
from issuance.city.partners import Partner, Registry, load_registry
from issuance.city.policy import load_policy
from issuance.ledger.connection import Connection, transaction
from issuance.reconcile.closing import stand_cohort
from issuance.reconcile.equations import EQUATIONS, KEEPER, Balance, balance
from issuance.settings import Settings

ANSWERS: dict[str, str] = {
    # kind of break: SQL of the partner who has to answer for break b of card c; hand-overs and jobs by their reference
    "STATEMENT_UNKNOWN": "split_part(b.reference, '/', 1)",
    "STATEMENT_MISSING": "split_part(b.reference, '/', 1)",
    "STATEMENT_LATE": "split_part(b.reference, '/', 1)",
    "SEQUENCE_GAP": "split_part(b.reference, '/', 1)",
    "MADE_NOT_ORDERED": "split_part(b.reference, ' ', 1)",
    "MADE_BEYOND_ORDER": "p.factory",
    "OVERDUE": "c.factory",
    "JOB_UNANSWERED": "(SELECT j.factory FROM job j WHERE j.job_id = b.reference)",
    "REQUEST_OVERDUE": "(SELECT d.partner FROM decision d WHERE (d.card_ref, d.attempt) = (b.card_ref, b.attempt)"
    " AND d.kind = 'REQUEST' AND d.occasion = split_part(b.reference, ' ', 2))",
    "HANDOVER_COUNT": "(SELECT min(k.partner) FROM (SELECT "
    + KEEPER
    + " AS partner FROM carriage a JOIN card c USING (card_ref) JOIN plastic p USING (card_ref, attempt)"
    " WHERE a.consignment_id = b.reference) k)",
    "UNMATCHED_MAIL": "split_part(b.reference, ':', 2)",
    "ACTIVATED_DEAD": "%(hrss)s",
    "COLLECTED_NOT_ACTIVATED": "%(hrss)s",
    "FINANCE_ALONE": "%(hrss)s",
    "OLD_CARD_USED": "%(hrss)s",
    "REMAKE_LIMIT": "''",
    "PIPELINE_FAILED": "''",
}
"""The others are the bank's of the plastic."""

BREAK_PARTNER = (
    "coalesce(CASE b.kind "
    + " ".join(f"WHEN '{kind}' THEN {who}" for kind, who in ANSWERS.items())
    + " ELSE coalesce(p.bank, c.bank) END, '')"
)
OF_BREAK = "LEFT JOIN card c USING (card_ref) LEFT JOIN plastic p ON (p.card_ref, p.attempt) = (b.card_ref, b.attempt)"

STATES = (
    "SELECT state, count(*) FROM card c WHERE cohort_no = %(cohort)s AND c.bank = %(partner)s GROUP BY 1 ORDER BY 1"
)
BREAKS = f"""
SELECT kind, count(*) FROM (SELECT b.kind, {BREAK_PARTNER} AS partner FROM break b {OF_BREAK}
                            WHERE b.cohort_no = %(cohort)s AND b.closed_on IS NULL) b
WHERE partner = %(partner)s GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class PartnerStatement:
    """A cohort's equations, states and breaks as far as one partner answers for them."""

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
    """The part of a cohort for which a partner answers, from the ledger as it stands.

    Raises:
        Refused: there is no such cohort or partner.
    """
    registry = load_registry(settings.partners_file)
    partner = registry.partner(partner_id)
    policy = load_policy(settings.policies_dir, registry.city)
    with transaction(settings.database_url) as connection:
        cohort_no, state = stand_cohort(connection, cohort_id, policy)[:2]
        return read_part(connection, cohort_id, cohort_no, state, registry, partner)


def read_part(
    connection: Connection, cohort_id: str, cohort_no: int, state: str, registry: Registry, partner: Partner
) -> PartnerStatement:
    """The same of a cohort that stands in the open transaction's temporary tables."""
    values = {"cohort": cohort_no, "partner": partner.id, "hrss": registry.hrss}
    counts = connection.execute(STATES, values).fetchall() if partner.kind == "bank" else []
    breaks: dict[str, int] = dict(connection.execute(BREAKS, values).fetchall())
    return PartnerStatement(
        cohort_id,
        partner.id,
        state,
        dict(counts),
        [balance(connection, e, cohort_no, registry.hrss, partner.id) for e in EQUATIONS if partner.kind in e.answers],
        {kind: count for kind, count in breaks.items() if kind in HOLDING_KINDS},
        {kind: count for kind, count in breaks.items() if kind not in HOLDING_KINDS},
    )
