"""Holder events told at the desk: with a paper; a death or withdrawal acts later, or when a second user confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from findings_fixture import event_value
from findings_fixture import tell as tell_by_partner
from ledger_fixture import CITY, OPENS, decide_all, make_cohort

from issuance.errors import Refused
from issuance.ledger.connection import Connection, set_business_day
from issuance.ledger.queries import show_card
from issuance.settings import Settings
from issuance.tracking.told import Telling, act_told, confirm_event, drop_event, list_told, tell_event

DEATH = Telling("DEATH", OPENS, "death certificate 12", {})


@pytest.fixture
def own(database: Settings, ledger_url: str) -> Settings:
    return replace(database, database_url=ledger_url)


@pytest.fixture
def card(ledger: Connection) -> Iterator[UUID]:
    (ref,) = make_cohort(ledger, 1)
    yield ref


def withdrawn(ledger: Connection, ref: UUID) -> Any:
    return (ledger.execute("SELECT withdrawn FROM card WHERE card_ref = %s", (ref,)).fetchone() or (None,))[0]


def tell(ledger: Connection, own: Settings, ref: UUID, telling: Telling = DEATH, user: str = "planner") -> int:
    return int(tell_event(ledger, own, str(ref), telling, user)["event_no"])


def test_a_death_waits_for_the_hours_of_the_policy(ledger: Connection, own: Settings, card: UUID) -> None:
    tell(ledger, own, card)
    assert act_told(ledger, own, CITY) == 0
    assert withdrawn(ledger, card) is None
    assert CITY.policy.told_hours == 24
    set_business_day(ledger, OPENS + timedelta(days=1))
    assert act_told(ledger, own, CITY) == 1
    assert act_told(ledger, own, CITY) == 0
    assert withdrawn(ledger, card) == "DEATH"
    decide_all(ledger)
    assert ledger.execute("SELECT DISTINCT kind FROM decision WHERE card_ref = %s", (card,)).fetchall() != []
    (row,) = list_told(ledger)
    assert (row["told_by"], row["paper"], row["confirmed_by"]) == ("planner", "death certificate 12", None)
    source = ledger.execute("SELECT source, event FROM holder_event").fetchall()
    assert source == [("DESK", "DEATH")]


def test_a_second_user_lets_it_act_at_once_and_the_teller_cannot(ledger: Connection, own: Settings, card: UUID) -> None:
    number = tell(ledger, own, card, DEATH._replace(event="WITHDRAWN"))
    with pytest.raises(Refused, match="SAME_PERSON"):
        confirm_event(ledger, own, number, "planner")
    confirm_event(ledger, own, number, "releaser")
    assert withdrawn(ledger, card) == "WITHDRAWN"
    with pytest.raises(Refused, match="EVENT_SETTLED"):
        confirm_event(ledger, own, number, "releaser")
    with pytest.raises(Refused, match="EVENT_SETTLED"):
        drop_event(ledger, number, "too late", "planner")
    acts = ledger.execute('SELECT "user", act FROM audit ORDER BY number').fetchall()
    assert acts == [("planner", "tell"), ("releaser", "confirm told")]


def test_the_ledger_itself_refuses_the_teller_as_the_second_user(ledger: Connection, own: Settings, card: UUID) -> None:
    tell(ledger, own, card)
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.execute("UPDATE told_event SET confirmed_by = told_by")


def test_what_was_dropped_never_acts(ledger: Connection, own: Settings, card: UUID) -> None:
    number = tell(ledger, own, card)
    with pytest.raises(Refused, match="NOTE_MISSING"):
        drop_event(ledger, number, " ", "planner")
    drop_event(ledger, number, "another person of that name", "planner")
    set_business_day(ledger, OPENS + timedelta(days=30))
    assert act_told(ledger, own, CITY) == 0
    assert withdrawn(ledger, card) is None


def test_a_fee_that_was_paid_at_the_counter_acts_at_once(ledger: Connection, own: Settings, card: UUID) -> None:
    ledger.execute("UPDATE card SET held = 'fee'")
    tell(ledger, own, card, Telling("FEE_PAID", OPENS, "receipt 7", {}))
    assert ledger.execute("SELECT held FROM card").fetchone() == (None,)
    assert act_told(ledger, own, CITY) == 0


@pytest.mark.parametrize(
    ("telling", "code"),
    [
        (DEATH._replace(event="ALIVE"), "EVENT_UNKNOWN"),
        (DEATH._replace(paper=" "), "PAPER_MISSING"),
        (DEATH._replace(paper="certificate of 13911112222"), "NOTE_PERSONAL"),
        (DEATH._replace(paper="居民身份证 110101194912310024"), "NOTE_PERSONAL"),
        (DEATH._replace(occurred_on=OPENS + timedelta(days=1)), "DAY_INVALID"),
        (DEATH._replace(occurred_on=OPENS.replace(year=2014)), "DAY_INVALID"),
        (DEATH._replace(values={"name": "x"}), "FIELD_INVALID"),
        (Telling("PHONE_CHANGED", OPENS, "form 1", {}), "FIELD_MISSING"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    ledger: Connection, own: Settings, card: UUID, telling: Telling, code: str
) -> None:
    with pytest.raises(Refused, match=code):
        tell_event(ledger, own, str(card), telling, "planner")
    assert list_told(ledger) == []


def test_an_unknown_card_has_no_events(ledger: Connection, own: Settings, card: UUID) -> None:
    with pytest.raises(Refused, match="CARD_UNKNOWN"):
        tell_event(ledger, own, "00000000-0000-0000-0000-000000000000", DEATH, "planner")


def test_an_event_of_whatever_source_is_annulled_with_a_paper(ledger: Connection, own: Settings, card: UUID) -> None:
    assert tell_by_partner(ledger, event_value("MSB", "E1", "DEATH", card))[0] is None
    annulment = Telling("ANNULLED", OPENS, "household register 3", {}, "MSB/E1")
    for wrong in (annulment._replace(annuls=None), DEATH._replace(annuls="MSB/E1")):
        with pytest.raises(Refused, match="ANNULS_MISSING"):
            tell(ledger, own, card, wrong)
    with pytest.raises(Refused, match="EVENT_NOT_FOUND"):
        tell(ledger, own, card, annulment._replace(annuls="MSB/E2"))
    tell(ledger, own, card, annulment)
    assert withdrawn(ledger, card) is None
    shown = show_card(ledger, str(card))["events"]
    assert [(one["source"], one["event"], one["annulled"], one["annuls"]) for one in shown] == [
        ("MSB", "DEATH", True, None), ("DESK", "ANNULLED", False, "MSB/E1"),
    ]  # fmt: skip
