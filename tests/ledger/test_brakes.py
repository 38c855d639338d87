"""Brakes: what does harm in numbers waits for a person; what is within the share, or below 20, does not."""

from __future__ import annotations

from typing import Any

import pytest
from findings_fixture import decide_on, posted, to_outlet
from ledger_fixture import POLICY, item, make_cohort, merge, on, report

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.tracking.brakes import FEW, decide_brake, list_brakes
from issuance.tracking.feeds import watch_feeds

from ledger_fixture import CITY  # isort: skip

EXPIRES = 5 + POLICY.keep_days


def cohort(connection: Connection, cards: int, method: str = "outlet") -> list[Any]:
    refs = make_cohort(connection, cards, method)
    connection.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    return refs


def decided(connection: Connection, kind: str) -> int:
    of = "remake WHERE decided_by <> %s" if kind == "REMAKE" else "decision WHERE kind = %s"
    (count,) = connection.execute(f"SELECT count(*) FROM {of}", (kind,)).fetchone() or (0,)
    return int(count)


def standing(connection: Connection) -> list[Any]:
    query = "SELECT kind, carrier, due, of FROM brake WHERE decided_on IS NULL ORDER BY 1, 2"
    return connection.execute(query).fetchall()


@pytest.mark.parametrize(("cards", "braked"), [(FEW - 1, False), (FEW, True)])
def test_too_many_that_expire_at_once_wait_for_a_person(ledger: Connection, cards: int, braked: bool) -> None:
    merge(ledger, *to_outlet(cohort(ledger, cards)))
    decide_on(ledger, 6)
    decide_on(ledger, EXPIRES)
    assert standing(ledger) == ([("EXPIRY", "", cards, cards)] if braked else [])
    assert decided(ledger, "CANCEL_PLASTIC") == (0 if braked else cards)
    decide_on(ledger, EXPIRES + 1)
    assert decided(ledger, "CANCEL_PLASTIC") == (0 if braked else cards), "and it waits on"


def test_within_the_share_all_is_decided(ledger: Connection) -> None:
    refs = cohort(ledger, 220)
    merge(ledger, *to_outlet(refs[:21]))
    late = {"handover_id": "H9", "handover_count": 199, "to_place": "ICBC-001"}
    made = [item("MADE", ref, 20) for ref in refs[21:]]
    given = [item("HANDED_OVER", ref, 30) for ref in refs[21:]]
    merge(ledger, report("F-ICBC", "later", made), report("F-ICBC", "given", given, **late))
    merge(ledger, report("ICBC", "here", [item("RECEIVED_AT_PLACE", ref, 31) for ref in refs[21:]], **late))
    decide_on(ledger, 32)
    decide_on(ledger, EXPIRES)
    assert standing(ledger) == []
    assert decided(ledger, "CANCEL_PLASTIC") == 21


def test_a_person_lets_it_go_on_or_keeps_it_for_the_day(ledger: Connection) -> None:
    merge(ledger, *to_outlet(cohort(ledger, FEW)))
    decide_on(ledger, 6)
    decide_on(ledger, EXPIRES)
    (brake,) = list_brakes(ledger)
    with pytest.raises(Refused, match="NOTE_MISSING"):
        decide_brake(ledger, brake["brake_no"], True, "", "planner")
    decide_brake(ledger, brake["brake_no"], False, "ask the bank first", "planner")
    with pytest.raises(Refused, match="BRAKE_DECIDED"):
        decide_brake(ledger, brake["brake_no"], True, "n", "planner")
    ledger.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    decide_on(ledger, EXPIRES)
    assert decided(ledger, "CANCEL_PLASTIC") == 0
    decide_on(ledger, EXPIRES + 1)
    (again,) = [one for one in list_brakes(ledger) if one["decided_on"] is None]
    decide_brake(ledger, again["brake_no"], True, "nobody came", "planner")
    decide_on(ledger, EXPIRES + 1)
    assert decided(ledger, "CANCEL_PLASTIC") == FEW
    acts = ledger.execute("SELECT act, details ->> 'goes_on' FROM audit ORDER BY number").fetchall()
    assert acts == [("decide brake", "false"), ("decide brake", "true")]


def test_a_mass_of_spoiled_plastics_is_not_re_made_unseen(ledger: Connection) -> None:
    refs = cohort(ledger, 3 * FEW)
    merge(ledger, report("F-ICBC", "s", [item("SPOILED", ref, 3, reason="CHIP_FAULT") for ref in refs[:FEW]]))
    decide_on(ledger, 4)
    assert standing(ledger) == [("REMAKE", "", FEW, 3 * FEW)]
    assert decided(ledger, "REMAKE") == 0
    (brake,) = list_brakes(ledger)
    decide_brake(ledger, brake["brake_no"], True, "a bad batch of chips", "planner")
    decide_on(ledger, 4)
    assert decided(ledger, "REMAKE") == FEW


def test_letters_of_one_carrier_are_braked_and_a_silent_feed_is_one_break(ledger: Connection) -> None:
    refs = cohort(ledger, 2 * FEW, "mail")
    posted(ledger, refs)
    days = POLICY.lost_after_days
    decide_on(ledger, 6)
    decide_on(ledger, 5 + days)
    assert decided(ledger, "REMAKE") == 0, "the whole feed is silent"
    watch_feeds(ledger, CITY, on(5 + days))
    kinds = ledger.execute(
        "SELECT kind, reference FROM break WHERE closed_on IS NULL AND kind LIKE '%SILENT'"
    ).fetchall()
    assert kinds == [("FEED_SILENT", "EMS")], "one for the carrier, none a letter"
    merge(ledger, report("EMS", "news", [item("IN_TRANSIT", None, 5 + days, tracking_no=f"T{n}") for n in range(FEW)]))
    decide_on(ledger, 6 + days)
    watch_feeds(ledger, CITY, on(6 + days))
    assert [(kind, carrier) for kind, carrier, *_ in standing(ledger)] == [("LOSS", "EMS")]
    assert decided(ledger, "REMAKE") == 0
    (brake,) = [one for one in list_brakes(ledger) if one["decided_on"] is None]
    decide_brake(ledger, brake["brake_no"], True, "the carrier lost a van", "planner")
    decide_on(ledger, 6 + days)
    assert decided(ledger, "REMAKE") == FEW
    assert decided(ledger, "CANCEL_PLASTIC") == 0
