"""Silence has a clock: for a job, a hand-over, a letter, a request and a card; it stands still for the paused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from findings_fixture import decide_on, posted
from ledger_fixture import (
    CITY,
    OPENS,
    POLICY,
    decide_all,
    decided,
    item,
    make_cohort,
    merge,
    on,
    open_breaks,
    pause,
    report,
)

from issuance.city.calendar import STATE_COUNCIL
from issuance.ledger.connection import Connection, set_business_day
from issuance.tracking.card_breaks import settle_card_breaks
from issuance.tracking.custody import watch_custody
from issuance.tracking.feeds import watch_feeds
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.requests import watch_requests
from issuance.tracking.resuming import resume_partner as resume
from issuance.tracking.snapshot import city_values, snapshot_cards

WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
H1 = {"handover_id": "H1", "handover_count": 1, "to_place": "ICBC-001"}
LETTER = {"to_place": "EMS", "handover_count": 1}


def silent_job(connection: Connection, day: int) -> None:
    watch_jobs(connection, CITY, on(day))


def silent_handover(connection: Connection, day: int) -> None:
    watch_custody(connection, on(day), city_values(CITY, on(day)))


def silent_request(connection: Connection, day: int) -> None:
    watch_requests(connection, on(day))


def ask(
    connection: Connection, ref: UUID, kind: str, partner: str, due: int = 20, consignment: str | None = None
) -> None:
    """A request, asked on the opening day."""
    connection.execute(
        "INSERT INTO request (card_ref, attempt, kind, n, reason, partner, consignment_id, asked_on, due_on)"
        " VALUES (%s, 1, %s, 1, 'EXPIRED', %s, %s, %s, %s)",
        (ref, kind, partner, consignment, OPENS, on(due)),
    )


def hand_over(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "ho", [item("HANDED_OVER", ref, 4)], **H1))


def post(connection: Connection, ref: UUID) -> None:
    merge(connection, report("F-ICBC", "ho", [item("HANDED_OVER", ref, 4, tracking_no="T1")], **LETTER))


Watch = Callable[[Connection, int], None]
Begin = Callable[[Connection, UUID], None]
ANSWERED_LATE = STATE_COUNCIL.add_working_days(OPENS, POLICY.answer_days)
SILENCES: dict[str, tuple[Begin, Watch, int, str, str, Callable[[UUID], Any], str]] = {
    # what: (how it begins, the clock, the last day of patience, waited-on partner, method, the answer, kind)
    "job": (
        lambda connection, ref: None,
        silent_job,
        (ANSWERED_LATE - OPENS).days,
        "F-ICBC",
        "outlet",
        lambda ref: report("F-ICBC", "a", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J1"),
        "JOB_UNANSWERED",
    ),
    "hand-over to a bank": (
        hand_over,
        silent_handover,
        4 + POLICY.handover_days,
        "ICBC",
        "outlet",
        lambda ref: report("ICBC", "a", [item("RECEIVED_AT_PLACE", ref, 6)], **H1),
        "HANDOVER_COUNT",
    ),
    "hand-over to an employer": (
        hand_over,
        silent_handover,
        4 + POLICY.handover_days,
        "HRSS-BJ",
        "employer",
        lambda ref: report("HRSS-BJ", "a", [item("RECEIVED_AT_PLACE", ref, 6)], **H1),
        "HANDOVER_COUNT",
    ),
    "letter": (
        post,
        silent_handover,
        4 + POLICY.handover_days,
        "EMS",
        "mail",
        lambda ref: report("EMS", "a", [item("POSTED", None, 5, tracking_no="T1")]),
        "HANDOVER_COUNT",
    ),
    "request": (
        lambda connection, ref: ask(connection, ref, "CANCEL_SS", "HRSS-BJ"),
        silent_request,
        20,
        "HRSS-BJ",
        "outlet",
        lambda ref: report("HRSS-BJ", "a", [item("SS_CANCELLED", ref, 22)]),
        "REQUEST_OVERDUE",
    ),
}


@pytest.mark.parametrize("what", SILENCES)
def test_silence_is_a_break_after_its_days_until_the_answer_comes(ledger: Connection, what: str) -> None:
    begin, watch, patience, _, method, answer, kind = SILENCES[what]
    ref = make_cohort(ledger, 1, method)[0]
    begin(ledger, ref)
    watch(ledger, patience)
    assert open_breaks(ledger) == []
    watch(ledger, patience + 1)
    assert [k for k, _ in open_breaks(ledger)] == [kind]
    merge(ledger, answer(ref))
    watch(ledger, patience + 2)
    assert open_breaks(ledger) == []


@pytest.mark.parametrize("what", SILENCES)
def test_the_clock_of_a_paused_partner_stands_still(ledger: Connection, what: str) -> None:
    begin, watch, patience, partner, method, _, kind = SILENCES[what]
    begin(ledger, make_cohort(ledger, 1, method)[0])
    pause(ledger, "ABC")
    pause(ledger, partner)
    watch(ledger, patience + 10)
    assert open_breaks(ledger) == []
    resume(ledger, partner, on(patience + 10))
    watch(ledger, patience + 11)
    assert [k for k, _ in open_breaks(ledger)] == [kind]
    pause(ledger, partner)
    watch(ledger, patience + 12)
    assert [k for k, _ in open_breaks(ledger)] == [kind], "what is open stays open"


def test_a_hand_over_of_what_is_destroyed_is_not_waited_for(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2)
    merge(ledger, report("F-ICBC", "h", [item("HANDED_OVER", refs[0], 4)], **H1))
    merge(ledger, report("F-ICBC", "l", [item("HANDED_OVER", refs[1], 4, tracking_no="T1")], **LETTER))
    merge(ledger, report("F-ICBC", "d", [item("DESTROYED", ref, 5, actors=WITNESSES) for ref in refs]))
    silent_handover(ledger, 30)
    assert open_breaks(ledger) == []


@pytest.mark.parametrize("partner", ["ICBC", "F-ICBC", "HRSS-BJ"])
def test_a_card_does_not_expire_while_its_partner_is_paused(ledger: Connection, partner: str) -> None:
    ref = make_cohort(ledger, 1)[0]
    merge(ledger, report("ICBC", "r", [item("RECEIVED_AT_PLACE", ref, 5)], **H1))
    pause(ledger, partner)
    set_business_day(ledger, on(5 + POLICY.keep_days))
    decide_all(ledger)
    assert "EXPIRED" not in decided(ledger, "CANCEL_PLASTIC")
    resume(ledger, partner, on(5 + POLICY.keep_days))
    decide_all(ledger)
    assert "EXPIRED" not in decided(ledger, "CANCEL_PLASTIC"), "what was held back is read first"
    set_business_day(ledger, on(6 + POLICY.keep_days))
    decide_all(ledger)
    assert decided(ledger, "CANCEL_PLASTIC") == ["EXPIRED"]


@pytest.mark.parametrize("partner", ["ICBC", "F-ICBC"])
def test_a_card_is_not_overdue_while_its_partner_is_paused(ledger: Connection, partner: str) -> None:
    ref = make_cohort(ledger, 1)[0]
    pause(ledger, partner)
    set_business_day(ledger, on(40))
    decide_all(ledger)
    assert open_breaks(ledger) == []
    resume(ledger, partner, on(40))
    set_business_day(ledger, on(41))
    decide_all(ledger)
    assert open_breaks(ledger) == [("OVERDUE", str(ref))]
    pause(ledger, partner)
    ledger.execute("INSERT INTO changed_card VALUES (%s)", (ref,))
    decide_all(ledger)
    assert open_breaks(ledger) == [("OVERDUE", str(ref))], "what is open stays open"


@pytest.mark.parametrize(("hrss", "found"), [("HRSS-BJ", []), (None, ["OVERDUE"])])
def test_a_card_is_not_overdue_while_hrss_is_paused(ledger: Connection, hrss: str | None, found: list[str]) -> None:
    make_cohort(ledger, 1)
    pause(ledger, "HRSS-BJ")
    ledger.execute("CREATE TEMP TABLE work ON COMMIT DROP AS SELECT card_ref FROM card")
    values = city_values(CITY, on(40)) | {"hrss": hrss}
    snapshot_cards(ledger, values)
    settle_card_breaks(ledger, on(40), values)
    assert [kind for kind, _ in open_breaks(ledger)] == found


def test_a_letter_is_not_taken_as_lost_while_its_carrier_is_paused(ledger: Connection) -> None:
    ref = make_cohort(ledger, 1, "mail")[0]
    post(ledger, ref)
    merge(ledger, report("EMS", "p", [item("POSTED", None, 5, tracking_no="T1")]))
    other = item("IN_TRANSIT", None, 5 + POLICY.lost_after_days, tracking_no="T2")
    merge(ledger, report("EMS", "of another letter", [other]))
    pause(ledger, "EMS")
    set_business_day(ledger, on(5 + POLICY.lost_after_days))
    decide_all(ledger)
    assert decided(ledger, "REMAKE") == []
    resume(ledger, "EMS", on(5 + POLICY.lost_after_days))
    set_business_day(ledger, on(6 + POLICY.lost_after_days))
    decide_all(ledger)
    assert decided(ledger, "REMAKE") == ["PRESUMED_LOST"]


def about_silence(connection: Connection) -> list[tuple[str, str]]:
    kinds = ("FEED_SILENT", "HANDOVER_COUNT", "LETTER_SILENT")
    return [found for found in open_breaks(connection) if found[0] in kinds]


def test_while_a_feed_is_silent_no_letter_of_it_is_a_break_of_its_own(ledger: Connection) -> None:
    first, second = make_cohort(ledger, 2, "mail")
    posted(ledger, [first])
    merge(ledger, report("F-ICBC", "ho", [item("HANDED_OVER", second, 7, tracking_no="T9")], **LETTER))
    silent_at = 7 + POLICY.handover_days + 1
    for day in range(8, silent_at + 3):
        decide_on(ledger, day)
        watch_feeds(ledger, CITY, on(day))
        silent_handover(ledger, day)
    assert about_silence(ledger) == [("FEED_SILENT", "EMS")]
    merge(ledger, report("EMS", "news", [item("IN_TRANSIT", None, silent_at + 2, tracking_no="T0")]))
    decide_on(ledger, silent_at + 3)
    watch_feeds(ledger, CITY, on(silent_at + 3))
    silent_handover(ledger, silent_at + 3)
    assert about_silence(ledger) == [("HANDOVER_COUNT", "M:EMS:T9")], "now it is the only silent one"
