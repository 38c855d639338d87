"""The closing statement of a cohort, and closing it when every card has ended and no break is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from issuance.breaks.kinds import HOLDING_KINDS
from issuance.city.city import Cities, City, load_cities
from issuance.errors import unknown_cohort
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.reconcile.equations import EQUATIONS, Balance, balance, list_stated
from issuance.settings import Settings
from issuance.tracking.requests import OF_PLASTIC, OPEN
from issuance.tracking.snapshot import city_values, snapshot_cards
from issuance.wire.news import tell_cohort
from issuance.words.lifecycle import ENDED_STATES


@dataclass(frozen=True)
class ClosingStatement:
    """The statement of a cohort that an operator can produce at any moment."""

    cohort_id: str
    state: str
    counts: dict[str, int]
    balances: Sequence[Balance]
    breaks: dict[str, int]
    """Open breaks by kind over which a cohort is not closed."""
    watched: dict[str, int]
    """Open breaks by kind that do not hold a cohort open (lifecycle: holds)."""
    old_cards: dict[str, int]
    activations: dict[str, int]
    """Effective plastics by which of the three functions are active."""
    open_requests: int
    withdrawn: dict[str, Any] | None = None
    """By whom, when and why the cohort was withdrawn before it opened; it may then have no cards."""
    kept_open: dict[str, Any] | None = None
    """By whom, when and why it was reopened by hand: then it is not closed automatically."""

    @property
    def holds(self) -> bool:
        """Every equation holds."""
        return all(balance.holds for balance in self.balances)

    @property
    def ended(self) -> bool:
        """Every card has ended, and there is no open request or break."""
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
            "watched": self.watched,
            "old_cards": self.old_cards,
            "activations": self.activations,
            "open_requests": self.open_requests,
        } | {name: value for name in ("withdrawn", "kept_open") if (value := getattr(self, name))}


def close_statement(settings: Settings, cohort_id: str) -> ClosingStatement:
    """The closing statement of a cohort, from the ledger's current state, read in one snapshot."""
    with transaction(settings.database_url, snapshot=True) as connection:
        return read_statement(connection, cohort_id, load_cities(settings))


def read_statement(connection: Connection, cohort_id: str, cities: Cities) -> ClosingStatement:
    """The same in an open transaction; leaves its temporary tables behind."""
    cohort = snapshot_cohort(connection, cohort_id, cities)
    cohort_no = cohort.cohort_no
    counts = connection.execute(
        "SELECT state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1 ORDER BY 1", (cohort_no,)
    ).fetchall()
    breaks = open_breaks(connection, cohort_no)
    return ClosingStatement(
        cohort_id,
        cohort.state,
        {str(name): int(count) for name, count in counts},
        [balance(connection, equation, cohort_no) for equation in EQUATIONS],
        {kind: count for kind, count in breaks.items() if kind in HOLDING_KINDS},
        {kind: count for kind, count in breaks.items() if kind not in HOLDING_KINDS},
        _old_cards(connection),
        _activations(connection),
        len(open_requests(connection, cohort_no)),
        cohort.withdrawal,
        cohort.kept_open,
    )


class CohortSnapshot(NamedTuple):
    """A cohort whose cards are in the temporary tables of the open transaction."""

    cohort_id: str
    cohort_no: int
    city: City
    state: str
    withdrawal: Any
    """Who withdrew it, when and why."""
    kept_open: Any
    """Who keeps it open, since when and why."""


def snapshot_cohort(connection: Connection, cohort_id: str, cities: Cities) -> CohortSnapshot:
    """Make the temporary tables `plastic_snapshot`, `card_snapshot` and `listed` of a cohort, in place of another's.

    Raises:
        Refused: there is no such cohort, or its city is not served.
    """
    row = connection.execute(
        "SELECT cohort_no, city, state, withdrawal, kept_open FROM cohort WHERE cohort_id = %s", (cohort_id,)
    ).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    cohort = CohortSnapshot(cohort_id, row[0], cities[row[1]], *row[2:])
    connection.execute("DROP TABLE IF EXISTS work, plastic_snapshot, card_snapshot")
    connection.execute(
        "CREATE TEMP TABLE work ON COMMIT DROP AS SELECT card_ref FROM card WHERE cohort_no = %s", (cohort.cohort_no,)
    )
    connection.execute("ANALYZE work")
    snapshot_cards(connection, city_values(cohort.city, business_day(connection)))
    list_stated(connection, cohort.cohort_no)
    return cohort


def open_breaks(connection: Connection, cohort_no: int) -> dict[str, int]:
    """The open breaks of a cohort by kind."""
    rows = connection.execute(
        "SELECT kind, count(*) FROM break WHERE cohort_no = %s AND closed_on IS NULL GROUP BY 1 ORDER BY 1",
        (cohort_no,),
    ).fetchall()
    return {str(kind): int(count) for kind, count in rows}


def _old_cards(connection: Connection) -> dict[str, int]:
    """What became of the old cards of active ones."""
    row = one(
        connection,
        "SELECT count(*) FILTER (WHERE old_card_lapsed IS NOT NULL),"
        " count(*) FILTER (WHERE ss_activated IS NOT NULL AND old_card_lapsed IS NULL),"
        " count(*) FILTER (WHERE old_card_used > ss_activated),"
        " count(*) FILTER (WHERE ss_activated IS NULL) FROM plastic_snapshot WHERE effective",
    )
    return dict(zip(("lapsed", "not yet reported", "used afterwards", "none"), row, strict=True))


def _activations(connection: Connection) -> dict[str, int]:
    """The three activations of effective plastics; finance implies social security, so alone it is a break."""
    row = one(
        connection,
        "SELECT count(ss_activated), count(finance_activated), count(ecard_signed),"
        " count(*) FILTER (WHERE finance_activated IS NOT NULL AND ss_activated IS NULL)"
        " FROM plastic_snapshot WHERE effective",
    )
    return dict(zip(("social security", "finance", "e-card", "finance alone"), row, strict=True))


def open_requests(connection: Connection, cohort_no: int) -> list[Any]:
    """The open requests of a cohort: (card_ref, attempt, request, partner, due_on); HOLD holds nothing.

    A CANCEL that came too late lapses by itself; the plastic then follows the enforced order.
    """
    return connection.execute(
        f"SELECT q.card_ref, q.attempt, q.kind, q.partner, q.due_on FROM {OF_PLASTIC} JOIN card c USING (card_ref)"
        f" WHERE c.cohort_no = %s AND q.kind <> 'HOLD' AND {OPEN} ORDER BY 1, 2",
        (cohort_no,),
    ).fetchall()


def close_cohorts(settings: Settings) -> list[str]:
    """Close every dispatched or withdrawn cohort that has ended and whose equations hold; reopen a closed one that
    no longer does.

    Returns the cohorts whose state changed.
    """
    cities = load_cities(settings)
    with transaction(settings.database_url) as connection:
        cohorts = [
            row[0]
            for row in connection.execute(
                "SELECT cohort_id FROM cohort WHERE state IN ('DISPATCHED', 'WITHDRAWN', 'CLOSED') ORDER BY cohort_no"
            ).fetchall()
        ]
    return [cohort_id for cohort_id in cohorts if _settle_cohort(settings, cohort_id, cities)]


def _settle_cohort(settings: Settings, cohort_id: str, cities: Cities) -> bool:
    with transaction(settings.database_url, snapshot=True) as connection:
        connection.execute("SELECT FROM cohort WHERE cohort_id = %s FOR UPDATE", (cohort_id,))
        if _plainly_open(connection, cohort_id):
            return False
        statement = read_statement(connection, cohort_id, cities)
        finished = statement.ended and statement.holds
        if finished == (statement.state == "CLOSED") or statement.kept_open:
            return False
        turn_cohort(connection, statement, finished)
    return True


def turn_cohort(
    connection: Connection, statement: ClosingStatement, close: bool, by: dict[str, Any] | None = None
) -> int:
    """Close or reopen a cohort: a new revision, told with the statement. Returns the revision.

    `by` names the person (user, note, day) who reopens it; it then stays open until a person closes it.
    """
    day = business_day(connection)
    reopened = "WITHDRAWN" if statement.withdrawn else "DISPATCHED"
    (revision,) = one(
        connection,
        "UPDATE cohort SET state = %s, closed_on = %s, kept_open = %s, revision = revision + 1 WHERE cohort_id = %s"
        " RETURNING revision",
        ("CLOSED" if close else reopened, day if close else None, by and Jsonb(by), statement.cohort_id),
    )
    details = statement.as_dict() | {"revision": revision} | ({"by": by} if by else {})
    event = "CLOSED" if close else "REOPENED"
    tell_cohort(connection, statement.cohort_id, event, day, occasion=str(revision), details=details)
    return int(revision)


def _plainly_open(connection: Connection, cohort_id: str) -> bool:
    """Whether a cohort is kept open by hand, or its tallies alone show that it has not ended; saves the equations."""
    row = connection.execute(
        "SELECT FROM cohort LEFT JOIN tally ON tally.cohort_no = cohort.cohort_no AND cards > 0"
        " AND NOT tally.state = ANY (%s) WHERE cohort_id = %s AND cohort.state <> 'CLOSED'"
        " AND (tally.state IS NOT NULL OR kept_open IS NOT NULL) LIMIT 1",
        (sorted(ENDED_STATES), cohort_id),
    ).fetchone()
    return row is not None
