"""Holder events that did not happen: what they began ends, what was cancelled for them is made again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from cohort_fixture import add_cohort
from findings_fixture import decide_on, decided, event_value, on, tell, to_outlet
from ledger_fixture import CITY, OPENS, item, make_cohort, merge, report, states
from waiting_fixture import COHORT, DAY, accept, begin_intake

from issuance.ledger.connection import Connection, set_business_day
from issuance.tracking.waiting_events import take_waiting


@pytest.fixture
def ref(ledger: Connection) -> UUID:
    """A card whose job was sent."""
    return make_cohort(ledger, 1)[0]


def death(ref: UUID | None, event_id: str = "E1", **values: Any) -> dict[str, Any]:
    return event_value("MSB", event_id, "DEATH", ref, **values)


def annulled(ref: UUID | None, of: str = "E1", source: str = "MSB", **values: Any) -> dict[str, Any]:
    named = {"annuls_source": source, "annuls_event_id": of}
    return event_value("MSB", f"not {of}", "ANNULLED", ref, **named, **values)


def die(ledger: Connection, ref: UUID, day: int) -> None:
    assert tell(ledger, death(ref))[0] is None
    decide_on(ledger, day)


def revive(ledger: Connection, ref: UUID, day: int) -> None:
    assert tell(ledger, annulled(ref))[0] is None
    decide_on(ledger, day)


def requests(ledger: Connection) -> list[tuple[str, str | None, str | None]]:
    return ledger.execute("SELECT kind, ending, why FROM request ORDER BY asked_on, kind, n").fetchall()


def remakes(ledger: Connection) -> list[tuple[int, str, str | None]]:
    return ledger.execute("SELECT made, ground, ending FROM remake ORDER BY made").fetchall()


def test_what_nobody_has_answered_is_void_and_the_plastic_goes_its_way(ledger: Connection, ref: UUID) -> None:
    die(ledger, ref, 2)
    assert requests(ledger) == [("CANCEL", None, None)]
    revive(ledger, ref, 3)
    assert requests(ledger) == [("CANCEL", "void", "GROUND_GONE")]
    merge(ledger, *to_outlet([ref], 4))
    decide_on(ledger, 9)
    assert (states(ledger)[ref], remakes(ledger)) == ("AT_PLACE", [])


def test_a_plastic_in_store_is_kept_if_its_social_security_stands(ledger: Connection, ref: UUID) -> None:
    merge(ledger, *to_outlet([ref]))
    die(ledger, ref, 6)
    assert requests(ledger) == [("CANCEL_SS", None, None)]
    revive(ledger, ref, 7)
    assert requests(ledger) == [("CANCEL_SS", "void", "GROUND_GONE")]
    assert (states(ledger)[ref], remakes(ledger)) == ("AT_PLACE", [])


def test_what_the_factory_has_stopped_by_then_is_made_again(ledger: Connection, ref: UUID) -> None:
    die(ledger, ref, 2)
    merge(ledger, report("F-ICBC", "stopped", [item("ITEM_REFUSED", ref, 3, reason="CANCELLED")]))
    decide_on(ledger, 4)
    assert states(ledger)[ref] == "CANCELLED_BEFORE_MAKING"
    revive(ledger, ref, 5)
    assert remakes(ledger) == [(2, "ANNULLED", "DONE")]
    assert states(ledger)[ref] == "PLANNED"


def test_what_was_cancelled_by_then_goes_its_order_beside_another_plastic(ledger: Connection, ref: UUID) -> None:
    merge(ledger, *to_outlet([ref]))
    die(ledger, ref, 6)
    merge(ledger, report("HRSS-BJ", "x", [item("SS_CANCELLED", ref, 7)]))
    decide_on(ledger, 8)
    revive(ledger, ref, 9)
    assert remakes(ledger) == [(2, "ANNULLED", None)]
    assert states(ledger)[ref] == "PLANNED"
    assert requests(ledger)[1] == ("CANCEL_ACCOUNT", "void", "ACCOUNT_KEPT"), "the new one lives on that account"
    assert requests(ledger)[2] == ("DESTROY", None, None)
    witnesses = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
    merge(ledger, report("ICBC", "d", [item("DESTROYED", ref, 10, actors=witnesses)]))
    decide_on(ledger, 11)
    assert remakes(ledger) == [(2, "ANNULLED", "DONE")]


@pytest.mark.parametrize("method", ["outlet", "mail"])
def test_what_was_destroyed_by_then_is_made_again(ledger: Connection, method: str) -> None:
    (ref,) = make_cohort(ledger, 1, method)
    merge(ledger, report("F-ICBC", "made", [item("MADE", ref, 1)]))
    die(ledger, ref, 2)
    merge(ledger, report("HRSS-BJ", "x", [item("SS_CANCELLED", ref, 3)]))
    merge(ledger, report("ICBC", "y", [item("ACCOUNT_CANCELLED", ref, 4)]))
    witnesses = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
    merge(ledger, report("F-ICBC", "d", [item("DESTROYED", ref, 5, actors=witnesses)]))
    decide_on(ledger, 6)
    revive(ledger, ref, 7)
    assert remakes(ledger) == [(2, "ANNULLED", "DONE")]


def test_what_was_spared_can_be_cancelled_for_another_reason(ledger: Connection, ref: UUID) -> None:
    merge(ledger, *to_outlet([ref]))
    die(ledger, ref, 6)
    revive(ledger, ref, 7)
    merge(ledger, report("ICBC", "no", [item("REFUSED_BY_HOLDER", ref, 8, reason="NAME_WRONG")]))
    decide_on(ledger, 9)
    assert requests(ledger) == [("CANCEL_SS", "void", "GROUND_GONE"), ("CANCEL_SS", None, None)]
    assert remakes(ledger) == [(2, "REFUSED_BY_HOLDER", None)]
    merge(ledger, report("HRSS-BJ", "x", [item("SS_CANCELLED", ref, 10)]))
    decide_on(ledger, 11)
    assert remakes(ledger) == [(2, "REFUSED_BY_HOLDER", None)]


def test_what_expires_later_is_not_made_again(ledger: Connection, ref: UUID) -> None:
    merge(ledger, *to_outlet([ref]))
    die(ledger, ref, 6)
    revive(ledger, ref, 7)
    expired = 6 + CITY.policy.keep_days
    decide_on(ledger, expired)
    merge(ledger, report("HRSS-BJ", "x", [item("SS_CANCELLED", ref, expired + 1)]), day=expired + 1)
    decide_on(ledger, expired + 2)
    assert (states(ledger)[ref], remakes(ledger)) == ("CANCELLED", [])


def test_another_event_that_stands_still_counts(ledger: Connection, ref: UUID) -> None:
    assert tell(ledger, event_value("MSB", "W", "WITHDRAWN", ref))[0] is None
    die(ledger, ref, 2)
    revive(ledger, ref, 3)
    assert ledger.execute("SELECT withdrawn FROM card").fetchone() == ("WITHDRAWN",)
    assert requests(ledger) == [("CANCEL", None, None)]


def test_a_death_after_a_mistaken_one_counts(ledger: Connection, ref: UUID) -> None:
    die(ledger, ref, 2)
    revive(ledger, ref, 3)
    assert tell(ledger, death(ref, "E2"))[0] is None
    decide_on(ledger, 4)
    assert requests(ledger) == [("CANCEL", "void", "GROUND_GONE"), ("CANCEL", None, None)]


def test_only_an_own_earlier_event_is_taken_back_and_once(ledger: Connection, ref: UUID) -> None:
    assert tell(ledger, annulled(ref))[0] == "EVENT_NOT_FOUND"
    die(ledger, ref, 2)
    assert tell(ledger, annulled(ref, source="SSB"))[0] == "NOT_YOURS"
    assert tell(ledger, annulled(ref, "E9"))[0] == "EVENT_NOT_FOUND"
    revive(ledger, ref, 3)
    revive(ledger, ref, 4)
    found = ledger.execute("SELECT event, annulled FROM holder_event ORDER BY event_no").fetchall()
    assert found == [("DEATH", True), ("ANNULLED", False)]
    not_that = annulled(ref) | {"event_id": "again", "annuls_event_id": "not E1"}
    assert tell(ledger, not_that)[0] == "EVENT_NOT_FOUND", "an annulment is final"


def test_a_death_and_its_annulment_wait_together(ledger: Connection) -> None:
    begin_intake(ledger)
    named = {"cohort_id": COHORT, "application_id": "A0"}
    assert tell(ledger, death(None, **named), day=DAY)[0] is None
    assert tell(ledger, annulled(None, **named), day=DAY)[0] is None
    accept(ledger)
    assert take_waiting(ledger, None, CITY) == 2  # type: ignore[arg-type]  # events without values need no settings
    decide_on(ledger, DAY)
    assert ledger.execute("SELECT withdrawn, state FROM card").fetchall() == [(None, "WAITING")]


def test_a_payment_that_was_none_holds_the_card_again(ledger: Connection) -> None:
    add_cohort(ledger, "unpaid", [("ICBC", OPENS)])
    set_business_day(ledger, on(2))
    ((ref,),) = ledger.execute("UPDATE card SET held = 'fee' RETURNING card_ref").fetchall()
    assert tell(ledger, event_value("MSB", "P", "FEE_PAID", ref))[0] is None
    decide_on(ledger, 2)
    assert states(ledger)[ref] == "WAITING"
    assert tell(ledger, annulled(ref, "P"))[0] is None
    decide_on(ledger, 3)
    assert states(ledger)[ref] == "HELD"
    assert decided(ledger, "REMAKE") == []
