"""Seeded histories in random orders and gaps: by the truth nobody is harmed, nothing is unnoticed, everything ends."""

from __future__ import annotations

import pytest
from history_fixture import History
from ledger_fixture import CITIES, COHORT

from issuance.ledger.connection import Connection
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import read_statement

DAYS = 420
"""Past the keeping period of whatever was re-made."""


def live(connection: Connection, seed: int, cards: int, method: str) -> History:
    history = History(connection, seed, cards, method)
    history.run(DAYS)
    return history


def judge(history: History) -> None:
    assert history.harm == []
    assert list(history.unnoticed()) == []
    assert history.open_ends() == []
    assert history.mistaken
    assert history.left_without() == []
    balances = read_statement(history.connection, COHORT, CITIES).balances
    assert [
        one.equation.name for one in balances if not one.holds and not one.differing and one.equation.name != "intake"
    ] == []
    assert [entry for entry in verify_ledger(history.connection, CITIES) if entry.startswith(("card", "plastic"))] == []


@pytest.mark.parametrize("method", ["outlet", "mail"])
def test_by_the_truth_nobody_is_harmed(ledger: Connection, method: str) -> None:
    judge(live(ledger, 7, 100, method))


def test_a_seed_tells_its_history_as_a_story(ledger: Connection) -> None:
    """`pytest tests/ledger/test_histories.py -k story -s` shows those of every card that was made more than once."""
    history = live(ledger, 3, 40, "mail")
    told = {ref: lines for ref, lines in history.story.items() if any("plastic 2" in line for line in lines)}
    for ref, lines in told.items():
        print(ref, *lines, sep="\n    ")
    assert told
    made = ledger.execute("SELECT card_ref FROM remake").fetchall()
    assert set(told) == {ref for (ref,) in made}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["outlet", "mail"])
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_histories(ledger: Connection, seed: int, method: str) -> None:
    judge(live(ledger, seed, 500, method))
