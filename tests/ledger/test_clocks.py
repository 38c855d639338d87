"""Time and people: losses that lapse, cards that are replaced or made again by hand, ages, what is due, notices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import (
    CITY,
    COHORT,
    OPENS,
    POLICY,
    custody_breaks,
    decide_all,
    item,
    make_cohort,
    merge,
    report,
    states,
)

from issuance.city.calendar import STATE_COUNCIL
from issuance.clock import instant_on
from issuance.errors import Refused
from issuance.intake.duplicates import STATES
from issuance.ledger.connection import Connection, set_business_day
from issuance.ledger.queries import find_cards
from issuance.tracking.ages import CLOCKS, coming_due, stage_ages, summed, working_days
from issuance.tracking.by_hand import remake_card
from issuance.tracking.notices import Told
from issuance.words.codes import TEMPLATES
from issuance.words.lifecycle import CARD_STATES

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
H1 = {"handover_id": "H1", "handover_count": 2, "to_place": "ICBC-001"}


def decide_on(connection: Connection, day: int) -> None:
    """Decide as of a day after the opening day, by the clocks alone."""
    set_business_day(connection, OPENS + timedelta(days=day))
    decide_all(connection)


def made(connection: Connection, *refs: UUID) -> None:
    """Every step of a first plastic up to its hand-over."""
    factory = [item(name, ref, 2) for ref in refs for name in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]
    keyed = [item("SS_KEYED", ref, 3) for ref in refs]
    given = [item("HANDED_OVER", ref, 4) for ref in refs]
    merge(connection, report("F-ICBC", "made", factory), report("HRSS-BJ", "keyed", keyed))
    merge(connection, report("F-ICBC", "given", given, **H1))


def received(connection: Connection, *refs: UUID, day: int = 6) -> None:
    """An outlet signs for them."""
    merge(connection, report("ICBC", f"received {day}", [item("RECEIVED_AT_PLACE", ref, day) for ref in refs], **H1))


def active(connection: Connection, ref: UUID, day: int = 8) -> None:
    """Collected, and active on the day after."""
    items = [item("COLLECTED", ref, day, place="ICBC-001", actors=HOLDER)]
    merge(connection, report("ICBC", f"collected {ref}", items))
    merge(connection, report("HRSS-BJ", f"active {ref}", [item("SS_ACTIVATED", ref, day + 1)]))


def lost(connection: Connection, milestone: str, ref: UUID, day: int) -> None:
    """HRSS reports a loss."""
    merge(connection, report("HRSS-BJ", f"{milestone} {ref} {day}", [item(milestone, ref, day)]), day=day + 1)


def refused(act: Any, *values: Any) -> str:
    """The code of a refusal."""
    with pytest.raises(Refused) as caught:
        act(*values)
    return str(caught.value.code)


# Losses


def test_a_temporary_loss_lapses_on_its_day_and_another_one_counts_from_itself(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref), active(ledger, ref)
    decide_on(ledger, 10)
    assert states(ledger)[ref] == "ACTIVE"
    lost(ledger, "LOSS_REPORTED_TEMPORARY", ref, 20)
    decide_on(ledger, 20)
    assert states(ledger)[ref] == "SUSPENDED"
    decide_on(ledger, 20 + POLICY.temporary_loss_days - 1)
    assert states(ledger)[ref] == "SUSPENDED"
    decide_on(ledger, 20 + POLICY.temporary_loss_days)
    assert states(ledger)[ref] == "ACTIVE"
    lost(ledger, "LOSS_REPORTED_TEMPORARY", ref, 50)
    decide_on(ledger, 51)
    assert states(ledger)[ref] == "SUSPENDED"


@pytest.mark.parametrize("order", ["temporary first", "formal first"])
def test_a_formal_loss_is_final(ledger: Connection, order: str) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref), active(ledger, ref)
    reports = [("LOSS_REPORTED_TEMPORARY", 20), ("LOSS_REPORTED", 22)]
    for milestone, day in reports if order == "temporary first" else reversed(reports):
        lost(ledger, milestone, ref, day)
    decide_on(ledger, 25)
    assert states(ledger)[ref] == "LOST_BY_HOLDER"
    decide_on(ledger, 300)
    assert states(ledger)[ref] == "LOST_BY_HOLDER"


# Replacement and exchange


def test_a_card_is_replaced_when_the_one_in_its_place_is_active(ledger: Connection) -> None:
    old, new = make_cohort(ledger, 2)
    ledger.execute("UPDATE card SET replaces = %s, kind = 'exchange' WHERE card_ref = %s", (old, new))
    made(ledger, old, new), received(ledger, old, new), active(ledger, old)
    decide_on(ledger, 12)
    assert states(ledger) == {old: "ACTIVE", new: "AT_PLACE"}
    active(ledger, new, 20)
    decide_on(ledger, 22)
    assert states(ledger) == {old: "REPLACED", new: "ACTIVE"}
    merge(ledger, report("HRSS-BJ", "back", [item("SS_ACTIVATED", new, 21, corrects=True)]), day=30)
    decide_on(ledger, 31)
    ledger.execute("INSERT INTO changed_card VALUES (%s)", (old,))
    decide_on(ledger, 31)
    assert states(ledger)[old] == "ACTIVE"


def test_every_state_of_a_card_in_its_holders_hands_is_live_for_duplicates() -> None:
    in_hand = {name for name, state in CARD_STATES.items() if state.order == "collected"}
    assert in_hand == set(STATES["live"])


# Made again by hand


def test_what_was_lost_in_a_hand_over_is_made_again_by_hand_until_it_turns_up(ledger: Connection) -> None:
    here, gone = make_cohort(ledger, 2)
    made(ledger, here, gone)
    merge(ledger, report("ICBC", "one", [item("RECEIVED_AT_PLACE", here, 6)], **H1 | {"handover_count": 1}))
    decide_on(ledger, 7)
    assert custody_breaks(ledger, 7) == [("HANDOVER_COUNT", "H:F-ICBC:H1")]
    assert remake_card(ledger, str(gone), "LOST_IN_HANDOVER", "the outlet searched", "planner", OPENS) == 1
    decide_on(ledger, 8)
    assert states(ledger)[gone] == "PLANNED"
    assert custody_breaks(ledger, 8) == []
    assert remakes(ledger) == [(1, 2, "MISSING", "LOST_IN_HANDOVER", None)]
    received(ledger, gone, day=9)
    decide_on(ledger, 10)
    assert two_plastics(ledger) == 0
    assert remakes(ledger) == [(1, 2, "MISSING", "LOST_IN_HANDOVER", "FOUND")]
    assert cancelled(ledger) == [(2, "FOUND")]
    assert states(ledger)[gone] == "AT_PLACE"
    assert ledger.execute("SELECT kind FROM request WHERE kind <> 'HOLD'").fetchall() == [], "it was never ordered"


def test_a_damaged_plastic_goes_the_enforced_order_beside_its_remake(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref)
    decide_on(ledger, 7)
    remake_card(ledger, str(ref), "DAMAGED", "the vault was flooded", "planner", OPENS)
    decide_on(ledger, 8)
    for n, (milestone, partner) in enumerate((("SS_CANCELLED", "HRSS-BJ"), ("DESTROYED", "ICBC"))):
        assert remakes(ledger) == [(1, 2, "DAMAGED", "DAMAGED", None)]
        witnesses = [{"role": "WITNESS", "reference": name} for name in ("w1", "w2")]
        merge(ledger, report(partner, milestone, [item(milestone, ref, 9 + n, actors=witnesses)]))
        decide_on(ledger, 10 + n)
        assert two_plastics(ledger) == 0, "an open re-make says why there are two"
    assert cancelled(ledger) == [(1, "DAMAGED")]
    assert remakes(ledger) == [(1, 2, "DAMAGED", "DAMAGED", "DONE")]
    assert states(ledger)[ref] == "PLANNED"


def test_only_a_plastic_in_custody_is_made_again_by_hand_and_once(ledger: Connection) -> None:
    here, other = make_cohort(ledger, 2)
    give = (ledger, str(here), "DAMAGED", "why", "planner", OPENS)
    decide_on(ledger, 1)
    assert refused(remake_card, *give) == "NOT_IN_CUSTODY"
    made(ledger, here, other), received(ledger, here, other), active(ledger, other)
    decide_on(ledger, 9)
    assert refused(remake_card, ledger, str(other), *give[2:]) == "NOT_IN_CUSTODY"
    assert refused(remake_card, ledger, str(here), "BORED", *give[3:]) == "REASON_UNKNOWN"
    assert refused(remake_card, ledger, str(here), "DAMAGED", " ", *give[4:]) == "NOTE_MISSING"
    assert refused(remake_card, ledger, "nobody", *give[2:]) == "CARD_UNKNOWN"
    remake_card(*give)
    assert refused(remake_card, *give) == "REMADE_ALREADY"


def remakes(connection: Connection) -> list[Any]:
    """Old and new attempt, ground, reason and ending of every re-make."""
    return connection.execute("SELECT attempt, made, ground, reason, ending FROM remake ORDER BY 1, 2").fetchall()


def cancelled(connection: Connection) -> list[Any]:
    """Attempt and reason of every plastic that is cancelled."""
    return connection.execute(
        "SELECT attempt, reason FROM decision WHERE kind = 'CANCEL_PLASTIC' ORDER BY 1"
    ).fetchall()


def two_plastics(connection: Connection) -> int:
    """Open breaks TWO_PLASTICS."""
    row = connection.execute("SELECT count(*) FROM break WHERE kind = 'TWO_PLASTICS' AND closed_on IS NULL").fetchone()
    return int(row[0]) if row else 0


# Ages and what is due


def test_ages_count_calendar_and_working_days(ledger: Connection) -> None:
    refs = make_cohort(ledger, 3)
    made(ledger, *refs), received(ledger, refs[0], refs[1]), active(ledger, refs[0])
    decide_on(ledger, 20)
    found = {age.state: age for age in stage_ages(ledger, COHORT, OPENS + timedelta(days=20))}
    assert list(found) == ["HANDED_OVER", "AT_PLACE", "ACTIVE"]
    assert (found["HANDED_OVER"].cards, found["HANDED_OVER"].most_days) == (1, 16)
    # 2025-10-13 to 2025-10-29 with the make-up Saturday 2025-10-11 before it: twelve working days
    assert found["HANDED_OVER"].most_working_days == 12
    assert refused(stage_ages, ledger, "nobody", OPENS) == "COHORT_UNKNOWN"


def test_working_days_of_a_year_without_a_calendar_are_not_guessed() -> None:
    known = OPENS + timedelta(days=7)
    assert working_days(OPENS, known) == sum(1 for n in range(6) if STATE_COUNCIL.add_working_days(OPENS, n) < known)
    assert working_days(OPENS, OPENS.replace(year=2027)) is None


def test_what_comes_due_is_listed_by_clock_and_whom_it_waits_for(ledger: Connection) -> None:
    refs = make_cohort(ledger, 6)
    clocks = due_within(ledger, 40)
    assert clocks == {"MADE": 6, "JOB_ANSWER": 6}
    assert due_within(ledger, 1) == {}
    made(ledger, *refs[:4]), received(ledger, *refs[:3])
    active(ledger, refs[0])
    merge(ledger, report("ICBC", "taken", [item("COLLECTED", refs[1], 8, place="ICBC-001", actors=HOLDER)]))
    letter = [item("HANDED_OVER", refs[4], 5, tracking_no="1234567890123")]
    merge(ledger, report("F-ICBC", "letter", letter, to_place="SF", handover_count=1))
    merge(ledger, report("SF", "posted", [item("POSTED", None, 5, tracking_no="1234567890123")]))
    ledger.execute("UPDATE card SET old_card_generation = 1 WHERE card_ref = %s", (refs[5],))
    decide_on(ledger, 8)
    custody_breaks(ledger, 8)
    found = due_within(ledger, 500, 8)
    # one at its place, one taken, one in the mail, one on its way under H1, one not made, whose old card stops
    assert found == {
        "MADE": 1, "JOB_ANSWER": 6, "CUSTODY": 1, "COLLECTION": 1, "ACTIVATION": 1, "MAIL_NEWS": 1, "OLD_CARD_STOP": 1,
    }  # fmt: skip
    assert set(found) <= set(CLOCKS)
    rows = coming_due(ledger, CITY, OPENS + timedelta(days=8), 366, COHORT)
    kept = next(row for row in rows if row["clock"] == "COLLECTION")
    assert (kept["due_on"], kept["waits_on"]) == (OPENS + timedelta(days=6 + POLICY.keep_days), "ICBC")


def test_a_request_without_an_answer_comes_due(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref)
    decide_on(ledger, 7)
    remake_card(ledger, str(ref), "DAMAGED", "broken", "planner", OPENS)
    decide_on(ledger, 8)
    assert due_within(ledger, 7, 8)["REQUEST"] == 1
    merge(ledger, report("HRSS-BJ", "done", [item("SS_CANCELLED", ref, 9)]))
    decide_on(ledger, 9)
    rows = coming_due(ledger, CITY, OPENS + timedelta(days=9), 7)
    assert [(row["waits_on"], row["reference"]) for row in rows if row["clock"] == "REQUEST"] == [
        ("ICBC", f"{ref}/1 DESTROY")
    ]


def due_within(connection: Connection, days: int, today: int = 0) -> dict[str, int]:
    """How many cards each clock holds, as the command sums them up."""
    rows = coming_due(connection, CITY, OPENS + timedelta(days=today), days)
    counts: dict[str, int] = {}
    for row in summed(rows):
        counts[row["clock"]] = counts.get(row["clock"], 0) + row["cards"]
    return counts


def test_cards_are_found_by_whatever_an_operator_has_in_hand(ledger: Connection) -> None:
    ref, other = make_cohort(ledger, 2)
    merge(ledger, report("F-ICBC", "m", [item("MADE", ref, 2, serial="0A1B")]))
    merge(ledger, report("F-ICBC", "h", [item("HANDED_OVER", ref, 4)], **H1))
    merge(ledger, report("F-ICBC", "l", [item("HANDED_OVER", other, 4, tracking_no="1234567890123")], to_place="SF"))
    ledger.execute("INSERT INTO partner_state (partner) VALUES ('SF'), ('F-ICBC')")

    def found(words: str) -> set[UUID]:
        return {row["card_ref"] for row in find_cards(ledger, words)}

    assert found("A0") == found("H1") == found("0A1B") == {ref}
    assert found("1234567890123") == {other}
    assert found("J1") == {ref, other}
    assert found("nothing") == set()


# Notices


def notices(connection: Connection, ref: UUID) -> list[str]:
    """Templates decided for a card, in the order of their days."""
    rows = connection.execute(
        "SELECT reason FROM decision WHERE card_ref = %s AND kind = 'NOTICE' ORDER BY business_day, attempt, occasion",
        (ref,),
    )
    return [reason for (reason,) in rows.fetchall()]


def test_a_holder_hears_of_each_step_once(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    decide_on(ledger, 0)
    made(ledger, ref), received(ledger, ref)
    for day in (7, 8, 6 + POLICY.reminder_days[0], 6 + POLICY.reminder_days[0] + 1):
        decide_on(ledger, day)
    active(ledger, ref, 30)
    decide_on(ledger, 30)
    decide_on(ledger, 31)
    assert notices(ledger, ref) == ["RECEIVED", "READY", "REMINDER", "OLD_CARD_STOPS"]


def test_nothing_is_said_of_a_step_that_is_over_nor_of_an_old_card_that_is_none(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    ledger.execute("UPDATE card SET kind = 'first'")
    made(ledger, ref), received(ledger, ref), active(ledger, ref)
    decide_on(ledger, 20)
    assert notices(ledger, ref) == []


@pytest.mark.parametrize(("withdrawn", "said"), [("DEATH", []), ("WITHDRAWN", ["CANCELLED"])])
def test_nobody_writes_to_the_dead(ledger: Connection, withdrawn: str, said: list[str]) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref)
    ledger.execute("UPDATE card SET withdrawn = %s", (withdrawn,))
    decide_on(ledger, 40)
    merge(ledger, report("HRSS-BJ", "done", [item("SS_CANCELLED", ref, 41)]))
    decide_on(ledger, 41)
    assert notices(ledger, ref) == said


@pytest.mark.parametrize(("reason", "template"), [("NAME_WRONG", "CORRECTION"), ("OTHER", "REMADE")])
def test_a_card_refused_for_its_data_asks_for_a_correction(ledger: Connection, reason: str, template: str) -> None:
    (ref,) = make_cohort(ledger, 1)
    made(ledger, ref), received(ledger, ref)
    merge(ledger, report("ICBC", "no", [item("REFUSED_BY_HOLDER", ref, 8, reason=reason)]))
    decide_on(ledger, 9)
    assert notices(ledger, ref) == [template]


def test_a_letter_at_a_pick_up_point_is_told_of_with_its_number(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    letter = [item("HANDED_OVER", ref, 4, tracking_no="1234567890123")]
    merge(ledger, report("F-ICBC", "l", letter, to_place="SF", handover_count=1))
    merge(ledger, report("SF", "p", [item("POSTED", None, 5, tracking_no="1234567890123")]))
    decide_on(ledger, 5)
    merge(ledger, report("SF", "w", [item("AT_PICKUP_POINT", None, 8, tracking_no="1234567890123")]))
    decide_on(ledger, 8)
    assert notices(ledger, ref) == ["POSTED", "PICKUP"]
    row = ledger.execute("SELECT carrier_of(d.consignment_id), tracking_no_of(d.consignment_id), place, since"
                         " FROM decision d JOIN card USING (card_ref)"
                         " WHERE d.reason = 'PICKUP'").fetchone()  # fmt: skip
    assert row
    text = Told(ref, *row, (1, 0, [])).text("PICKUP", timedelta(days=POLICY.keep_days))
    assert "SF 1234567890123" in text


def test_every_text_can_be_filled_in() -> None:
    told = Told(UUID(int=1), None, None, "ICBC-001", instant_on(OPENS + timedelta(days=1), 10), (1, 0, []))
    for template in TEMPLATES:
        assert "{" not in told.text(template, timedelta(days=180))
    assert "2026-04-08" in told.text("REMINDER", timedelta(days=180))
