"""Scenarios in small: what each must come to is asked of an empty ledger. Played they are in tests/demo (slow)."""

from __future__ import annotations

import pytest

from issuance.demo.scenarios import SCENARIOS, Outcome
from issuance.ledger.connection import Connection
from issuance.words.lifecycle import MILESTONES

OUTCOMES = [
    pytest.param(outcome, id=f"{scenario.name}: {outcome.en}")
    for scenario in SCENARIOS.values()
    for outcome in scenario.outcomes
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_asked_of_the_ledger_alone(ledger: Connection, outcome: Outcome) -> None:
    asked = f"SELECT DISTINCT found FROM ({outcome.found}) AS f (found) WHERE found IS NOT NULL"
    assert ledger.execute(asked, {"cohort": 1}).fetchall() == []


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_is_named_by_what_was_done(outcome: Outcome) -> None:
    assert bool(outcome.happening) != bool(outcome.milestone) or outcome.milestone in MILESTONES
