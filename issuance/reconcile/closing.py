"""The closing statement of a cohort, and closing it when every card has ended and no break is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.news import tell_cohort
from issuance.lifecycle import ENDED_STATES
from issuance.partners import load_registry
from issuance.policy import Policy, load_policy
from issuance.reconcile.equations import EQUATIONS, Balance, balance, list_stated
from issuance.settings import Settings
from issuance.tracking.decisions import UNANSWERED
from issuance.tracking.standing import stand_cards


@dataclass(frozen=True)
class ClosingStatement:
    """What an operator can show of a cohort at any moment."""

    cohort_id: str
    state: str
    counts: dict[str, int]
    balances: Sequence[Balance]
    breaks: dict[str, int]
    old_cards: dict[str, int]
    open_requests: int
    withdrawn: dict[str, Any] | None = None
    """By whom, when and why the cohort was withdrawn before it opened; such a one may have no cards."""

    @property
    def holds(self) -> bool:
        """Every equation holds."""
        return all(balance.holds for balance in self.balances)

    @property
    def ended(self) -> bool:
        """Every card has ended, nothing is asked of a partner and no break is open."""
        alive = sum(count for state, count in self.counts.items() if state not in ENDED_STATES)
        some = sum(self.counts.values()) > 0 or self.withdrawn is not None
        return not alive and not self.breaks and not self.open_requests and some

    def as_dict(self) -> dict[str, Any]:
        """The contract's JSON."""
        return {
            "cohort_id": self.cohort_id,
            "state": self.state.lower(),
            "counts": self.counts,
            "equations": [balance.as_dict() for balance in self.balances],
            "breaks": self.breaks,
            "old_cards": self.old_cards,
            "open_requests": self.open_requests,
        } | ({"withdrawn": self.withdrawn} if self.withdrawn else {})


def close_statement(settings: Settings, cohort_id: str) -> ClosingStatement:
    """The closing statement of a cohort, from the ledger as it stands."""
    policy = load_policy(settings.policies_dir, load_registry(settings.partners_file).city)
    with transaction(settings.database_url) as connection:
        return read_statement(connection, cohort_id, policy)


def read_statement(connection: Connection, cohort_id: str, policy: Policy) -> ClosingStatement:
    """The same in an open transaction, which it leaves with its temporary tables."""
    row = connection.execute(
        "SELECT cohort_no, state, withdrawal FROM cohort WHERE cohort_id = %s", (cohort_id,)
    ).fetchone()
    if row is None:
        raise Refused("COHORT_UNKNOWN", f"没有批次 {cohort_id}。 / there is no cohort {cohort_id}.")
    cohort_no, state, withdrawn = row
    connection.execute("DROP TABLE IF EXISTS work, standing, card_standing")
    connection.execute(
        "CREATE TEMP TABLE work ON COMMIT DROP AS SELECT card_ref FROM card WHERE cohort_no = %s", (cohort_no,)
    )
    connection.execute("ANALYZE work")
    stand_cards(connection, policy, business_day(connection))
    list_stated(connection, cohort_no)
    counts = connection.execute(
        "SELECT state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1 ORDER BY 1", (cohort_no,)
    ).fetchall()
    breaks = connection.execute(
        "SELECT kind, count(*) FROM break WHERE cohort_no = %s AND closed_on IS NULL GROUP BY 1 ORDER BY 1",
        (cohort_no,),
    ).fetchall()
    return ClosingStatement(
        cohort_id,
        state,
        {str(name): int(count) for name, count in counts},
        [balance(connection, equation, cohort_no) for equation in EQUATIONS],
        {str(kind): int(count) for kind, count in breaks},
        _old_cards(connection),
        len(open_requests(connection, cohort_no)),
        withdrawn,
    )


def _old_cards(connection: Connection) -> dict[str, int]:
    """What became of the old cards of active ones."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE old_card_lapsed IS NOT NULL),"
        " count(*) FILTER (WHERE ss_activated IS NOT NULL AND old_card_lapsed IS NULL),"
        " count(*) FILTER (WHERE old_card_used > ss_activated),"
        " count(*) FILTER (WHERE ss_activated IS NULL) FROM standing WHERE effective"
    ).fetchone() or (0, 0, 0, 0)
    return dict(zip(("lapsed", "not yet reported", "used afterwards", "none"), row, strict=True))


def open_requests(connection: Connection, cohort_no: int) -> list[Any]:
    """Requests of a cohort that no milestone has answered: (card_ref, attempt, request, partner, due_on).

    A CANCEL that came too late ends by itself; the plastic then goes the enforced order.
    """
    return connection.execute(
        "SELECT d.card_ref, d.attempt, d.occasion, d.partner, d.due_on FROM decision d JOIN card c USING (card_ref)"
        " JOIN plastic p USING (card_ref, attempt)"
        f" WHERE c.cohort_no = %s AND d.kind = 'REQUEST' AND {UNANSWERED} ORDER BY 1, 2",
        (cohort_no,),
    ).fetchall()


def close_cohorts(settings: Settings) -> list[str]:
    """Close every dispatched or withdrawn cohort that has ended and whose equations hold; reopen a closed one that
    no longer does.

    Returns the cohorts whose state changed.
    """
    policy = load_policy(settings.policies_dir, load_registry(settings.partners_file).city)
    with transaction(settings.database_url) as connection:
        cohorts = [
            row[0]
            for row in connection.execute(
                "SELECT cohort_id FROM cohort WHERE state IN ('DISPATCHED', 'WITHDRAWN', 'CLOSED') ORDER BY cohort_no"
            ).fetchall()
        ]
    return [cohort_id for cohort_id in cohorts if _settle_cohort(settings, cohort_id, policy)]


def _settle_cohort(settings: Settings, cohort_id: str, policy: Policy) -> bool:
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
        if _plainly_open(connection, cohort_id):
            return False
        statement = read_statement(connection, cohort_id, policy)
        finished = statement.ended and statement.holds
        if finished == (statement.state == "CLOSED"):
            return False
        day = business_day(connection)
        reopened = "WITHDRAWN" if statement.withdrawn else "DISPATCHED"
        revision = connection.execute(
            "UPDATE cohort SET state = %s, closed_on = %s, revision = revision + 1 WHERE cohort_id = %s"
            " RETURNING revision",
            ("CLOSED" if finished else reopened, day if finished else None, cohort_id),
        ).fetchone() or (0,)
        event = "CLOSED" if finished else "REOPENED"
        tell_cohort(connection, cohort_id, event, day, occasion=str(revision[0]), details=statement.as_dict())
    return True


def _plainly_open(connection: Connection, cohort_id: str) -> bool:
    """Whether the tallies alone say that a cohort under way cannot be closed yet; spares the equations."""
    row = connection.execute(
        "SELECT FROM tally JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND cohort.state <> 'CLOSED'"
        " AND cards > 0 AND NOT tally.state = ANY (%s) LIMIT 1",
        (cohort_id, sorted(ENDED_STATES)),
    ).fetchone()
    return row is not None
