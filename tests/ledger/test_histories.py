"""Seeded histories in random orders and gaps: by the truth nobody is harmed, nothing is unnoticed, everything ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from history_fixture import History
from ledger_fixture import CITIES, COHORT, fresh_database, new_ledger

from issuance.ledger.connection import Connection, connect
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import read_statement
from issuance.settings import Settings

DAYS = 420
"""Past the keeping period of whatever was re-made."""


@pytest.fixture
def own(database: Settings) -> Iterator[Connection]:
    """A ledger that a history commits to."""
    url = fresh_database(database.database_url, "ledger_history")
    new_ledger(url)
    with connect(url) as connection:
        yield connection


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
def test_by_the_truth_nobody_is_harmed(own: Connection, method: str) -> None:
    judge(live(own, 7, 100, method))


def test_a_seed_tells_its_history_as_a_story(own: Connection) -> None:
    """`pytest tests/ledger/test_histories.py -k story -s` shows those of every card that was made more than once."""
    history = live(own, 3, 40, "mail")
    told = {ref: lines for ref, lines in history.story.items() if any("plastic 2" in line for line in lines)}
    for ref, lines in told.items():
        print(ref, *lines, sep="\n    ")
    assert told
    made = own.execute("SELECT card_ref FROM remake").fetchall()
    assert set(told) == {ref for (ref,) in made}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["outlet", "mail"])
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_histories(own: Connection, seed: int, method: str) -> None:
    judge(live(own, seed, 500, method))
