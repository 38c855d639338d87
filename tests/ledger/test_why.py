"""`issuance card why`: which rules hold for a card, before and after they are recorded; asking changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ledger_fixture import CITIES, OPENS, POLICY, decide_all, item, make_cohort, merge, report

from issuance.errors import Refused
from issuance.ledger.connection import Connection, set_business_day
from issuance.proof.digest import ledger_digest
from issuance.tracking.why import explain_card


def test_a_letter_without_news_is_made_again_and_the_reason_is_named(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    letter = [item("HANDED_OVER", ref, 4, tracking_no="1234567890123")]
    merge(ledger, report("F-ICBC", "l", [item("MADE", ref, 2)]))
    merge(ledger, report("F-ICBC", "h", letter, to_place="EMS", handover_count=1))
    merge(ledger, report("EMS", "p", [item("POSTED", None, 5, tracking_no="1234567890123")]))
    other = [item("IN_TRANSIT", None, 5 + POLICY.lost_after_days, tracking_no="1234567890124")]
    merge(ledger, report("EMS", "of another letter", other))
    set_business_day(ledger, OPENS + timedelta(days=5 + POLICY.lost_after_days))
    found = explain_card(ledger, CITIES, str(ref))
    (plastic,) = found["plastics"]
    assert (plastic["state"], plastic["because"]) == ("POSTED", "c_posted IS NOT NULL")
    (remake,) = [row for row in found["decisions"] if row["rule"] == "REMAKE"]
    assert (remake["attempt"], remake["reason"], remake["recorded_on"]) == (1, "PRESUMED_LOST", None)
    assert "OUT_OF_ORDER" in {row["rule"] for row in found["breaks"]}, "handed over and never keyed"


def test_asking_changes_nothing_and_what_is_recorded_is_shown_with_its_day(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    merge(ledger, report("F-ICBC", "s", [item("SPOILED", ref, 3, reason="CHIP_FAULT")]))
    day = OPENS + timedelta(days=4)
    set_business_day(ledger, day)
    before = ledger_digest(ledger)
    first = explain_card(ledger, CITIES, str(ref))
    assert (ledger_digest(ledger), explain_card(ledger, CITIES, str(ref))) == (before, first)
    assert first["card"]["kept_state"] == "WAITING"
    assert first["card"]["state"] == "SPOILED"
    decide_all(ledger)
    recorded = [row for row in explain_card(ledger, CITIES, str(ref))["decisions"] if row["rule"] == "NOTICE"]
    assert {row["recorded_on"] for row in recorded} == {day}


def test_an_unknown_card_is_refused(ledger: Connection) -> None:
    with pytest.raises(Refused, match="CARD_UNKNOWN"):
        explain_card(ledger, CITIES, "00000000-0000-0000-0000-000000000000")
