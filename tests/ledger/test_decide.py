"""Silence has a clock that stands still for the paused; requests are answered; acts that cannot be are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import (
    CITY,
    COHORT,
    OPENS,
    POLICY,
    decide_all,
    fresh_database,
    item,
    make_cohort,
    merge,
    report,
)

from issuance.breaks.explain import resolve_break
from issuance.city.calendar import STATE_COUNCIL
from issuance.city.partners import topic_of
from issuance.clock import end_of
from issuance.dispatch.plan import plan_factories, wave_to_plan
from issuance.dispatch.release import wave_state
from issuance.dispatch.remake import plan_remakes
from issuance.errors import Refused
from issuance.intake.session import answer_operator
from issuance.intake.wait import refused_announcements, wait_for_intake
from issuance.ledger.connection import Connection, connect, migrate, set_business_day
from issuance.membership.acts import SUSPENDED
from issuance.reconcile.closing import open_requests
from issuance.settings import ROOT, Settings
from issuance.tracking.card_breaks import settle_card_breaks
from issuance.tracking.custody import watch_custody
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.replay import replay_message
from issuance.tracking.reports import Reporter, check_items, check_structure
from issuance.tracking.requests import watch_requests
from issuance.tracking.resuming import resume_partner as resume
from issuance.tracking.snapshot import city_values, snapshot_cards
from issuance.wire.kafka import client_options, our_credentials
from issuance.wire.pauses import Limits, PartnerCount, pause_partner
from issuance.wire.refusals import Message, refuse_message
from issuance.words.lifecycle import PAUSES

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
H1 = {"handover_id": "H1", "handover_count": 1, "to_place": "ICBC-001"}
LETTER = {"to_place": "EMS", "handover_count": 1}


def on(day: int) -> date:
    """A day counted from the opening day."""
    return OPENS + timedelta(days=day)


def pause(connection: Connection, partner: str) -> None:
    """Pause a partner."""
    pause_partner(connection, partner, "RUN", OPENS)


def open_breaks(connection: Connection) -> list[tuple[str, str]]:
    """Kind and reference of every open break."""
    return connection.execute("SELECT kind, reference FROM break WHERE closed_on IS NULL ORDER BY 1, 2").fetchall()


def decided(connection: Connection, kind: str) -> list[str]:
    """The reasons of the decisions of a kind."""
    return [r for (r,) in connection.execute("SELECT reason FROM decision WHERE kind = %s", (kind,)).fetchall()]


# Clocks of silence: the same rules for a job, a hand-over, a letter and a request


def silent_job(connection: Connection, day: int) -> None:
    watch_jobs(connection, CITY, on(day))


def silent_handover(connection: Connection, day: int) -> None:
    watch_custody(connection, on(day), city_values(CITY, on(day)))


def silent_request(connection: Connection, day: int) -> None:
    watch_requests(connection, on(day))


def ask(connection: Connection, ref: UUID, occasion: str, partner: str, due: int = 20) -> None:
    """A request, decided on the opening day."""
    connection.execute(
        "INSERT INTO decision (card_ref, attempt, kind, occasion, request, consignment_id, reason, partner, due_on,"
        " business_day, decided_by) VALUES (%s, 1, 'REQUEST', %s, %s, nullif(%s, ''), 'EXPIRED', %s, %s, %s, 'policy')",
        (ref, occasion, *occasion.partition(":")[::2], partner, on(due), OPENS),
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


# Deadlines of cards


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
    pause(ledger, "EMS")
    set_business_day(ledger, on(5 + POLICY.lost_after_days))
    decide_all(ledger)
    assert decided(ledger, "REMAKE") == []
    resume(ledger, "EMS", on(5 + POLICY.lost_after_days))
    set_business_day(ledger, on(6 + POLICY.lost_after_days))
    decide_all(ledger)
    assert decided(ledger, "REMAKE") == ["POSTED"]


# Answers to requests


def returned_letter(connection: Connection) -> UUID:
    """A letter that came back and is asked to be handed out again."""
    ref = make_cohort(connection, 1, "mail")[0]
    post(connection, ref)
    ask(connection, ref, "HAND_OUT:M:EMS:T1", "F-ICBC")
    return ref


def test_a_newer_consignment_answers_hand_out(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    merge(ledger, report("F-ICBC", "o", [item("HANDED_OVER", ref, 3, tracking_no="T0")], **LETTER))
    assert len(open_requests(ledger, 1)) == 1
    merge(ledger, report("F-ICBC", "n", [item("HANDED_OVER", ref, 12, tracking_no="T2")], **LETTER))
    assert open_requests(ledger, 1) == []


def test_collection_answers_hand_out(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    merge(ledger, report("ICBC", "c", [item("COLLECTED", ref, 12, place="ICBC-001", actors=HOLDER)]))
    assert open_requests(ledger, 1) == []


def test_hand_out_falls_away_when_the_plastic_is_cancelled(ledger: Connection) -> None:
    ref = returned_letter(ledger)
    ledger.execute(
        "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
        " VALUES (%s, 1, 'CANCEL_PLASTIC', '', 'DEATH', %s, 'policy')",
        (ref, OPENS),
    )
    assert open_requests(ledger, 1) == []


@pytest.mark.parametrize("answer", ["ITEM_REFUSED", "JOB_REFUSED", "MADE"])
def test_cancel_is_answered_in_time_or_too_late(ledger: Connection, answer: str) -> None:
    ref = make_cohort(ledger, 1)[0]
    ask(ledger, ref, "CANCEL", "F-ICBC")
    assert len(open_requests(ledger, 1)) == 1
    head = {"kind": "JOB", "job_id": "J1"} if answer == "JOB_REFUSED" else {}
    merge(ledger, report("F-ICBC", "x", [item(answer, None if head else ref, 2, reason="CANCELLED")], **head))
    assert open_requests(ledger, 1) == []


# Re-makes past the release


def break_of(connection: Connection, reference: str) -> str:
    """The break about something."""
    row = connection.execute("SELECT break_id::text FROM break WHERE reference = %s", (reference,)).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize(
    ("reference", "code"),
    [("seen", None), ("0123456789012345", None), ("王小明", "FIELD_INVALID"), ("11010519491231002X", "FIELD_INVALID"),
     ("110105491231002", "FIELD_INVALID"), ("13800000000", "FIELD_INVALID")],
)  # fmt: skip
def test_who_took_part_is_a_reference_and_no_person(ledger: Connection, reference: str, code: str | None) -> None:
    (ref,) = make_cohort(ledger, 1)
    taken = item("COLLECTED", ref, 8, place="ICBC-001", actors=[{"role": "PROXY", "reference": reference}])
    refused = merge(ledger, report("ICBC", "c", [taken])).refused[0]
    assert [refusal.code for refusal in refused] == ([code] if code else [])


def test_a_resolved_remake_limit_opens_again_when_more_is_wanted(ledger: Connection) -> None:
    refs = make_cohort(ledger, 3)
    ledger.execute("UPDATE release SET remakes_allowed = 0")
    wanted = (
        "INSERT INTO plastic (card_ref, attempt, bank, factory) SELECT card_ref, 2, 'ICBC', 'F-ICBC' FROM card"
        " WHERE card_ref = ANY (%s) ON CONFLICT DO NOTHING"
    )
    ledger.execute(wanted, (refs[:1],))
    assert plan_remakes(ledger, on(1)) == 0
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.1.1")]
    ledger.execute(wanted, (refs[:2],))
    assert plan_remakes(ledger, on(2)) == 0
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.1.1")], "one at a time"
    (break_id,) = ledger.execute("SELECT break_id::text FROM break").fetchone() or ("",)
    resolve_break(ledger, break_id, "planner", "one is enough", on(2))
    plan_remakes(ledger, on(3))
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.2.1")]
    resolve_break(ledger, break_of(ledger, "1.1.2.1"), "planner", "a wave of their own", on(3))
    ledger.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " VALUES (1, 2, 'planner', '{submitter}', %s, 2, '{}')", (on(3),)
    )  # fmt: skip
    plan_remakes(ledger, on(4))
    assert open_breaks(ledger) == [("REMAKE_LIMIT", "1.1.2.2")], "as many again, after a wave was planned"
    assert ledger.execute("SELECT count(*) FROM plastic WHERE job_id IS NULL").fetchone() == (2,)


# Reports


def structure(items: list[dict[str, Any]], **head: Any) -> str | None:
    """What a report of F-ICBC is refused with as a whole."""
    return check_structure(report("F-ICBC", "r", items, **head).value, Reporter("F-ICBC", "factory"))


def test_a_job_report_has_exactly_one_item_without_card_ref() -> None:
    job = {"kind": "JOB", "job_id": "J1"}
    accepted = item("JOB_ACCEPTED", None, 1)
    assert structure([accepted], **job) is None
    assert structure([accepted, accepted], **job) == "JOB_INVALID"
    assert structure([item("JOB_ACCEPTED", UUID(int=1), 1)], **job) == "JOB_INVALID"


def test_a_report_has_a_thousand_items_at_most() -> None:
    items = [item("MADE", UUID(int=n), 1) for n in range(1001)]
    assert structure(items[:1000]) is None
    assert structure(items) == "TOO_MANY"


@pytest.mark.parametrize(
    ("milestone", "actors", "code"),
    [
        ("DESTROYED", WITNESSES, None),
        ("DESTROYED", WITNESSES[:1], "FIELD_MISSING"),
        ("DESTROYED", [WITNESSES[0], WITNESSES[0]], "FIELD_MISSING"),
        ("DESTROYED", [WITNESSES[0], HOLDER[0]], "FIELD_MISSING"),
        ("COLLECTED", HOLDER, None),
        ("COLLECTED", [{"role": "NEIGHBOUR", "reference": "n"}], "ROLE_UNKNOWN"),
    ],
)
def test_actors_have_known_roles_and_destruction_two_witnesses(
    milestone: str, actors: list[dict[str, str]], code: str | None
) -> None:
    value = report("ICBC", "r", [item(milestone, UUID(int=1), 1, place="ICBC-001", actors=actors)]).value
    _, refused = check_items(value, 0, Reporter("ICBC", "bank"), end_of(on(2)))
    assert [refusal.code for refusal in refused] == ([code] if code else [])


def test_the_codes_of_a_pause_are_a_table() -> None:
    limits = Limits()
    tripped = {
        PartnerCount(0, 0, limits.run).tripped(limits),
        PartnerCount(limits.enough, limits.enough, 0).tripped(limits),
    }
    assert tripped | {SUSPENDED} == set(PAUSES)


# Dead letters


def refused(report_id: str, offset: int = 7) -> Message:
    """A report that is refused."""
    value = {"report_id": report_id}
    return Message("issuance.production.F-ICBC.v1", 0, offset, "F-ICBC", b"k", b"raw", (), value)


def replays(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM outbox WHERE ce_id LIKE 'replay/%'").fetchone()
    return int(row[0]) if row else 0


def test_a_dead_letter_is_sent_again_each_time_until_it_is_applied(ledger: Connection) -> None:
    from issuance.wire.outbox import write_outbox

    ref = make_cohort(ledger, 1)[0]
    message = refused("r1")
    place = (message.topic, message.partition, message.offset)
    write_outbox(ledger, refuse_message(ledger, message, "HASH_DIFFERS", OPENS), OPENS)
    replay_message(ledger, *place, OPENS)
    replay_message(ledger, *place, OPENS)
    assert replays(ledger) == 2
    merge(ledger, report("F-ICBC", "r1", [item("MADE", ref, 1)]))
    with pytest.raises(Refused, match="ALREADY_APPLIED"):
        replay_message(ledger, *place, OPENS)
    with pytest.raises(Refused, match="DEAD_LETTER_UNKNOWN"):
        replay_message(ledger, message.topic, 0, 99, OPENS)
    assert replays(ledger) == 2


# Acts of operators, on a ledger of their own


@pytest.fixture(scope="module")
def own(database: Settings) -> Settings:
    """A ledger with the released cohort of two cards, of which none waits."""
    url = fresh_database(database.database_url, "ledger_acts")
    migrate(url)
    with connect(url) as connection:
        make_cohort(connection, 2)
    return replace(database, database_url=url)


def test_planning_when_nothing_waits_is_refused_at_the_command(own: Settings) -> None:
    with connect(own.database_url) as connection:
        with pytest.raises(Refused, match="NOTHING_WAITING"):
            wave_to_plan(connection, COHORT)
        with pytest.raises(Refused, match="COHORT_UNKNOWN"):
            wave_to_plan(connection, "nobody")
        connection.execute("UPDATE card SET last_attempt = 0")
        assert wave_to_plan(connection, COHORT) == 2
        connection.rollback()


def test_a_run_with_nothing_to_plan_makes_no_wave(own: Settings) -> None:
    assert plan_factories(own, COHORT, 2, "planner") == []
    assert wave_state(own, COHORT, 1) == "released"
    assert wave_state(own, COHORT, 2) == "absent"


EXECUTE = """
import sys
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from dags.approvals import IntakeApproval, ReleaseApproval
kind = {"release": ReleaseApproval, "intake": IntakeApproval}[sys.argv[1]]
conf = {"cohort_id": "test-1", "wave": sys.argv[2], "submission": 0}
try:
    kind.execute.__wrapped__(kind(task_id="t", subject="s"), {"dag_run": SimpleNamespace(conf=conf)})
except (AirflowFailException, AirflowSkipException) as error:
    print("ended", type(error).__name__, str(error).split(":")[0])
else:
    print("ended without asking")
"""


@pytest.mark.parametrize(
    ("kind", "wave", "ends", "known"),
    [
        ("release", "2", "AirflowSkipException wave 2 of test-1", True),
        ("release", "1", "without asking", True),
        ("release", "3", "AirflowFailException NOBODY_MAY_RELEASE", True),
        ("release", "1", "AirflowFailException SETTINGS_MISSING", False),
        ("intake", "1", "AirflowFailException SETTINGS_MISSING", False),
    ],
)
def test_an_approval_asks_the_ledger_first_and_fails_at_once(
    waiting: Settings, tmp_path: Path, kind: str, wave: str, ends: str, known: bool
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KAFKA", "DATABASE"))}
    env |= {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if known:
        env |= {"DATABASE_URL": waiting.database_url, "AIRFLOW_API_URL": "http://127.0.0.1:9"}
    else:
        env["ISSUANCE_STACK_DIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", EXECUTE, kind, wave], env=env, capture_output=True, text=True)
    assert f"ended {ends}" in done.stdout, done.stderr[-1500:]


@pytest.fixture
def waiting(own: Settings) -> Iterator[Settings]:
    """A third wave that is planned and not released."""
    with connect(own.database_url) as connection:
        connection.execute(
            "INSERT INTO wave SELECT cohort_no, 3, planned_by, submitters, planned_on, 0, '{}' FROM wave"
        )
    yield own
    with connect(own.database_url) as connection:
        connection.execute("DELETE FROM wave WHERE wave = 3")


@pytest.fixture
def asking(own: Settings) -> Iterator[Settings]:
    """The submission past the warning threshold."""
    with connect(own.database_url) as connection:
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
        connection.execute("UPDATE cohort SET state = 'REGISTERED'")
    yield own


def told(settings: Settings) -> list[str]:
    """The ids of the cohort events."""
    with connect(settings.database_url) as connection:
        rows = connection.execute("SELECT ce_id FROM outbox WHERE topic = %s", (topic_of("cohort-events"),))
        return [ce_id for (ce_id,) in rows.fetchall()]


def test_an_operators_refusal_is_told_and_going_on_is_not(asking: Settings) -> None:
    answer_operator(asking, COHORT, 0, "planner", False)
    answer_operator(asking, COHORT, 0, "planner", False)
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]
    with connect(asking.database_url) as connection:
        assert connection.execute("SELECT state FROM cohort").fetchone() == ("REFUSED",)
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
    answer_operator(asking, COHORT, 0, "planner", True)
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]


def refuse_announcement(settings: Settings, sha256: str, offset: int) -> None:
    """The consumer refuses a package's announcement."""
    value = {"cohort_id": COHORT, "sha256": sha256}
    message = Message(topic_of("cohort-submissions"), 0, offset, None, None, b"", (), value)
    with connect(settings.database_url) as connection:
        refuse_message(connection, message, "ID_REUSED", OPENS)


def test_waiting_for_a_package_whose_announcement_is_refused_ends(own: Settings) -> None:
    refuse_announcement(own, "other", 1)
    refuse_announcement(own, "mine", 2)
    known = set(refused_announcements(own, COHORT))
    with pytest.raises(TimeoutError):
        wait_for_intake(own, COHORT, "mine", known, _no_more_patience)
    refuse_announcement(own, "mine", 3)
    with pytest.raises(Refused, match="SUBMISSION_REFUSED") as caught:
        wait_for_intake(own, COHORT, "mine", known, _no_more_patience)
    assert caught.value.details == {"reason": "ID_REUSED"}


def _no_more_patience(seconds: float) -> None:
    raise TimeoutError


def test_the_mechanism_of_the_settings_is_used(database: Settings) -> None:
    other = replace(database, kafka_sasl_mechanism="SCRAM-SHA-512")
    assert client_options(our_credentials(other))["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "business_clock" not in asdict(database)
