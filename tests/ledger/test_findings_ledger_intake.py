"""Planning, releases, runs and keys: the right outcome of each finding; marks name what is still to be mended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from findings_fixture import event_value, on, open_kinds, settings_of, tell
from ledger_fixture import CITIES, CITY, COHORT, OPENS, REGISTRY, make_cohort, tamper

from issuance.dispatch.openings import due_dispatches
from issuance.dispatch.release import refuse_wave, release_wave
from issuance.dispatch.remake import plan_remakes
from issuance.errors import Misconfigured, Refused
from issuance.intake.accept import finish_submission
from issuance.intake.pending import due_intakes
from issuance.intake.session import answer_operator, open_intake
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import close_cohorts
from issuance.settings import Settings
from issuance.tracking.decide import decide, decide_batch, take_cards
from issuance.vault.partner_keys import add_key, retire_key
from issuance.wire.pauses import pause_partner
from issuance.words.references import card_ref_of

DUE = TODAY + timedelta(days=30)


@pytest.fixture
def own(ledger_url: str) -> Iterator[Settings]:
    """Settings of this module's ledger, empty before and after: for what commits by itself."""
    empty(ledger_url)
    yield settings_of(ledger_url)
    empty(ledger_url)


def put(settings: Settings, cohort_id: str, due: date = DUE, state: str = "ACCEPTED") -> None:
    """A cohort of one card."""
    with connect(settings.database_url) as connection:
        add_cohort(connection, cohort_id, [("ICBC", due)], state=state)


def change(settings: Settings, query: str) -> None:
    """What another part of the product, or time, has written."""
    with connect(settings.database_url) as connection:
        connection.execute(query)


def on_day(settings: Settings, day: date) -> None:
    """Step the business clock."""
    with connect(settings.database_url) as connection:
        set_business_day(connection, day)


@pytest.mark.xfail(strict=True, raises=Refused, reason="I6 a city that is not served stops planning for all")
def test_a_cohort_whose_city_has_no_policy_stops_no_other(own: Settings) -> None:
    put(own, "sound")
    put(own, "elsewhere")
    change(own, "UPDATE cohort SET city = '659000' WHERE cohort_id = 'elsewhere'")
    wave = plan_as(own, "sound", 1, "planner")
    assert wave is not None and wave.plastics == 1


@pytest.mark.xfail(strict=True, raises=Misconfigured, reason="I6 a due date in a year without a calendar")
def test_a_cohort_that_is_due_in_an_unknown_year_stops_no_other(own: Settings, tmp_path: Path) -> None:
    put(own, "sound")
    put(own, "later", state="REGISTERED")
    change(own, "UPDATE cohort SET opens_on = '2026-12-28' WHERE cohort_id = 'later'")
    in_working_days = changed(own, own.database_url, tmp_path, {"due_days": {"count": 7, "unit": "working"}}, {})
    wave = plan_as(in_working_days, "sound", 1, "planner")
    assert wave is not None and wave.plastics == 1


@pytest.mark.parametrize("state", ["REGISTERED", "VALIDATED"])
def test_a_submission_whose_run_is_gone_is_found_again(
    own: Settings, request: pytest.FixtureRequest, state: str
) -> None:
    if state == "VALIDATED":
        reason = "I10 a validated submission whose run is gone"
        request.applymarker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
    put(own, "gone", state="REGISTERED")
    change(own, f"UPDATE submission SET state = '{state}'")
    assert [run["trigger_run_id"] for run in due_intakes(own)] == ["gone.0"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I10 a released wave that nobody sealed")
def test_a_released_wave_that_nobody_sealed_is_found_again(own: Settings) -> None:
    put(own, "c1")
    plan_as(own, "c1", 1, "planner")
    release_wave(own, "c1", 1, "releaser")
    on_day(own, TODAY + timedelta(days=2))
    assert [run["trigger_run_id"] for run in due_dispatches(own)] == ["c1.1"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I12 a cohort that never dispatches never closes")
def test_a_cohort_whose_cards_all_end_before_dispatch_closes(own: Settings) -> None:
    put(own, "ended")
    with connect(own.database_url) as connection:
        value = event_value("MSB", "E1", "WITHDRAWN", card_ref_of("ended", "A0"))
        assert tell(connection, value)[0] is None
        set_business_day(connection, on(2))
    decide(own)
    assert close_cohorts(own) == ["ended"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I15 re-make jobs know no size")
def test_a_remake_job_holds_no_more_than_a_job_may(ledger: Connection) -> None:
    make_cohort(ledger, 1)
    tamper(ledger, "UPDATE release SET remakes_allowed = 100000")
    refs = [uuid4() for _ in range(5001)]
    columns = "cohort_no, submission, file, kind, category, bank, factory, applied_on, due_on, collection_method, place"
    ledger.execute(
        f"INSERT INTO card (card_ref, application_id, line, block, position, state, since, last_attempt, {columns})"
        f" SELECT ref, ref::text, 9 + n, 2, n, 'PLANNED', since, 2, {columns} FROM card,"
        " unnest(%s::uuid[]) WITH ORDINALITY AS r (ref, n)", (refs,),
    )  # fmt: skip
    ledger.execute(
        "INSERT INTO plastic (card_ref, attempt, job_id, bank, factory) SELECT ref, attempt, CASE attempt WHEN 1"
        " THEN 'J1' END, 'ICBC', 'F-ICBC' FROM unnest(%s::uuid[]) ref, generate_series(1, 2) attempt", (refs,),
    )  # fmt: skip
    assert plan_remakes(ledger, on(1)) == len(refs)
    assert ledger.execute("SELECT max(card_count) <= 5000 FROM job").fetchone() == (True,)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I15 one planner of re-makes ignores suspensions")
def test_no_remake_is_planned_for_a_suspended_factory(own: Settings) -> None:
    with connect(own.database_url) as connection:
        make_cohort(connection, 1)
        connection.execute(
            "INSERT INTO plastic (card_ref, attempt, bank, factory) SELECT card_ref, 2, 'ICBC', 'F-ICBC' FROM card"
        )
        connection.execute("UPDATE card SET last_attempt = 2, state = 'PLANNED'")
        pause_partner(connection, "F-ICBC", "SUSPENDED", OPENS)
    plan_as(own, COHORT, 2, "planner")
    with connect(own.database_url) as connection:
        assert connection.execute("SELECT job_id FROM job WHERE wave = 2 AND factory = 'F-ICBC'").fetchall() == []


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I19 a correction's finish overwrites tallies")
def test_a_correction_that_ends_beside_a_pass_leaves_the_tallies_right(own: Settings) -> None:
    put(own, "c1")
    change(
        own,
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " SELECT cohort_no, 1, 'y', 1, true, 'm', 'submitter', 'VALIDATED' FROM cohort",
    )
    ending = threading.Thread(target=finish_submission, args=(open_intake(own, "c1", 1),))
    with connect(own.database_url) as connection:
        assert tell(connection, event_value("MSB", "E1", "WITHDRAWN", card_ref_of("c1", "A0")))[0] is None
        take_cards(connection, OPENS)
        decide_batch(connection, CITY)
        ending.start()
        ending.join(1)  # it has counted, and waits for what this transaction has changed
    ending.join(10)
    with connect(own.database_url) as connection:
        assert [finding for finding in verify_ledger(connection, CITIES) if finding.startswith("tally")] == []


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I26 any number of a wave is planned")
def test_only_the_next_wave_is_planned(own: Settings) -> None:
    put(own, "c1")
    try:
        wave = plan_as(own, "c1", 7, "planner")
    except Refused:
        return
    assert wave is None or wave.wave == 1


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I27 after a refusal nothing is planned, silently")
def test_a_refused_plan_is_planned_again_or_a_break_says_that_it_waits(own: Settings) -> None:
    put(own, "c1")
    plan_as(own, "c1", 1, "planner")
    refuse_wave(own, "c1", 1, "releaser", "not yet")
    on_day(own, TODAY + timedelta(days=3))
    decide(own)
    with connect(own.database_url) as connection:
        kinds = open_kinds(connection)
    assert due_dispatches(own) or kinds


def test_the_submitter_does_not_go_on_past_the_warning_threshold(own: Settings) -> None:
    put(own, "warned", state="REGISTERED")
    change(own, "UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
    try:
        answer_operator(own, "warned", 0, "submitter", True)
    except Refused:
        return
    with connect(own.database_url) as connection:
        assert connection.execute("SELECT state FROM submission").fetchone() == ("WAITING_FOR_OPERATOR",)


def test_another_person_goes_on_past_the_warning_threshold(own: Settings) -> None:
    put(own, "warned", state="REGISTERED")
    change(own, "UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
    answer_operator(own, "warned", 0, "operator", True)
    with connect(own.database_url) as connection:
        assert connection.execute("SELECT state FROM submission").fetchone() == ("VALIDATED",)


@pytest.mark.xfail(strict=True, raises=Refused, reason="I35 the only added key stays while the first one stands")
def test_the_only_added_key_can_be_retired_while_the_first_key_stands(ledger: Connection) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    add_key(ledger, REGISTRY, "F-ICBC", "K2", pem, on(1), "planner", OPENS)
    retire_key(ledger, REGISTRY, "F-ICBC", "K2", on(5), "planner", on(5))
