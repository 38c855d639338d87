"""Wire, ledger, tracking and reconciliation: the right outcome of each finding; marks name what is to be mended."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cohort_fixture import add_cohort, empty
from findings_fixture import (
    HOLDER,
    apply,
    codes_of,
    decide_on,
    decided,
    event_value,
    finish,
    on,
    open_kinds,
    posted,
    settings_of,
    state_list,
    statement_value,
    tell,
    to_outlet,
    wire_value,
)
from ledger_fixture import (
    CITIES,
    CITY,
    COHORT,
    OPENS,
    POLICY,
    REGISTRY,
    custody_breaks,
    item,
    make_cohort,
    merge,
    report,
    states,
    tamper,
)

from issuance.breaks.resolve import resolve_break
from issuance.dispatch.job_acts import reassign_job
from issuance.dispatch.release import refuse_wave
from issuance.dispatch.remake import plan_remakes
from issuance.ledger.audit import audit, verify_audit
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.passes import run_clocks
from issuance.proof.rebuild import rebuild_ledger
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import ClosingStatement, close_cohorts, close_statement, open_requests
from issuance.reconcile.statements import ask_missing_chunks
from issuance.settings import Settings
from issuance.tracking.decide import decide
from issuance.tracking.gaps import watch_gaps
from issuance.tracking.job_answers import watch_jobs
from issuance.wire.avro import decode_body
from issuance.wire.outbox import write_outbox
from issuance.words.lifecycle import ENDED_STATES
from issuance.words.references import card_ref_of

DAYS = POLICY.lost_after_days
LONG = "".join(random.Random(1).choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=5000))
"""An id of thousands of characters that does not pack."""


@pytest.fixture
def own(ledger_url: str) -> Iterator[Settings]:
    """Settings of this module's ledger, empty before and after: for what commits by itself."""
    empty(ledger_url)
    yield settings_of(ledger_url)
    empty(ledger_url)


# L1, L2: no value stops a stage or the clocks

ONE = {"kind": "JOB", "job_id": "J1"}
PLACE = {"handover_id": "H1", "handover_count": 1, "to_place": "ICBC-001"}


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(head, id=name)
        for name, head in (
            ("NUL in report_id", {"report_id": "a\0"}),
            ("NUL in stream", {"stream": "a\0"}),
            ("NUL in handover_id", PLACE | {"handover_id": "a\0"}),
            ("NUL in job_id", ONE | {"job_id": "a\0"}),
            ("sequence past 63 bits", {"sequence": 2**63 - 1}),
            ("sequence -1 (L2)", {"sequence": -1}),
            ("long report_id", {"report_id": LONG}),
            ("long stream", {"stream": LONG}),
            ("long handover_id", PLACE | {"handover_id": LONG}),
        )
    ],
)
def test_a_head_outside_its_bounds_refuses_its_report_and_no_other(ledger: Connection, head: dict[str, Any]) -> None:
    (ref,) = make_cohort(ledger, 1)
    what = "JOB_ACCEPTED" if "job_id" in head else "HANDED_OVER" if "handover_id" in head else "MADE"
    bad = wire_value("F-ICBC", "bad", [item(what, None if "job_id" in head else ref, 2)]) | head
    good = wire_value("HRSS-BJ", "good", [item("SS_KEYED", ref, 2)])
    assert [outcome.refusal for outcome in apply(ledger, bad, good)] == ["FIELD_INVALID", None]


@pytest.mark.parametrize(
    ("partner", "sent", "head"),
    [
        pytest.param(partner, sent, head, id=name)
        for name, partner, sent, head in (
            ("long tracking_no", "EMS", item("POSTED", None, 5, tracking_no=LONG), {}),
            ("attempt of a foreign job", "F-ABC", item("JOB_ACCEPTED", None, 2) | {"attempt": 99_999}, ONE),
            ("attempt below zero of a foreign job", "F-ABC", item("JOB_ACCEPTED", None, 2) | {"attempt": -99_999}, ONE),
            ("year 1", "EMS", item("RETURNED", None, 5, tracking_no="T1", reason="MOVED",
                                   occurred_at=datetime(1, 1, 2, tzinfo=UTC)), {}),
        )
    ],
)  # fmt: skip
def test_an_item_outside_its_bounds_is_refused_and_stops_nothing(
    ledger: Connection, partner: str, sent: dict[str, Any], head: dict[str, Any]
) -> None:
    (ref,) = make_cohort(ledger, 1)
    bad = wire_value(partner, "bad", [sent], **head)
    good = wire_value("HRSS-BJ", "good", [item("SS_KEYED", ref, 2)])
    assert [(o.refusal, o.refused) for o in apply(ledger, bad, good)] == [(None, 1), (None, 0)]


def test_a_statement_with_an_attempt_outside_its_bounds_is_refused(ledger: Connection) -> None:
    refs = make_cohort(ledger, 1)
    bad = statement_value(refs, items=[{"card_ref": str(refs[0]), "attempt": 100_000}])
    assert state_list(ledger, bad, statement_value(refs, statement_id="S2", revision=2)) == ["FIELD_INVALID", None]


def test_a_nul_character_in_a_place_never_enters_the_ledger(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    assert codes_of(merge(ledger, report("F-ICBC", "m", [item("MADE", ref, 2, place="a\0")]))) == ["FIELD_INVALID"]


def test_a_letter_of_year_1_leaves_the_passes_running(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    posted(ledger, [ref])
    old = item("RETURNED", None, 8, tracking_no="T0", reason="MOVED", occurred_at=datetime(1, 1, 2, tzinfo=UTC))
    merge(ledger, report("EMS", "r", [old]))
    decide_on(ledger, 8)
    assert custody_breaks(ledger, 30) == []
    assert states(ledger)[ref] == "POSTED"


def test_a_chunk_of_more_than_a_statement_can_have_does_not_stop_the_asking(ledger: Connection) -> None:
    refs = make_cohort(ledger, 1)
    state_list(ledger, statement_value(refs, chunks=2**31 - 1))
    ask_missing_chunks(ledger, on(8))


def test_a_first_sequence_below_one_does_not_stop_the_asking(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    apply(ledger, wire_value("F-ICBC", "m", [item("MADE", ref, 2)], sequence=-1))
    watch_gaps(ledger, on(8))


def test_a_job_whose_answer_falls_into_an_unknown_year_stops_no_other_watch(own: Settings) -> None:
    with connect(own.database_url) as connection:
        (ref,) = make_cohort(connection, 1)
        connection.execute("UPDATE sealed_job SET sent_on = '2026-12-30'")
        set_business_day(connection, date(2026, 12, 31))
        apply(connection, wire_value("F-ICBC", "m", [item("ITEM_ACCEPTED", ref, 2)], sequence=5))
    run_clocks(own)
    with connect(own.database_url) as connection:
        assert "SEQUENCE_GAP" in open_kinds(connection)


# L4: silence


def test_a_letter_presumed_lost_is_not_cancelled_before_the_new_card_is_taken(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2, "mail")
    posted(ledger, refs)
    merge(ledger, report("EMS", "t", [item("IN_TRANSIT", None, 4 + DAYS, tracking_no="T1")]))
    decide_on(ledger, 5 + DAYS)
    assert [reason for _, reason in decided(ledger, "REMAKE")] == ["PRESUMED_LOST"]
    decide_on(ledger, 6 + DAYS)
    assert (decided(ledger, "CANCEL_PLASTIC"), decided(ledger, "REQUEST")) == ([], [])


def test_a_letter_that_was_only_late_stays_its_holders_card(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2, "mail")
    posted(ledger, refs)
    merge(ledger, report("EMS", "t", [item("IN_TRANSIT", None, 4 + DAYS, tracking_no="T1")]))
    decide_on(ledger, 5 + DAYS)
    merge(ledger, report("EMS", "d", [item("DELIVERED", None, 6 + DAYS, tracking_no="T0")]))
    decide_on(ledger, 6 + DAYS)
    decide_on(ledger, 7 + DAYS)
    assert states(ledger)[refs[0]] == "COLLECTED"
    assert decided(ledger, "CANCEL_PLASTIC") == []


def test_no_letter_is_presumed_lost_while_its_carriers_feed_is_silent(ledger: Connection) -> None:
    posted(ledger, make_cohort(ledger, 30, "mail"))
    decide_on(ledger, 6 + DAYS)
    assert decided(ledger, "REMAKE") == []


def test_a_cancelled_plastic_is_not_the_effective_one(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    merge(ledger, *to_outlet([ref]))
    merge(ledger, report("ICBC", "c", [item("COLLECTED", ref, 6, place="ICBC-001", actors=HOLDER)]))
    merge(ledger, report("HRSS-BJ", "a", [item("SS_ACTIVATED", ref, 7), item("SS_CANCELLED", ref, 9)]))
    ledger.execute("INSERT INTO plastic (card_ref, attempt, bank, factory) VALUES (%s, 2, 'ICBC', 'F-ICBC')", (ref,))
    merge(ledger, report("F-ICBC", "m", [item("MADE", ref, 12, attempt=2)]))
    decide_on(ledger, 13)
    assert ledger.execute("SELECT effective FROM card").fetchone() == (2,)


def test_nobody_is_asked_to_destroy_a_letter_that_is_presumed_lost(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2, "mail")
    posted(ledger, refs)
    merge(ledger, report("EMS", "t", [item("IN_TRANSIT", None, 4 + DAYS, tracking_no="T1")]))
    decide_on(ledger, 5 + DAYS)
    second = [item(what, refs[0], 25, attempt=2) for what in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]
    given = [item("HANDED_OVER", refs[0], 26, attempt=2, tracking_no="T9")]
    merge(ledger, report("F-ICBC", "2", second), report("F-ICBC", "3", given, to_place="EMS", handover_count=1))
    merge(ledger, report("EMS", "4", [item("DELIVERED", None, 28, tracking_no="T9")]))
    for day, partner, answer in ((29, "HRSS-BJ", "SS_CANCELLED"), (31, "ICBC", "ACCOUNT_CANCELLED")):
        decide_on(ledger, day)
        merge(ledger, report(partner, answer, [item(answer, refs[0], day)]))
    decide_on(ledger, 33)
    asked = {occasion for occasion, _ in decided(ledger, "REQUEST")}
    assert "CANCEL_SS" in asked
    assert not {occasion for ref, _, occasion, *_ in open_requests(ledger, 1) if ref == refs[0]}


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="L6 a refused move goes out anyway")
def test_a_move_that_the_second_person_refuses_does_not_go_out(own: Settings) -> None:
    with connect(own.database_url) as connection:
        make_cohort(connection, 2)
        _, wave = reassign_job(connection, REGISTRY, "J1", None, "flood", "planner")
    refuse_wave(own, COHORT, wave, "releaser", "they can make it")
    decide(own)
    with connect(own.database_url) as connection:
        plan_remakes(connection, on(1))
        assert connection.execute("SELECT job_id FROM job WHERE factory <> 'F-ICBC'").fetchall() == []


# L7, L8: plastics that are none


@pytest.fixture
def waiting(ledger: Connection) -> UUID:
    """A card that waits for its plan."""
    set_business_day(ledger, OPENS)
    add_cohort(ledger, "waits", [("ICBC", OPENS + timedelta(days=30))])
    return card_ref_of("waits", "A0")


def test_a_refused_report_about_an_outlets_card_makes_none(ledger: Connection, waiting: UUID) -> None:
    instant = item("ISSUED_INSTANTLY", waiting, 2, attempt=0, place="ABC-001")
    assert codes_of(merge(ledger, report("ABC", "i", [instant]))) == ["NO_RELATION"]
    decide_on(ledger, 3)
    assert states(ledger)[waiting] == "WAITING"


def test_a_card_waits_again_when_an_outlets_card_was_a_mistake(ledger: Connection, waiting: UUID) -> None:
    instant = item("ISSUED_INSTANTLY", waiting, 2, attempt=0, place="ICBC-001")
    merge(ledger, report("ICBC", "i", [instant]))
    decide_on(ledger, 3)
    assert states(ledger)[waiting] != "WAITING"
    merge(ledger, report("ICBC", "c", [instant | {"corrects": True}]))
    decide_on(ledger, 4)
    assert states(ledger)[waiting] == "WAITING"


def test_a_withdrawn_card_ends_although_a_remake_was_decided(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    merge(ledger, report("F-ICBC", "s", [item("ITEM_ACCEPTED", ref, 2), item("SPOILED", ref, 3, reason="CHIP_FAULT")]))
    decide_on(ledger, 4)
    assert states(ledger)[ref] == "PLANNED"
    assert tell(ledger, event_value("MSB", "E1", "WITHDRAWN", ref))[0] is None
    decide_on(ledger, 5)
    assert states(ledger)[ref] in ENDED_STATES


# L9, L10: statements


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="L9 nothing received is 0 = 0")
def test_a_cohort_does_not_close_without_a_statement(own: Settings) -> None:
    with connect(own.database_url) as connection:
        finish(connection)
    assert close_cohorts(own) == []


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="L9 a partner's break holds no cohort")
def test_a_gap_of_a_partner_with_plastics_of_the_cohort_holds_it(own: Settings) -> None:
    with connect(own.database_url) as connection:
        refs = finish(connection)
        assert state_list(connection, statement_value(refs)) == [None]
        apply(connection, wire_value("F-ICBC", "late", [item("MADE", refs[0], 2)], sequence=9))
        decide_on(connection, 8)
        watch_gaps(connection, on(8))
        assert open_kinds(connection) == ["SEQUENCE_GAP"]
    assert close_cohorts(own) == []


def test_a_statement_dated_ahead_does_not_stand_before_the_next_one(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2)
    state_list(ledger, statement_value(refs[:1], statement_id="ahead", business_day=on(365)))
    assert state_list(ledger, statement_value(refs, day=15), day=15) == [None]
    latest = "SELECT statement_id FROM statement ORDER BY business_day DESC, revision DESC LIMIT 1"
    assert ledger.execute(latest).fetchone() == ("S15",)


def test_a_pass_ends_although_evidence_keeps_flowing(own: Settings) -> None:
    with connect(own.database_url) as connection:
        (ref,) = make_cohort(connection, 1)
    stop = threading.Event()

    def flow() -> None:
        with connect(own.database_url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO changed_card VALUES (%s)", (ref,))

    def run() -> None:
        decide(own)

    traffic, passing = threading.Thread(target=flow), threading.Thread(target=run)
    traffic.start()
    passing.start()
    passing.join(timeout=6)
    ended = not passing.is_alive()
    stop.set()
    traffic.join()
    passing.join()
    assert ended


def test_an_order_of_two_partners_has_a_grace_before_it_is_a_break(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    merge(ledger, *to_outlet([ref]))
    merge(ledger, report("HRSS-BJ", "a", [item("SS_ACTIVATED", ref, 8)]))
    decide_on(ledger, 8)
    assert "ACTIVATED_NOT_COLLECTED" not in open_kinds(ledger)


def test_evidence_that_comes_while_a_statement_is_read_makes_no_difference(own: Settings) -> None:
    with connect(own.database_url) as connection:
        (ref,) = make_cohort(connection, 1)
    statements: list[ClosingStatement] = []
    reading = threading.Thread(target=lambda: statements.append(close_statement(own, COHORT)))
    with connect(own.database_url) as connection:
        connection.execute("LOCK TABLE fact IN ACCESS EXCLUSIVE MODE")
        reading.start()
        reading.join(1)  # it has read the plastics, and waits for the journal
        merge(connection, report("F-ICBC", "a", [item("ITEM_ACCEPTED", ref, 2)]))
    reading.join(10)
    (making,) = [one for one in statements[0].balances if one.equation.name == "making"]
    assert making.differing == []


@pytest.mark.parametrize(
    "forged", ["state = 'ACTIVE'", "effective = 7", "next_due = '2031-01-01'"], ids=["state", "effective", "next_due"]
)
def test_verify_names_a_card_that_was_set_by_hand(ledger: Connection, forged: str) -> None:
    make_cohort(ledger, 2)
    ledger.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    decide_on(ledger, 1)
    assert verify_ledger(ledger, CITIES) == []
    ledger.execute(f"UPDATE card SET {forged} WHERE application_id = 'A0'")
    ledger.execute("DELETE FROM tally")
    ledger.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    assert verify_ledger(ledger, CITIES) != []


# L18 to L22: partners beside each other


def test_a_report_two_hours_ahead_is_refused_as_a_whole_and_taken_later(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    ahead = wire_value("F-ICBC", "m", [item("MADE", ref, 9, occurred_at=datetime(2025, 10, 16, 18, tzinfo=UTC))])
    assert [outcome.refusal for outcome in apply(ledger, ahead, day=7)] == ["TIME_AHEAD"]
    assert [(o.refusal, o.refused) for o in apply(ledger, ahead, day=8)] == [(None, 0)]
    assert ledger.execute("SELECT made IS NOT NULL FROM plastic").fetchone() == (True,)


def test_two_factories_may_use_one_hand_over_id(ledger: Connection) -> None:
    one, two = make_cohort(ledger, 2)
    for table in ("card", "plastic"):
        ledger.execute(f"UPDATE {table} SET bank = 'ABC', factory = 'F-ABC' WHERE card_ref = %s", (two,))
    for factory, bank, ref in (("F-ICBC", "ICBC", one), ("F-ABC", "ABC", two)):
        place = {"handover_id": "HO-1", "handover_count": 1, "to_place": f"{bank}-001"}
        merge(ledger, report(factory, "h", [item("HANDED_OVER", ref, 4)], **place))
        merge(ledger, report(bank, "r", [item("RECEIVED_AT_PLACE", ref, 5)], **place))
    assert custody_breaks(ledger, 6) == []


@pytest.mark.parametrize(
    ("reporter", "mixed", "giver", "refusal"),
    [
        pytest.param("ICBC", False, None, None, id="the factory of the plan"),
        pytest.param("HRSS-BJ", True, None, "HANDOVER_GIVER_NEEDED", id="of two factories"),
        pytest.param("HRSS-BJ", True, "F-ICBC", None, id="of two factories, named"),
        pytest.param("F-ICBC", False, None, "HANDOVER_GIVER_NEEDED", id="sent back to the factory"),
        pytest.param("F-ICBC", False, "ICBC", None, id="sent back to the factory, named"),
    ],
)
def test_a_receipt_names_its_giver_or_the_plan_does(
    ledger: Connection, reporter: str, mixed: bool, giver: str | None, refusal: str | None
) -> None:
    refs = make_cohort(ledger, 2)
    if mixed:
        ledger.execute("UPDATE plastic SET bank = 'ABC', factory = 'F-ABC' WHERE card_ref = %s", (refs[1],))
    head = {"handover_id": "HO-1", "handover_count": 2, "handover_giver": giver}
    received = [item("RECEIVED_AT_PLACE", ref, 5) for ref in refs]
    assert [outcome.refusal for outcome in apply(ledger, wire_value(reporter, "r", received, **head))] == [refusal]
    found = ledger.execute("SELECT DISTINCT consignment_id FROM plastic_in_consignment").fetchall()
    assert found == ([] if refusal else [(f"H:{giver or 'F-ICBC'}:HO-1",)])


def test_a_partner_annuls_no_other_partners_fact(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    collected = item("COLLECTED", ref, 6, place="P-1", actors=HOLDER)
    merge(ledger, report("HRSS-BJ", "c", [collected]))
    merge(ledger, report("ICBC", "x", [collected | {"corrects": True}]))
    assert ledger.execute("SELECT collected IS NOT NULL FROM plastic").fetchone() == (True,)


def test_a_second_conflict_of_a_plastic_opens_a_break_of_its_own(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    for what, day in (("MADE", 2), ("MADE", 3)):
        merge(ledger, report("F-ICBC", f"{what}{day}", [item(what, ref, day)]))
    decide_on(ledger, 4)
    (break_id,) = ledger.execute("SELECT break_id::text FROM break WHERE kind = 'CONFLICT'").fetchone() or ("",)
    resolve_break(ledger, break_id, "planner", "the first is right", on(4))
    for day in (4, 5):
        merge(ledger, report("F-ICBC", f"keyed {day}", [item("BANK_KEYED", ref, day)]))
    decide_on(ledger, 6)
    assert "CONFLICT" in open_kinds(ledger)


def test_two_values_of_a_jobs_fact_open_a_conflict(ledger: Connection) -> None:
    make_cohort(ledger, 1)
    for day in (1, 2):
        merge(ledger, report("F-ICBC", f"a{day}", [item("JOB_ACCEPTED", None, day)], kind="JOB", job_id="J1"))
    decide_on(ledger, 3)
    watch_jobs(ledger, CITY, on(3))
    assert "CONFLICT" in open_kinds(ledger)


def test_a_job_is_answered_when_each_of_its_items_is(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2)
    refused = item("ITEM_REFUSED", refs[1], 2, reason="DATA_UNREADABLE")
    merge(ledger, report("F-ICBC", "i", [item("ITEM_ACCEPTED", refs[0], 2), refused]))
    watch_jobs(ledger, CITY, on(20))
    assert open_kinds(ledger) == []


# L27 to L29: answers and events


def test_every_change_of_a_card_is_told(ledger: Connection) -> None:
    _, second = sorted(make_cohort(ledger, 2))
    decide_on(ledger, 1)
    for day, what in ((2, "ITEM_ACCEPTED"), (3, "MADE")):
        merge(ledger, report("F-ICBC", what, [item(what, second, day)]))
        decide_on(ledger, day)
    bodies = ledger.execute("SELECT body FROM outbox WHERE record = 'card_status'").fetchall()
    told = [one for (body,) in bodies for one in decode_body("card_status", bytes(body))["items"]]
    newest = max((one["version"], one["state"]) for one in told if one["card_ref"] == str(second))
    assert newest[1] == states(ledger)[second]


def test_a_report_and_an_event_of_one_id_are_both_answered(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    answers = merge(ledger, report("HRSS-BJ", "X1", [item("SS_KEYED", ref, 2)])).answers
    refusal, more = tell(ledger, event_value("HRSS-BJ", "X1", "DEATH", ref))
    assert refusal is None
    assert write_outbox(ledger, [*answers, *more], on(2)) == 2


def test_an_event_of_an_application_in_intake_waits(ledger: Connection) -> None:
    set_business_day(ledger, OPENS)
    add_cohort(ledger, "in-work", [], state="REGISTERED")
    value = event_value("MSB", "E1", "DEATH", None, cohort_id="in-work", application_id="A0")
    assert tell(ledger, value)[0] is None


def test_an_event_of_an_unknown_cohort_is_refused(ledger: Connection) -> None:
    make_cohort(ledger, 1)
    assert tell(ledger, event_value("MSB", "E1", "DEATH", None, cohort_id="none", application_id="A0"))[0] is not None


def test_a_card_made_at_an_outlet_during_intake_waits(ledger: Connection) -> None:
    set_business_day(ledger, OPENS)
    add_cohort(ledger, "in-work", [], state="REGISTERED")
    instant = item("ISSUED_INSTANTLY", card_ref_of("in-work", "A0"), 2, attempt=0, place="ICBC-001")
    assert codes_of(merge(ledger, report("ICBC", "i", [instant]))) == []


# L34 to L39: proofs and promises


@pytest.mark.parametrize("table", ["plastic_in_consignment", "consignment"])
def test_rebuilding_makes_rows_that_are_gone(ledger: Connection, table: str) -> None:
    posted(ledger, make_cohort(ledger, 1, "mail"))
    ledger.execute(f"DELETE FROM {table}")
    assert [finding for finding in verify_ledger(ledger, CITIES) if "missing" in finding]
    rebuild_ledger(ledger)
    assert [finding for finding in verify_ledger(ledger, CITIES) if "missing" in finding or "facts" in finding] == []


def test_verify_names_a_row_whose_correction_is_forgotten(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    made = item("MADE", ref, 2)
    merge(ledger, report("F-ICBC", "m", [made]), report("F-ICBC", "x", [made | {"corrects": True}]))
    ledger.execute("UPDATE plastic SET corrected = false")
    assert [finding for finding in verify_ledger(ledger, CITIES) if finding.startswith("plastic")]


def test_a_second_card_is_explained_when_the_other_application_is_withdrawn(ledger: Connection) -> None:
    here, other = make_cohort(ledger, 2)
    ledger.execute("UPDATE card SET person = 'mine' WHERE card_ref = %s", (other,))
    ledger.execute("INSERT INTO acceptance VALUES ('mine', %s, 1, 0, NULL)", (other,))
    ledger.execute(
        "INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at, person)"
        " VALUES ('MSB', 'E1', '', 'ID_CORRECTED', %s, %s, 'mine')", (here, on(1)),
    )  # fmt: skip
    decide_on(ledger, 2)
    assert "SECOND_CARD" in open_kinds(ledger)
    assert tell(ledger, event_value("MSB", "E2", "WITHDRAWN", other))[0] is None
    decide_on(ledger, 3)
    merge(ledger, report("F-ICBC", "x", [item("ITEM_REFUSED", other, 4, reason="CANCELLED")]))
    decide_on(ledger, 5)
    assert states(ledger)[other] in ENDED_STATES
    assert "SECOND_CARD" not in open_kinds(ledger)


def test_a_receiver_that_signs_no_count_is_a_break(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2)
    *before, receipt = to_outlet(refs)
    merge(ledger, *before)
    receipt.value["handover_count"] = None
    merge(ledger, receipt)
    assert [kind for kind, _ in custody_breaks(ledger, 6)] == ["HANDOVER_COUNT"]


def test_a_gap_is_asked_for_once_a_day(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    apply(ledger, wire_value("F-ICBC", "m", [item("MADE", ref, 2)], sequence=3))
    for day in (8, 8, 9):
        watch_gaps(ledger, on(day))
    asked = ledger.execute("SELECT count(*) FROM outbox WHERE ce_id LIKE '%/MISSING/%'").fetchone()
    assert asked == (2,)


def test_an_audit_entry_whose_time_was_altered_is_found(ledger: Connection) -> None:
    audit(ledger, "planner", "plan", "c.1", OPENS)
    assert verify_audit(ledger) == []
    tamper(ledger, "UPDATE audit SET at = at - interval '1 day'")
    (number,) = ledger.execute("SELECT number FROM audit").fetchone() or (0,)
    assert verify_audit(ledger) == [number]
