"""Re-makes: every way in, what becomes of the old plastic, and every way out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from findings_fixture import HOLDER, decide_on, event_value, posted, tell, to_outlet
from ledger_fixture import CITIES, OPENS, POLICY, item, make_cohort, merge, on, report, states

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import open_requests
from issuance.tracking.by_hand import remake_card
from issuance.tracking.waiving import list_requests, waive_request
from issuance.wire.avro import decode_body
from issuance.words.lifecycle import GROUNDS

WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]


@pytest.fixture
def ref(ledger: Connection) -> UUID:
    (found,) = make_cohort(ledger, 1)
    ledger.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    return found


def remakes(connection: Connection) -> list[Any]:
    """Old and new attempt, ground and ending."""
    return connection.execute("SELECT attempt, made, ground, ending FROM remake ORDER BY 2").fetchall()


def cancelled(connection: Connection) -> list[Any]:
    """Attempt and reason of every plastic under a cancel order."""
    query = "SELECT attempt, reason FROM decision WHERE kind = 'CANCEL_PLASTIC' ORDER BY 1"
    return connection.execute(query).fetchall()


def requests(connection: Connection) -> list[Any]:
    """Attempt, kind, state and why of every request."""
    query = "SELECT attempt, kind, coalesce(ending, 'open'), why FROM request ORDER BY attempt, asked_on, kind, n"
    return connection.execute(query).fetchall()


def order_second(connection: Connection, ref: UUID) -> tuple[str, str]:
    """The second plastic is in a sent job of its own; returns its bank and factory."""
    bank, factory = connection.execute("SELECT bank, factory FROM plastic WHERE attempt = 2").fetchone() or ("", "")
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " VALUES ('J2', 1, 1, %s, %s, %s, %s, 1, hash_total(%s), true)",
        (bank, factory, on(30), OPENS, [ref]),
    )
    connection.execute("INSERT INTO job_item VALUES ('J2', 0, %s, 2)", (ref,))
    connection.execute("UPDATE plastic SET job_id = 'J2' WHERE attempt = 2")
    connection.execute(
        "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on)"
        " VALUES ('J2', 1, 1, 'o2', repeat('1', 64), %s, 'RSA-OAEP-256', %s, %s)",
        (factory, OPENS, OPENS),
    )
    return bank, factory


def take_second(connection: Connection, ref: UUID, day: int) -> None:
    """The second plastic is made and collected."""
    bank, factory = order_second(connection, ref)
    made = [item(what, ref, day, attempt=2) for what in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]
    merge(connection, report(factory, "second", made))
    merge(connection, report("HRSS-BJ", "second keyed", [item("SS_KEYED", ref, day, attempt=2)]))
    place = {"handover_id": "H2", "handover_count": 1, "to_place": f"{bank}-001"}
    merge(connection, report(factory, "second given", [item("HANDED_OVER", ref, day, attempt=2)], **place))
    merge(connection, report(bank, "second here", [item("RECEIVED_AT_PLACE", ref, day, attempt=2)], **place))
    taken = item("COLLECTED", ref, day + 1, attempt=2, place=f"{bank}-001", actors=HOLDER)
    merge(connection, report(bank, "second taken", [taken]))


def settle_old(connection: Connection, ref: UUID, day: int) -> None:
    """The old plastic's cancel order is carried out."""
    for n, (partner, milestone) in enumerate((("HRSS-BJ", "SS_CANCELLED"), ("ICBC", "DESTROYED"))):
        merge(connection, report(partner, milestone, [item(milestone, ref, day + n, actors=WITNESSES)]))
        decide_on(connection, day + n)


def spoiled(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "s", [item("SPOILED", ref, 3, reason="CHIP_FAULT")]))


def refused(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "r", [item("ITEM_REFUSED", ref, 3, reason="PHOTO_UNUSABLE")]))


def destroyed(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "m", [item("MADE", ref, 2), item("DESTROYED", ref, 3, actors=WITNESSES)]))


def at_outlet(connection: Connection, ref: UUID) -> None:
    merge(connection, *to_outlet([ref]))
    decide_on(connection, 6)


def missing(connection: Connection, ref: UUID) -> None:
    merge(connection, *to_outlet([ref])[:-1])
    decide_on(connection, 6)
    remake_card(connection, str(ref), "LOST_IN_HANDOVER", "searched", "planner", on(6))


def damaged(connection: Connection, ref: UUID) -> None:
    at_outlet(connection, ref)
    remake_card(connection, str(ref), "DAMAGED", "flood", "planner", on(6))


def refused_by_holder(connection: Connection, ref: UUID) -> None:
    at_outlet(connection, ref)
    merge(connection, report("ICBC", "n", [item("REFUSED_BY_HOLDER", ref, 7, reason="NAME_WRONG")]))


def switched(connection: Connection, ref: UUID) -> None:
    at_outlet(connection, ref)
    connection.execute(
        "INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at, terms)"
        " VALUES ('HRSS-BJ', 'E1', '', 'BANK_SWITCHED', %s, %s, '{\"bank\": \"ABC\"}')",
        (ref, on(7)),
    )
    connection.execute("INSERT INTO changed_card VALUES (%s)", (ref,))


WAYS = {
    # ground: (how it comes about, why the old plastic is cancelled before the new one is taken, and after it)
    "SPOILED": (spoiled, None, None),
    "REFUSED": (refused, None, None),
    "DESTROYED": (destroyed, None, None),
    "MISSING": (missing, None, "REPLACED"),
    "DAMAGED": (damaged, "DAMAGED", "DAMAGED"),
    "REFUSED_BY_HOLDER": (refused_by_holder, "REFUSED_BY_HOLDER", "REFUSED_BY_HOLDER"),
    "BANK_SWITCHED": (switched, None, "REPLACED"),
}
"""Letters: tests/ledger/test_findings_ledger_ledger.py; changes and moves: tests/stack."""


@pytest.mark.parametrize("ground", WAYS)
def test_a_ground_begins_a_remake_and_says_when_the_old_plastic_is_cancelled(
    ledger: Connection, ref: UUID, ground: str
) -> None:
    begin, before, after = WAYS[ground]
    begin(ledger, ref)
    decide_on(ledger, 8)
    ending = "DONE" if before is after is None else None
    assert remakes(ledger) == [(1, 2, ground, ending)]
    assert cancelled(ledger) == ([(1, before)] if before else [])
    assert states(ledger)[ref] == "PLANNED"
    take_second(ledger, ref, 20)
    decide_on(ledger, 22)
    assert cancelled(ledger) == ([(1, after)] if after else [])
    assert states(ledger)[ref] == "COLLECTED"
    assert ledger.execute("SELECT kind FROM break WHERE kind = 'TWO_PLASTICS'").fetchall() == []
    if after:
        settle_old(ledger, ref, 25)
    if after and ground == "BANK_SWITCHED":  # the account at the former bank
        merge(ledger, report("ICBC", "account", [item("ACCOUNT_CANCELLED", ref, 28)]))
        decide_on(ledger, 28)
    assert remakes(ledger) == [(1, 2, ground, "DONE")]
    assert [entry for entry in verify_ledger(ledger, CITIES) if entry.startswith("card")] == []


def test_every_ground_is_tried_somewhere() -> None:
    assert set(WAYS) | {"LOST", "PRESUMED_LOST", "CHANGED", "REASSIGNED", "ANNULLED"} == set(GROUNDS)


@pytest.mark.parametrize("ordered", [False, True], ids=["not ordered", "ordered"])
@pytest.mark.parametrize("made", [False, True], ids=["not made", "made"])
def test_what_turns_up_ends_the_remake_by_how_far_the_new_plastic_is(
    ledger: Connection, ref: UUID, ordered: bool, made: bool
) -> None:
    missing(ledger, ref)
    decide_on(ledger, 7)
    if ordered or made:
        order_second(ledger, ref)
    if made:
        merge(ledger, report("F-ICBC", "second", [item("MADE", ref, 8, attempt=2)]))
    decide_on(ledger, 8)
    merge(ledger, to_outlet([ref])[-1])
    decide_on(ledger, 9)
    assert remakes(ledger) == [(1, 2, "MISSING", "FOUND")]
    assert cancelled(ledger) == [(2, "FOUND")]
    assert states(ledger)[ref] == "AT_PLACE"
    asked = "CANCEL_SS" if made else "CANCEL" if ordered else None
    assert [kind for _, kind, *_ in requests(ledger)] == ([asked] if asked else [])
    assert ledger.execute("SELECT kind FROM break WHERE kind = 'TWO_PLASTICS'").fetchall() == []


def test_what_turns_up_after_the_new_one_was_taken_is_against_the_decision(ledger: Connection, ref: UUID) -> None:
    missing(ledger, ref)
    decide_on(ledger, 7)
    take_second(ledger, ref, 20)
    decide_on(ledger, 22)
    assert cancelled(ledger) == [(1, "REPLACED")]
    merge(ledger, to_outlet([ref])[-1])
    merge(ledger, report("ICBC", "late", [item("COLLECTED", ref, 23, place="ICBC-001", actors=HOLDER)]))
    decide_on(ledger, 24)
    assert ("AGAINST_DECISION",) in ledger.execute("SELECT kind FROM break WHERE closed_on IS NULL").fetchall()
    assert ledger.execute("SELECT effective FROM card").fetchone() == (2,)


def test_a_withdrawn_card_ends_its_remake_and_cancels_both(ledger: Connection, ref: UUID) -> None:
    refused_by_holder(ledger, ref)
    decide_on(ledger, 8)
    assert tell(ledger, event_value("MSB", "E9", "WITHDRAWN", ref))[0] is None
    decide_on(ledger, 9)
    assert [ending for *_, ending in remakes(ledger)] == ["WITHDRAWN"]
    assert {attempt for attempt, _ in cancelled(ledger)} == {1, 2}


def test_a_letter_presumed_lost_that_is_the_only_one_is_re_made_by_a_person(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    posted(ledger, [ref])
    decide_on(ledger, 5 + POLICY.lost_after_days)
    assert remakes(ledger) == []
    remake_card(ledger, str(ref), "LOST_IN_MAIL", "the carrier knows nothing", "planner", on(21))
    decide_on(ledger, 21)
    assert remakes(ledger) == [(1, 2, "PRESUMED_LOST", None)]
    assert cancelled(ledger) == []


# Requests: answered, void, waived


def expired(connection: Connection, ref: UUID) -> None:
    merge(connection, *to_outlet([ref]))
    decide_on(connection, 6)
    decide_on(connection, 5 + POLICY.keep_days)


def test_a_waived_step_voids_the_later_ones_and_the_card_ends_unproven(ledger: Connection, ref: UUID) -> None:
    expired(ledger, ref)
    assert requests(ledger) == [(1, "CANCEL_SS", "open", None)]
    (listed,) = list_requests(ledger, "test-1")
    assert (listed["kind"], listed["partner"], listed["late"]) == ("CANCEL_SS", "HRSS-BJ", False)
    with pytest.raises(Refused, match="NOTE_MISSING"):
        waive_request(ledger, str(ref), 1, "CANCEL_SS", " ", "planner")
    with pytest.raises(Refused, match="REQUEST_UNKNOWN"):
        waive_request(ledger, str(ref), 1, "DESTROY", "n", "planner")
    waive_request(ledger, str(ref), 1, "CANCEL_SS", "HRSS has no such card", "planner")
    decide_on(ledger, 6 + POLICY.keep_days)
    assert requests(ledger) == [(1, "CANCEL_SS", "waived", "HRSS has no such card")]
    assert states(ledger)[ref] == "CANCELLED_UNPROVEN"
    assert open_requests(ledger, 1) == []
    told = ledger.execute("SELECT body FROM outbox WHERE ce_id LIKE '%/WITHDRAWN_REQUEST/%'").fetchall()
    (value,) = [decode_body("partner_notice", bytes(body)) for (body,) in told]
    assert (value["partner"], [one["card_ref"] for one in value["plastics"]]) == ("HRSS-BJ", [str(ref)])


def test_a_bankrupt_factorys_cancel_is_waived_and_the_card_ends(ledger: Connection, ref: UUID) -> None:
    decide_on(ledger, 1)
    assert tell(ledger, event_value("MSB", "E1", "WITHDRAWN", ref))[0] is None
    decide_on(ledger, 2)
    assert requests(ledger) == [(1, "CANCEL", "open", None)]
    waive_request(ledger, str(ref), 1, "CANCEL", "bankrupt", "planner")
    decide_on(ledger, 3)
    assert states(ledger)[ref] == "CANCELLED_UNPROVEN"
    assert open_requests(ledger, 1) == []


def test_an_account_is_cancelled_once_a_bank_and_kept_while_another_plastic_lives(
    ledger: Connection, ref: UUID
) -> None:
    damaged(ledger, ref)
    decide_on(ledger, 7)
    settle_old(ledger, ref, 9)
    assert [kind for _, kind, *_ in requests(ledger)] == ["CANCEL_SS", "DESTROY"], "the second plastic lives there"
    assert tell(ledger, event_value("MSB", "E1", "DEATH", ref))[0] is None
    order_second(ledger, ref)
    merge(ledger, report("F-ICBC", "second", [item("MADE", ref, 12, attempt=2)]))
    decide_on(ledger, 13)
    merge(ledger, report("HRSS-BJ", "ss2", [item("SS_CANCELLED", ref, 14, attempt=2)]))
    decide_on(ledger, 15)
    assert [entry[:2] for entry in requests(ledger) if entry[1] == "CANCEL_ACCOUNT"] == [(2, "CANCEL_ACCOUNT")]


def test_what_has_no_keeper_is_asked_for_when_it_gets_one(ledger: Connection, ref: UUID) -> None:
    missing(ledger, ref)
    decide_on(ledger, 7)
    take_second(ledger, ref, 20)
    decide_on(ledger, 22)
    merge(ledger, report("HRSS-BJ", "ss", [item("SS_CANCELLED", ref, 23)]))
    decide_on(ledger, 24)
    assert [kind for _, kind, *_ in requests(ledger)] == ["CANCEL_SS"], "nobody has it"
    assert [ending for *_, ending in remakes(ledger)] == ["DONE"]
    merge(ledger, to_outlet([ref])[-1])
    decide_on(ledger, 26)
    assert [kind for _, kind, *_ in requests(ledger)] == ["CANCEL_SS", "DESTROY"]


def test_an_uncollected_plastic_under_a_loss_report_is_held_until_it_lapses(ledger: Connection, ref: UUID) -> None:
    at_outlet(ledger, ref)
    merge(ledger, report("HRSS-BJ", "l", [item("LOSS_REPORTED_TEMPORARY", ref, 8)]))
    decide_on(ledger, 9)
    assert requests(ledger) == [(1, "HOLD", "open", None)]
    assert open_requests(ledger, 1) == [], "it has no answer, and holds no cohort"
    ledger.execute("INSERT INTO changed_card VALUES (%s)", (ref,))
    decide_on(ledger, 9 + POLICY.temporary_loss_days)
    assert requests(ledger) == [(1, "HOLD", "void", "GROUND_GONE")]


def test_an_account_is_closed_when_social_security_of_every_plastic_on_it_is(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    posted(ledger, [ref])
    merge(ledger, report("EMS", "lost", [item("LOST", None, 8, tracking_no="T0")]))
    decide_on(ledger, 8)
    order_second(ledger, ref)
    merge(ledger, report("F-ICBC", "m2", [item(what, ref, 9, attempt=2) for what in ("ITEM_ACCEPTED", "MADE")]))
    merge(ledger, report("EMS", "found", [item("DELIVERED", None, 10, tracking_no="T0")]))
    decide_on(ledger, 10)
    assert tell(ledger, event_value("MSB", "E1", "DEATH", ref))[0] is None
    decide_on(ledger, 11)
    merge(ledger, report("HRSS-BJ", "x2", [item("SS_CANCELLED", ref, 12, attempt=2)]))
    decide_on(ledger, 13)
    asked = "SELECT attempt, kind FROM request WHERE kind = 'CANCEL_ACCOUNT'"
    assert ledger.execute(asked).fetchall() == [], "plastic 1 lives on it until its social security is cancelled"
    merge(ledger, report("HRSS-BJ", "x1", [item("SS_CANCELLED", ref, 14)]))
    decide_on(ledger, 15)
    assert ledger.execute(asked).fetchall() == [(2, "CANCEL_ACCOUNT")]
