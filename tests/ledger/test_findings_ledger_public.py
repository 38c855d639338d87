"""Cases that others have met, in reports, statements and letters: the right outcome of each."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from findings_fixture import (
    codes_of,
    decide_on,
    decided,
    event_value,
    on,
    state_list,
    statement_value,
    tell,
    to_outlet,
)
from ledger_fixture import OPENS, item, make_cohort, merge, report, states

from issuance.clock import instant_on
from issuance.ledger.connection import Connection
from issuance.wire.outbox import write_outbox
from issuance.wire.refusals import Message, refuse_message

SECONDS = datetime.fromtimestamp(1_760_000, UTC)
"""What 1760000000 means where seconds are sent as milliseconds: January 1970."""
LAST_YEAR = datetime(2024, 10, 9, tzinfo=UTC)


@pytest.mark.parametrize("when", [SECONDS, LAST_YEAR], ids=["seconds", "last year"])
def test_a_receipt_long_before_the_order_is_refused_and_decides_nothing(ledger: Connection, when: datetime) -> None:
    (ref,) = make_cohort(ledger, 1)
    *before, receipt = to_outlet([ref])
    merge(ledger, *before)
    receipt.value["items"][0]["occurred_at"] = when
    codes = codes_of(merge(ledger, receipt))
    decide_on(ledger, 8)
    assert (codes, decided(ledger, "CANCEL_PLASTIC")) == (["BEFORE_ORDER"], [])


@pytest.mark.parametrize("when", [SECONDS, LAST_YEAR], ids=["seconds", "last year"])
def test_a_posting_long_before_the_order_is_refused_and_decides_nothing(ledger: Connection, when: datetime) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    merge(ledger, report("F-ICBC", "h", [item("HANDED_OVER", ref, 4, tracking_no="T0")], to_place="EMS"))
    posting = item("POSTED", None, 5, tracking_no="T0", occurred_at=when)
    codes = codes_of(merge(ledger, report("EMS", "p", [posting])))
    decide_on(ledger, 8)
    assert (codes, decided(ledger, "REMAKE")) == (["BEFORE_ORDER"], [])


@pytest.mark.parametrize(
    "field",
    ["event_id", "application_id"],
)
def test_a_nul_character_in_a_holder_event_refuses_it(ledger: Connection, field: str) -> None:
    (ref,) = make_cohort(ledger, 1)
    refusal, _ = tell(ledger, event_value("MSB", "E1", "DEATH", ref) | {field: "a\0"})
    assert refusal == "FIELD_INVALID"


def test_a_nul_character_in_a_statement_refuses_it(ledger: Connection) -> None:
    refs = make_cohort(ledger, 1)
    assert state_list(ledger, statement_value(refs, statement_id="a\0")) == ["FIELD_INVALID"]


def test_a_refused_message_whose_header_has_no_value_is_dead_lettered(ledger: Connection) -> None:
    headers: Any = (("traceparent", None),)
    message = Message("issuance.production.F-ICBC.v1", 0, 7, "F-ICBC", b"k", b"poison", headers, None)
    assert write_outbox(ledger, refuse_message(ledger, message, "UNDECODABLE", OPENS), OPENS) == 2


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P18 a hand-over with both names is lost to its letter")
def test_a_hand_over_that_names_a_letter_too_is_matched_to_it_or_refused(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    made = [item(what, ref, 2) for what in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]
    both = item("HANDED_OVER", ref, 4, tracking_no="T9")
    given = report("F-ICBC", "g", [both], handover_id="H1", handover_count=1, to_place="EMS")
    merge(ledger, report("F-ICBC", "made", made))
    refused = codes_of(merge(ledger, given))
    merge(ledger, report("EMS", "x", [item("POSTED", None, 5, tracking_no="T9")]))
    merge(ledger, report("EMS", "y", [item("DELIVERED", None, 7, tracking_no="T9")]))
    decide_on(ledger, 8)
    assert refused or states(ledger)[ref] == "COLLECTED"


def test_a_statement_dated_in_the_future_is_refused(ledger: Connection) -> None:
    refs = make_cohort(ledger, 1)
    assert state_list(ledger, statement_value(refs, business_day=on(400))) != [None]


@pytest.mark.parametrize(
    ("business_day", "hour", "taken"),
    [
        pytest.param(on(8), 20, True, id="the day of as_of"),
        pytest.param(on(7), 2, True, id="the day before, in the morning"),
        pytest.param(on(7), 13, False, id="the day before, after noon"),
        pytest.param(on(6), 2, False, id="two days before"),
        pytest.param(on(9), 20, False, id="the day after"),
    ],
)
def test_the_business_day_of_a_statement_is_that_of_its_cut_off(
    ledger: Connection, business_day: date, hour: int, taken: bool
) -> None:
    refs = make_cohort(ledger, 1)
    value = statement_value(refs, business_day=business_day, as_of=instant_on(on(8), hour))
    assert (state_list(ledger, value, day=9) == [None]) == taken
