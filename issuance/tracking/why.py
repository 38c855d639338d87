"""Why a card is where it is: the state's condition, the decisions that rules take now, the breaks that stand.

Reads only: the snapshot is made of the one card and rolled back, so what is shown is what the next pass will find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from issuance.city.city import Cities
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import card_ref_of_text, rows_of, unknown_card
from issuance.tracking.card_breaks import BREAK_RULES
from issuance.tracking.decisions import RULES
from issuance.tracking.snapshot import city_values, snapshot_cards
from issuance.words.lifecycle import PLASTIC_STATES

PLASTICS = """
SELECT s.attempt, s.state, s.effective, s.bank, s.factory, s.job_id, s.c_id AS consignment_id,
       mark_at(s.since_mark) AS since FROM plastic_snapshot s ORDER BY s.attempt
"""
CARD = """
SELECT c.state AS kept_state, k.state, k.next_due, k.pension_risk, c.withdrawn, c.held
FROM card_snapshot k JOIN card c USING (card_ref)
"""
CONDITIONS = {state.name: state.when for state in PLASTIC_STATES}


def explain_card(connection: Connection, cities: Cities, card_ref: str) -> dict[str, Any]:
    """One card as the next pass of `decide` will find it; leaves no trace in the ledger.

    card: the state that is kept and the one that follows from facts and clocks now, and its next clock;
    plastics: each with its state and the condition that gives it; decisions: every rule that fires, with its reason and
    since when it is recorded (None: the next pass records it); breaks: every rule that holds, with both sides.

    Raises:
        Refused: there is no such card.
    """
    ref = card_ref_of_text(card_ref)
    row = connection.execute(
        "SELECT city FROM card JOIN cohort USING (cohort_no) WHERE card_ref = %s", (ref,)
    ).fetchone()
    if row is None:
        raise unknown_card(card_ref)
    day = business_day(connection)
    with connection.transaction(force_rollback=True):
        return _explained(connection, city_values(cities[row[0]], day), ref, day)


def _explained(connection: Connection, values: Mapping[str, Any], ref: UUID, day: date) -> dict[str, Any]:
    connection.execute("CREATE TEMP TABLE work ON COMMIT DROP AS SELECT %s::uuid AS card_ref", (ref,))
    snapshot_cards(connection, values)
    plastics = [row | {"because": CONDITIONS[row["state"]]} for row in rows_of(connection, PLASTICS)]
    return {
        "card_ref": str(ref),
        "business_day": day,
        "card": rows_of(connection, CARD)[0],
        "plastics": plastics,
        "decisions": list(_decisions(connection, values)),
        "breaks": list(_breaks(connection, values)),
    }


def _decisions(connection: Connection, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rule in RULES:
        query = (
            f"SELECT attempt, coalesce(request, occasion) AS occasion, reason, partner, due_on,"
            f" ({rule.recorded}) AS recorded_on FROM ({rule.query}) AS f ORDER BY attempt, occasion"
        )
        for row in rows_of(connection, query, values):
            yield {"rule": rule.kind, **row}


def _breaks(connection: Connection, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rule in BREAK_RULES:
        query = f"SELECT attempt, expected, actual, answers_for FROM ({rule.query()}) AS found"
        for row in rows_of(connection, query, values):
            yield {"rule": rule.kind, **row}
