"""Holder events of applications still in intake: they wait, act on the card, or on a duplicate's, or are refused."""

from __future__ import annotations

from typing import Any

import pytest
from findings_fixture import decide_on, event_value, on, tell
from ledger_fixture import CITY, POLICY
from waiting_fixture import COHORT, DAY, accept, begin_intake, duplicate

from issuance.ledger.connection import Connection, set_business_day
from issuance.tracking.waiting_events import take_waiting
from issuance.wire.avro import decode_body
from issuance.words.references import card_ref_of


@pytest.fixture
def intake(ledger: Connection) -> Connection:
    """A cohort whose submission is not decided yet, in which a death was told of application A0."""
    begin_intake(ledger)
    assert tell(ledger, death(), day=DAY)[0] is None
    return ledger


def death(**values: Any) -> dict[str, Any]:
    return event_value("MSB", "E1", "DEATH", None, cohort_id=COHORT, application_id="A0") | values


def take(connection: Connection) -> int:
    return take_waiting(connection, None, CITY)  # type: ignore[arg-type]  # events without values need no settings


def waiting(connection: Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM waiting_event").fetchone() or (0,)
    return int(count)


def test_it_acts_when_its_application_is_accepted(intake: Connection) -> None:
    assert take(intake) == 0
    assert waiting(intake) == 1
    accept(intake)
    assert take(intake) == 1
    decide_on(intake, DAY)
    assert intake.execute("SELECT withdrawn, state FROM card").fetchall() == [("DEATH", "CANCELLED_BEFORE_MAKING")]
    assert (waiting(intake), take(intake)) == (0, 0)
    assert tell(intake, death(), day=DAY)[0] is None, "the same again is once"
    assert intake.execute("SELECT count(*) FROM holder_event").fetchone() == (1,)


def test_the_same_again_is_once_and_another_under_its_id_is_refused(intake: Connection) -> None:
    assert tell(intake, death(), day=DAY)[0] is None
    assert tell(intake, death(event="WITHDRAWN"), day=DAY)[0] == "ID_REUSED"
    assert waiting(intake) == 1


def test_a_duplicates_event_goes_to_the_accepted_card(intake: Connection) -> None:
    first = duplicate(intake)
    assert take(intake) == 1
    assert intake.execute("SELECT card_ref, event FROM holder_event").fetchall() == [(first, "DEATH")]


def test_what_waits_too_long_is_refused_to_its_source_with_a_break(intake: Connection) -> None:
    set_business_day(intake, on(DAY + POLICY.event_days))
    assert take(intake) == 0
    set_business_day(intake, on(DAY + POLICY.event_days + 1))
    assert take(intake) == 1
    assert waiting(intake) == 0
    assert intake.execute("SELECT kind, reference, answers_for FROM break WHERE closed_on IS NULL").fetchall() == [
        ("EVENT_UNMATCHED", "MSB/E1", "MSB")
    ]
    bodies = intake.execute("SELECT body FROM outbox WHERE record = 'partner_notice'").fetchall()
    (value,) = [decode_body("partner_notice", bytes(body)) for (body,) in bodies]
    assert (value["partner"], value["kind"], value["report_id"]) == ("MSB", "ITEM_REFUSED", "E1")
    assert [one["code"] for one in value["refusals"]] == ["CARD_UNKNOWN"]


def test_an_event_that_names_a_card_that_is_none_is_refused(ledger: Connection) -> None:
    begin_intake(ledger)
    value = event_value("MSB", "E1", "DEATH", card_ref_of(COHORT, "nobody"))
    assert tell(ledger, value, day=DAY)[0] == "CARD_UNKNOWN"
