"""Cards made at an outlet for applications still in intake: their facts wait, reach the card, or are refused."""

from __future__ import annotations

import pytest
from findings_fixture import codes_of, decide_on, on
from ledger_fixture import CITIES, CITY, POLICY, item, merge, report
from waiting_fixture import DAY, REF, accept, begin_intake, duplicate

from issuance.ledger.connection import Connection, business_day, set_business_day
from issuance.proof.rebuild import rebuild_ledger
from issuance.proof.verify import verify_ledger
from issuance.tracking.waiting_items import take_waiting_items
from issuance.wire.avro import decode_body

INSTANT = item("ISSUED_INSTANTLY", REF, 2, attempt=0, place="ICBC-001")
ACTIVE = item("SS_ACTIVATED", REF, 2, attempt=0, place="ICBC-001")


@pytest.fixture
def intake(ledger: Connection) -> Connection:
    """A cohort in intake, of which an outlet has already made a card."""
    begin_intake(ledger)
    assert codes_of(merge(ledger, report("ICBC", "i", [INSTANT]), day=DAY)) == []
    return ledger


def take(connection: Connection) -> int:
    return take_waiting_items(connection, CITY, business_day(connection))


def waiting(connection: Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM waiting_item").fetchone() or (0,)
    return int(count)


def plastics(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT card_ref, attempt, bank, issued_instantly IS NOT NULL FROM plastic ORDER BY 1, 2"
    ).fetchall()


def wrong_numbers(connection: Connection) -> list[str]:
    return [finding for finding in verify_ledger(connection, CITIES) if "report" in finding]


def refusals(connection: Connection) -> list[tuple[str, str, list[tuple[int, str]]]]:
    bodies = connection.execute("SELECT body FROM outbox WHERE record = 'partner_notice'").fetchall()
    notices = [decode_body("partner_notice", bytes(body)) for (body,) in bodies]
    return [
        (one["partner"], one["report_id"], [(item["index"], item["code"]) for item in one["refusals"]])
        for one in notices
        if one["kind"] == "ITEM_REFUSED"
    ]


def test_they_reach_the_card_when_its_application_is_accepted(intake: Connection) -> None:
    assert (take(intake), waiting(intake), plastics(intake), wrong_numbers(intake)) == (0, 1, [], [])
    accept(intake)
    assert (take(intake), waiting(intake), plastics(intake)) == (1, 0, [(REF, 0, "ICBC", True)])
    decide_on(intake, DAY)
    assert intake.execute("SELECT state FROM card").fetchone() == ("COLLECTED",)
    rebuild_ledger(intake)
    assert plastics(intake) == [(REF, 0, "ICBC", True)]
    assert (wrong_numbers(intake), take(intake), refusals(intake)) == ([], 0, [])


def test_a_correction_that_waits_too_counts(intake: Connection) -> None:
    merge(intake, report("ICBC", "x", [INSTANT | {"corrects": True}]))
    accept(intake)
    assert (take(intake), plastics(intake)) == (2, [(REF, 0, "ICBC", False)])


def test_those_of_a_duplicate_go_to_the_accepted_card(intake: Connection) -> None:
    first = duplicate(intake)
    assert (take(intake), plastics(intake)) == (1, [(first, 0, "ICBC", True)])
    merge(intake, report("HRSS-BJ", "a", [ACTIVE]))
    assert (waiting(intake), take(intake)) == (1, 1), "what is said of the duplicate later, too"
    assert intake.execute("SELECT ss_activated IS NOT NULL FROM plastic").fetchall() == [(True,)]


def test_another_banks_is_refused_when_its_card_is_known(intake: Connection) -> None:
    merge(intake, report("ABC", "b", [ACTIVE, INSTANT]))
    accept(intake)
    assert take(intake) == 2, "ABC reports no activation of social security: that was refused at once"
    assert plastics(intake) == [(REF, 0, "ICBC", True)]
    assert refusals(intake)[-1] == ("ABC", "b", [(1, "NO_RELATION")])
    assert wrong_numbers(intake) == []


def test_what_waits_too_long_is_refused_to_its_reporter_with_a_break(intake: Connection) -> None:
    set_business_day(intake, on(DAY + POLICY.event_days))
    assert take(intake) == 0
    set_business_day(intake, on(DAY + POLICY.event_days + 1))
    assert (take(intake), waiting(intake), plastics(intake)) == (1, 0, [])
    assert intake.execute("SELECT kind, reference, answers_for FROM break WHERE closed_on IS NULL").fetchall() == [
        ("ITEM_UNMATCHED", "ICBC/i/0", "ICBC")
    ]
    assert refusals(intake) == [("ICBC", "i", [(0, "PLASTIC_UNKNOWN")])]
    assert wrong_numbers(intake) == []
