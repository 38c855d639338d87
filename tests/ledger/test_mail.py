"""Letters: their numbers and codes, returns under their own number, numbers used again, events nobody can place."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import (
    CITIES,
    OPENS,
    POLICY,
    REGISTRY,
    custody_breaks,
    decide_all,
    item,
    make_cohort,
    merge,
    report,
    states,
)

from issuance.ledger.connection import Connection, set_business_day
from issuance.membership.obstacles import obstacles
from issuance.proof.rebuild import rebuild_ledger
from issuance.proof.verify import verify_ledger
from issuance.tracking.merge import SoundReport
from issuance.tracking.post import s10_check_digit, s10_contradicts
from issuance.words.lifecycle import MAIL_CODES, MILESTONES

ONE, TWO = "EA473124829CN", "EA287043775CN"
LETTER = {"to_place": "EMS", "handover_count": 1}


def handed_over(ref: UUID, day: int, number: str = ONE, attempt: int = 1) -> SoundReport:
    """A factory gives a carrier a letter."""
    items = [item("HANDED_OVER", ref, day, attempt, tracking_no=number)]
    return report("F-ICBC", f"ho {ref} {day} {number}", items, **LETTER)


def mail(milestone: str, day: int, number: str = ONE, **values: Any) -> SoundReport:
    """A carrier's event of a letter."""
    return report(
        "EMS",
        f"{milestone} {number} {day} {sorted(values)}",
        [item(milestone, None, day, tracking_no=number, **values)],
    )


def made(ref: UUID, day: int = 2) -> SoundReport:
    """What lies before a hand-over, of the factory's part."""
    items = [item(name, ref, day) for name in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]
    return report("F-ICBC", f"made {ref}", items)


def decide_on(connection: Connection, day: int) -> None:
    """Decide as of a day after the opening day."""
    set_business_day(connection, OPENS + timedelta(days=day))
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    connection.execute("INSERT INTO tally VALUES (1, 'WAITING', (SELECT count(*) FROM card)) ON CONFLICT DO NOTHING")
    decide_all(connection)


@pytest.mark.parametrize(("serial", "digit"), [("47312482", 9), ("28704377", 5), ("12345671", 0), ("12345674", 5)])
def test_vectors_of_upu_s10(serial: str, digit: int) -> None:
    assert s10_check_digit(serial) == digit
    assert not s10_contradicts(f"EE{serial}{digit}CN")
    assert s10_contradicts(f"EE{serial}{(digit + 1) % 10}CN")


@pytest.mark.parametrize("number", ["1234567890123", "SF1234567890123", "", "EE473124820C", "ee473124820cn"])
def test_other_shapes_of_tracking_numbers_are_left_alone(number: str) -> None:
    assert not s10_contradicts(number)


def test_a_number_of_s10s_shape_with_a_wrong_check_digit_is_refused_of_giver_and_carrier(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    for sent in (handed_over(ref, 4, "EA473124820CN"), mail("POSTED", 4, "EA473124820CN")):
        assert [refusal.code for refusal in merge(ledger, sent).refused[0]] == ["FIELD_INVALID"]
    assert merge(ledger, handed_over(ref, 4, "1234567890123")).refused[0] == []


@pytest.mark.parametrize(("code", "milestone"), MAIL_CODES.items())
def test_a_carriers_own_code_gives_the_milestone_and_may_not_contradict_it(
    ledger: Connection, code: str, milestone: str
) -> None:
    values = {"reason": "MOVED", "action": "RETURN", "code": code}
    assert merge(ledger, mail("UNKNOWN", 5, **values)).refused[0] == []
    row = ledger.execute(f"SELECT {MILESTONES[milestone].column} FROM consignment").fetchone()
    assert row and row[0]
    other = "POSTED" if milestone != "POSTED" else "LOST"
    assert [r.code for r in merge(ledger, mail(other, 6, **values)).refused[0]] == ["FIELD_INVALID"]


def test_a_code_nobody_knows_says_nothing(ledger: Connection) -> None:
    assert [r.code for r in merge(ledger, mail("UNKNOWN", 5, code="ZZZ")).refused[0]] == ["MILESTONE_UNKNOWN"]
    assert merge(ledger, mail("POSTED", 5, code="ZZZ")).refused[0] == []


@pytest.mark.parametrize("missing", ["reason", "action"])
def test_a_failed_attempt_needs_its_reason_and_its_action(ledger: Connection, missing: str) -> None:
    values = {"reason": "CLOSED", "action": "TRY_AGAIN"} | {missing: None}
    assert [r.code for r in merge(ledger, mail("DELIVERY_FAILED", 5, **values)).refused[0]] == ["FIELD_MISSING"]


WAY: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("POSTED", 4, {}),
    ("DELIVERY_FAILED", 6, {"reason": "CLOSED", "action": "HOLD_FOR_PICKUP"}),
    ("AT_PICKUP_POINT", 7, {}),
    ("RETURNED", 15, {"reason": "NOT_COLLECTED_IN_TIME", "return_tracking_no": TWO}),
)


def back(ledger: Connection, ref: UUID) -> None:
    """A letter that came back, in transit under a number of its own."""
    merge(ledger, made(ref), handed_over(ref, 4))
    merge(ledger, *(mail(name, day, **values) for name, day, values in WAY))
    merge(ledger, mail("IN_TRANSIT", 16, TWO))


def test_a_letter_travels_back_under_a_number_of_its_own(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    back(ledger, ref)
    decide_on(ledger, 17)
    assert states(ledger)[ref] == "RETURNED"
    assert custody_breaks(ledger, 60) == []


def test_a_letter_lost_on_its_way_back_is_made_again(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    back(ledger, ref)
    merge(ledger, mail("LOST", 20, TWO))
    assert ledger.execute("SELECT FROM changed_card WHERE card_ref = %s", (ref,)).fetchone() is not None
    decide_on(ledger, 21)
    assert ledger.execute("SELECT attempt, made, ground FROM remake").fetchall() == [(1, 2, "LOST")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_mail_events_may_come_before_their_hand_over(ledger: Connection, order: tuple[int, ...]) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    reports = [handed_over(ref, 4), mail("POSTED", 4), mail("DELIVERED", 8)]
    merge(ledger, made(ref))
    for position in order:
        merge(ledger, reports[position])
    decide_on(ledger, 20)
    assert states(ledger)[ref] == "COLLECTED"
    assert custody_breaks(ledger, 60) == []


def test_mail_that_matches_no_hand_over_is_a_break_until_it_does(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    merge(ledger, mail("POSTED", 4))
    assert custody_breaks(ledger, 4 + POLICY.handover_days) == []
    assert custody_breaks(ledger, 5 + POLICY.handover_days) == [("UNMATCHED_MAIL", f"M:EMS:{ONE}")]
    merge(ledger, handed_over(ref, 4))
    assert custody_breaks(ledger, 20) == []


def test_a_carrier_does_not_leave_over_mail_that_matches_nothing(ledger: Connection) -> None:
    make_cohort(ledger, 1, "mail")
    merge(ledger, mail("POSTED", 4))
    assert obstacles(ledger, REGISTRY.partner("EMS")) == []
    custody_breaks(ledger, 5 + POLICY.handover_days)
    assert obstacles(ledger, REGISTRY.partner("EMS")) == [("break", f"UNMATCHED_MAIL M:EMS:{ONE}")]
    assert obstacles(ledger, REGISTRY.partner("SF")) == []


def test_a_letter_that_nobody_posts_is_a_break_on_its_day_without_any_other_news(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    merge(ledger, handed_over(ref, 4))
    assert custody_breaks(ledger, 5) == []
    assert custody_breaks(ledger, 4 + POLICY.handover_days) == []
    assert custody_breaks(ledger, 5 + POLICY.handover_days) == [("HANDOVER_COUNT", f"M:EMS:{ONE}")]
    merge(ledger, mail("POSTED", 30))
    assert custody_breaks(ledger, 31) == []


YEAR = 380
USES = ("hand-over", "posted", "delivered")


@pytest.mark.parametrize("order", list(permutations(range(6)))[::17])
def test_a_number_used_again_belongs_to_the_hand_over_within_six_months(
    ledger: Connection, order: tuple[int, ...]
) -> None:
    first, second = make_cohort(ledger, 2, "mail")
    reports = [
        handed_over(first, 4), mail("POSTED", 4), mail("RETURNED", 9, reason="MOVED"),
        handed_over(second, YEAR), mail("POSTED", YEAR + 1), mail("DELIVERED", YEAR + 5),
    ]  # fmt: skip
    merge(ledger, made(first), made(second))
    for position in order:
        merge(ledger, reports[position], day=YEAR + 20)
    decide_on(ledger, YEAR + 6)
    assert states(ledger) == {first: "RETURNED", second: "COLLECTED"}
    assert custody_breaks(ledger, YEAR + 20) == []
    conflicts = ledger.execute("SELECT reference FROM break WHERE kind = 'CONFLICT'").fetchall()
    assert conflicts == []
    assert verify_ledger(ledger, CITIES) == []
    ledger.execute("UPDATE consignment SET used_again = false")
    assert f"consignment M:EMS:{ONE}: used_again differs from its facts" in verify_ledger(ledger, CITIES)
    rebuild_ledger(ledger)
    assert verify_ledger(ledger, CITIES) == []


def test_an_event_long_after_the_only_hand_over_is_anothers_letter(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1, "mail")
    merge(ledger, made(ref), handed_over(ref, 4), mail("POSTED", 4))
    merge(ledger, mail("DELIVERED", YEAR), day=YEAR + 1)
    decide_on(ledger, 12)
    assert states(ledger)[ref] == "POSTED"
    assert custody_breaks(ledger, YEAR + 20) == [("UNMATCHED_MAIL", f"M:EMS:{ONE}")]


def test_a_correction_within_one_use_leaves_the_other_alone(ledger: Connection) -> None:
    first, second = make_cohort(ledger, 2, "mail")
    merge(ledger, made(first), made(second), handed_over(first, 4), mail("POSTED", 4), mail("DELIVERED", 9))
    merge(ledger, handed_over(second, YEAR), mail("POSTED", YEAR + 1), mail("DELIVERED", YEAR + 5), day=YEAR + 20)
    merge(ledger, mail("DELIVERED", YEAR + 5, corrects=True), day=YEAR + 21)
    decide_on(ledger, YEAR + 12)
    assert states(ledger) == {first: "NOT_ACTIVATED", second: "POSTED"}
    assert verify_ledger(ledger, CITIES) == []


# Hand-overs: signed, listed, received


def outlet(ref_days: list[UUID], milestone: str, partner: str, signed: int | None, name: str = "H1") -> SoundReport:
    """A report about a hand-over to an outlet."""
    day = 4 if milestone == "HANDED_OVER" else 6
    items = [item(milestone, ref, day) for ref in ref_days]
    values = {"handover_id": name, "handover_count": signed, "to_place": "ICBC-001"}
    return report(partner, f"{milestone} {name} {len(items)} {signed}", items, **values)


COUNTS = {
    # (signed by the giver, listed, received, signed by the receiver): how many are in question; None: no break
    "as it should be": (3, 3, 3, 3, None),
    "the giver signed for more than was listed": (4, 3, 3, 3, 0),
    "one did not arrive": (3, 3, 2, 2, 1),
    "one arrived that was not listed": (2, 2, 3, 3, 1),
    "the receiver signed for more than was listed as received": (3, 3, 3, 4, 0),
    "the giver did not sign": (None, 3, 3, 3, 0),
}


@pytest.mark.parametrize(("giver", "listed", "received", "receiver", "doubtful"), COUNTS.values(), ids=COUNTS.keys())
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "the receiver first"])
def test_a_hand_over_is_matched_three_ways_and_names_the_plastics_in_question(
    ledger: Connection, giver: int | None, listed: int, received: int, receiver: int, doubtful: int | None,
    backwards: bool,
) -> None:  # fmt: skip
    refs = make_cohort(ledger, 3)
    reports = [
        outlet(refs[:listed], "HANDED_OVER", "F-ICBC", giver),
        outlet(refs[:received], "RECEIVED_AT_PLACE", "ICBC", receiver),
    ]
    merge(ledger, *(made(ref) for ref in refs))
    for sent in reversed(reports) if backwards else reports:
        merge(ledger, sent)
    assert custody_breaks(ledger, 7) == ([] if doubtful is None else [("HANDOVER_COUNT", "H:F-ICBC:H1")])
    if doubtful is not None:
        ((actual,),) = ledger.execute("SELECT actual FROM break").fetchall()
        assert actual.count(str(refs[2])) == doubtful
    held = [ref for ref in refs[: min(listed, received)]]
    merge(ledger, *(report("ICBC", f"c{ref}", [item("COLLECTED", ref, 8, place="ICBC-001", actors=HOLDER)])
                    for ref in held))  # fmt: skip
    decide_on(ledger, 9)
    assert {states(ledger)[ref] for ref in held} == {"COLLECTED"}


HOLDER = [{"role": "HOLDER", "reference": "seen"}]


def test_a_difference_that_is_explained_closes_its_break(ledger: Connection) -> None:
    refs = make_cohort(ledger, 2)
    merge(ledger, outlet(refs, "HANDED_OVER", "F-ICBC", 2), outlet(refs[:1], "RECEIVED_AT_PLACE", "ICBC", 2))
    assert custody_breaks(ledger, 7) == [("HANDOVER_COUNT", "H:F-ICBC:H1")]
    late = [item("RECEIVED_AT_PLACE", refs[1], 8)]
    merge(ledger, report("ICBC", "late", late, handover_id="H1", handover_count=2, to_place="ICBC-001"))
    assert custody_breaks(ledger, 9) == []
