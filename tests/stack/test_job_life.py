"""A job's whole life on the real ledger: answers late, repeated and reordered, sends, moves and keys that change."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ledger_fixture import (
    CITIES,
    CITY,
    COHORT,
    OPENS,
    POLICY,
    REGISTRY,
    decide_all,
    item,
    make_cohort,
    merge,
    report,
    tamper,
)

from issuance.city.calendar import STATE_COUNCIL
from issuance.dispatch.job_acts import reassign_job, resend_job
from issuance.dispatch.jobs import JOB_STATES, list_jobs
from issuance.errors import Broken, Refused
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.proof.verify import verify_ledger
from issuance.reconcile.equations import JOB, ORDER, balance
from issuance.settings import Settings
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.requests import watch_requests
from issuance.vault.objects import ObjectStore

OBJECT = "factories/F-ICBC/jobs/J1.jwe"
RECEIPT = {"card_count": 3, "sha256": hashlib.sha256(b"sealed").hexdigest()}
FAR = OPENS + timedelta(days=60)


@pytest.fixture
def store(stack: Settings) -> ObjectStore:
    """S3 with the file of job J1."""
    found = ObjectStore.of(stack)
    found.put(OBJECT, b"sealed")
    return found


@pytest.fixture
def refs(ledger: Connection, store: ObjectStore) -> list[UUID]:
    """Three cards of F-ICBC in the sent job J1."""
    return sent_job(ledger)


def sent_job(connection: Connection) -> list[UUID]:
    """The cohort of three cards, its job J1 stored under OBJECT."""
    refs = make_cohort(connection, 3)
    tamper(connection, "UPDATE sealed_job SET object = %s, sha256 = %s", (OBJECT, RECEIPT["sha256"]))
    connection.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    return refs


def of_job(milestone: str, job_id: str = "J1", factory: str = "F-ICBC", **values: Any) -> Any:
    """A report about a whole job."""
    reason = {"JOB_REFUSED": "CAPACITY"}.get(milestone)
    return report(
        factory, f"{job_id}-{milestone}", [item(milestone, None, 1, reason=reason)], kind="JOB", job_id=job_id, **values
    )


def receipt(connection: Connection, **wrong: Any) -> Any:
    """The factory's receipt of J1, right but for what is given."""
    (total,) = connection.execute("SELECT hash_total FROM job WHERE job_id = 'J1'").fetchone() or ("",)
    return of_job("JOB_RECEIVED", **({**RECEIPT, "hash_total": total} | wrong))


def state(connection: Connection, job_id: str = "J1") -> str:
    """A job's state."""
    (found,) = list_jobs(connection, None, job_id)
    return str(found["state"])


def outbox(connection: Connection, pattern: str) -> list[str]:
    """The ids of messages like a pattern."""
    rows = connection.execute("SELECT ce_id FROM outbox WHERE ce_id LIKE %s ORDER BY id", (pattern,)).fetchall()
    return [ce_id for (ce_id,) in rows]


def of_card(milestone: str, ref: UUID, day: int, attempt: int = 1, **values: Any) -> Any:
    """A factory's report about one plastic."""
    reason = {"ITEM_REFUSED": "DATA_UNREADABLE", "SPOILED": "CHIP_FAULT"}.get(milestone)
    line = item(milestone, ref, day, attempt, **({"reason": reason} | values))
    head = {"handover_id": "H1", "handover_count": 1, "to_place": "ICBC-001"} if milestone == "HANDED_OVER" else {}
    return report("F-ICBC", f"{milestone}-{ref}-{day}-{values.get('reason')}", [line], **head)


def test_each_state_of_a_job_is_reached(ledger: Connection, refs: list[UUID]) -> None:
    seen = [state(ledger)]

    def step(*reports: Any) -> None:
        merge(ledger, *reports)
        seen.append(state(ledger))

    step(receipt(ledger))
    step(of_job("JOB_ACCEPTED"))
    step(of_card("ITEM_REFUSED", refs[0], 1))
    step(of_card("MADE", refs[1], 3))
    step(of_card("SPOILED", refs[2], 3))
    step(of_card("HANDED_OVER", refs[1], 5))
    assert seen == [
        "sent", "received", "accepted", "accepted_in_part", "in_production", "in_production", "complete"
    ]  # fmt: skip
    tamper(ledger, "DELETE FROM sealed_job")
    ledger.execute("UPDATE plastic SET item_refused = NULL, made = NULL, spoiled = NULL")
    ledger.execute("UPDATE job SET job_received = NULL, job_accepted = NULL")
    ledger.execute("DELETE FROM plastic_in_consignment")
    seen.append(state(ledger))
    tamper(ledger, "DELETE FROM release")
    seen.append(state(ledger))
    assert seen[-2:] == ["released", "planned"]
    assert {*seen, "cancelled", "cancelling", "refused"} == {found.name for found in JOB_STATES}


def test_a_job_refused_as_a_whole_is_made_by_the_backup_factory(ledger: Connection, refs: list[UUID]) -> None:
    merge(ledger, of_job("JOB_REFUSED"))
    assert state(ledger) == "refused"
    decide_all(ledger)
    again = ledger.execute("SELECT DISTINCT factory, count(*) FROM plastic WHERE attempt = 2 GROUP BY 1").fetchall()
    assert again == [(REGISTRY.backup_of("ICBC"), 3)]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"card_count": 2}, "COUNT_DIFFERS"), ({"hash_total": "0" * 16}, "HASH_DIFFERS"),
     ({"sha256": "x"}, "HASH_DIFFERS"), ({"card_count": None}, "FIELD_MISSING")],
)  # fmt: skip
def test_a_receipt_that_differs_from_the_job_is_no_receipt(
    ledger: Connection, refs: list[UUID], wrong: dict[str, Any], code: str
) -> None:
    merge(ledger, receipt(ledger, **wrong))
    assert ledger.execute("SELECT code FROM refused_item").fetchall() == [(code,)]
    assert state(ledger) == "sent"
    merge(ledger, report("F-ICBC", "right", receipt(ledger).value["items"], **{
        name: receipt(ledger).value[name] for name in ("kind", "job_id", "card_count", "hash_total", "sha256")
    }))  # fmt: skip
    assert state(ledger) == "received"


def test_another_factorys_receipt_is_refused(ledger: Connection, refs: list[UUID]) -> None:
    merge(ledger, of_job("JOB_ACCEPTED", factory="F-ABC"))
    assert ledger.execute("SELECT code FROM refused_item").fetchall() == [("NO_RELATION",)]
    assert state(ledger) == "sent"


# Sending again


def test_a_job_is_sent_again_with_the_same_bytes(ledger: Connection, refs: list[UUID], store: ObjectStore) -> None:
    resend_job(ledger, store, "J1", "planner")
    resend_job(ledger, store, "J1", "planner")
    assert outbox(ledger, "J1/ORDER%") == ["J1/ORDER/1", "J1/ORDER/2"]
    bodies = ledger.execute("SELECT DISTINCT body FROM outbox WHERE ce_id LIKE 'J1/ORDER%'").fetchall()
    assert len(bodies) == 1
    assert ledger.execute("SELECT subject, \"user\" FROM audit WHERE act = 'resend'").fetchall() == [
        ("J1", "planner")
    ] * 2  # fmt: skip


def test_what_is_answered_altered_or_unknown_is_not_sent_again(
    ledger: Connection, refs: list[UUID], store: ObjectStore
) -> None:
    with pytest.raises(Refused, match="JOB_UNKNOWN"):
        resend_job(ledger, store, "J2", "planner")
    store.put(OBJECT, b"altered")
    with pytest.raises(Broken, match="OBJECT_ALTERED"):
        resend_job(ledger, store, "J1", "planner")
    merge(ledger, of_job("JOB_ACCEPTED"))
    with pytest.raises(Refused, match="ALREADY_ANSWERED"):
        resend_job(ledger, store, "J1", "planner")
    assert outbox(ledger, "J1/ORDER%") == []


# Moving to another factory


def reassign(connection: Connection, factory: str | None = None, reason: str = "flood") -> tuple[str, int]:
    """Move J1."""
    return reassign_job(connection, REGISTRY, "J1", factory, reason, "planner")


def new_job(connection: Connection) -> str:
    """The job that replaces J1."""
    (job_id,) = connection.execute("SELECT job_id FROM job WHERE job_id <> 'J1'").fetchone() or ("",)
    return str(job_id)


def test_a_job_moves_to_the_backup_and_is_cancelled_first(ledger: Connection, refs: list[UUID]) -> None:
    assert reassign(ledger) == (COHORT, 2)
    assert state(ledger) == "cancelling"
    assert state(ledger, new_job(ledger)) == "planned"
    assert outbox(ledger, "J1/CANCEL") == ["J1/CANCEL"]
    decide_all(ledger)
    merge(ledger, report("F-ICBC", "in-time", [item("ITEM_REFUSED", ref, 2, reason="CANCELLED") for ref in refs]))
    decide_all(ledger)
    assert state(ledger) == "cancelled"
    assert ledger.execute("SELECT count(*) FROM plastic WHERE attempt = 2 AND factory = 'F-RESERVE'").fetchone() == (3,)
    assert ledger.execute("SELECT count(*) FROM plastic WHERE attempt = 3").fetchone() == (0,)


def test_a_moved_job_needs_a_release_of_its_own(ledger: Connection, refs: list[UUID]) -> None:
    reassign(ledger)
    row = ledger.execute("SELECT planned_by, submitters FROM wave WHERE wave = 2").fetchone()
    assert row == ("planner", ["submitter"])
    assert ledger.execute("SELECT count(*) FROM release WHERE wave = 2").fetchone() == (0,)


def test_what_is_made_already_goes_on_and_the_rest_moves(ledger: Connection, refs: list[UUID]) -> None:
    merge(ledger, of_job("JOB_ACCEPTED"), of_card("MADE", refs[0], 3))
    reassign(ledger)
    assert outbox(ledger, "J1/CANCEL") == [], "a job of which something is made is not cancelled as a whole"
    decide_all(ledger)
    moved = {ref for (ref,) in ledger.execute("SELECT card_ref FROM plastic WHERE attempt = 2").fetchall()}
    assert moved == set(refs[1:])
    asked = ledger.execute("SELECT card_ref FROM request WHERE kind = 'CANCEL'").fetchall()
    assert {ref for (ref,) in asked} == moved


def test_a_late_plastic_of_the_old_factory_does_not_stand_unnoticed(ledger: Connection, refs: list[UUID]) -> None:
    reassign(ledger)
    decide_all(ledger)
    merge(ledger, of_card("MADE", refs[0], 4))
    decide_all(ledger)
    cancelled = ledger.execute("SELECT DISTINCT reason FROM decision WHERE kind = 'CANCEL_PLASTIC'").fetchall()
    assert cancelled == [("REASSIGNED",)]
    asked = ledger.execute("SELECT kind FROM request ORDER BY kind").fetchall()
    assert ("CANCEL_SS",) in asked


@pytest.mark.parametrize(
    ("factory", "reason", "code"),
    [("F-ICBC", "flood", "FACTORY_UNKNOWN"), ("ICBC", "flood", "FACTORY_UNKNOWN"), ("F-NONE", "x", "FACTORY_UNKNOWN"),
     (None, "  ", "REASON_MISSING")],
)  # fmt: skip
def test_a_move_names_another_factory_and_a_reason(
    ledger: Connection, refs: list[UUID], factory: str | None, reason: str, code: str
) -> None:
    with pytest.raises(Refused, match=code):
        reassign(ledger, factory, reason)
    assert state(ledger) == "sent"


def test_what_has_ended_is_not_moved(ledger: Connection, refs: list[UUID]) -> None:
    reassign(ledger)
    with pytest.raises(Refused, match="JOB_ENDED"):
        reassign(ledger)


def test_nothing_is_left_to_move(ledger: Connection, refs: list[UUID]) -> None:
    merge(ledger, *(of_card("MADE", ref, 3) for ref in refs))
    with pytest.raises(Refused, match="NOTHING_TO_MOVE"):
        reassign(ledger)


# Timers: a notice and a break, never silence


def test_a_silent_factory_gets_a_notice_once_and_a_break_opens(ledger: Connection, refs: list[UUID]) -> None:
    late = STATE_COUNCIL.add_working_days(OPENS, POLICY.answer_days) + timedelta(days=1)
    watch_jobs(ledger, CITY, late - timedelta(days=1))
    assert outbox(ledger, "F-ICBC/MISSING/%") == []
    for day in (late, late + timedelta(days=1)):
        watch_jobs(ledger, CITY, day)
    assert outbox(ledger, "F-ICBC/MISSING/%") == ["F-ICBC/MISSING//J1/answer"]
    opened = ledger.execute("SELECT kind, reference, actual FROM break WHERE closed_on IS NULL").fetchall()
    assert opened == [("JOB_UNANSWERED", "J1", "not received")]
    merge(ledger, of_job("JOB_ACCEPTED"))
    watch_jobs(ledger, CITY, late + timedelta(days=2))
    assert ledger.execute("SELECT count(*) FROM break WHERE closed_on IS NULL").fetchone() == (0,)


def test_overdue_plastics_are_a_notice_to_their_factory_and_a_break_each(ledger: Connection, refs: list[UUID]) -> None:
    merge(ledger, of_job("JOB_ACCEPTED"))
    set_business_day(ledger, OPENS + timedelta(days=31))
    ledger.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    decide_all(ledger)
    watch_jobs(ledger, CITY, OPENS + timedelta(days=31))
    assert outbox(ledger, "F-ICBC/MISSING/%") == ["F-ICBC/MISSING//J1/overdue"]
    assert ledger.execute("SELECT count(*) FROM break WHERE kind = 'OVERDUE'").fetchone() == (3,)
    assert [job["late"] for job in list_jobs(ledger)] == [True]


def test_an_unanswered_request_is_asked_once_more_under_its_id(ledger: Connection, refs: list[UUID]) -> None:
    ledger.execute("UPDATE card SET withdrawn = 'WITHDRAWN' WHERE card_ref = %s", (refs[0],))
    decide_all(ledger)
    (first,) = outbox(ledger, "F-ICBC/REQUESTED/%")
    for days in (7, 8, 9):
        watch_requests(ledger, OPENS + timedelta(days=days))
    assert outbox(ledger, "F-ICBC/REQUESTED/%") == [first, first + "/overdue"]
    assert ledger.execute("SELECT kind FROM break WHERE closed_on IS NULL").fetchall() == [("REQUEST_OVERDUE",)]


# Any order, any repetition, with sends and moves between

FACTS = ("ITEM_ACCEPTED", "ITEM_REFUSED", "MADE", "SPOILED", "HANDED_OVER")


class JobLife(RuleBasedStateMachine):
    """Facts of a job and its plastics come in any order while an operator sends it again or moves it."""

    url: ClassVar[str]
    store: ClassVar[ObjectStore]

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.connection = self.exits.enter_context(connect(self.url))
        self.refs = sent_job(self.connection)
        set_business_day(self.connection, FAR)
        self.facts: set[tuple[str, int | None]] = set()
        self.resent = 0
        self.cancelled = self.moved = False

    def teardown(self) -> None:
        self.connection.rollback()
        self.exits.close()

    @rule(milestone=st.sampled_from(["JOB_ACCEPTED", "JOB_REFUSED"]), times=st.integers(1, 2))
    def the_job_is_answered(self, milestone: str, times: int) -> None:
        for _ in range(times):
            self._tell(of_job(milestone))
        self.facts.add((milestone, None))

    @rule()
    def the_file_is_received(self) -> None:
        self._tell(receipt(self.connection))
        self.facts.add(("JOB_RECEIVED", None))

    @rule(milestone=st.sampled_from(FACTS), card=st.integers(0, 2), times=st.integers(1, 2))
    def a_plastic_is_reported(self, milestone: str, card: int, times: int) -> None:
        for _ in range(times):
            self._tell(of_card(milestone, self.refs[card], FACTS.index(milestone) + 1))
        self.facts.add((milestone, card))

    @rule()
    def decisions_are_made(self) -> None:
        decide_all(self.connection)
        self._no_second_plastic_unnoticed()
        self._every_plastic_in_one_bucket()

    @rule()
    def it_is_sent_again(self) -> None:
        if self.cancelled or {("JOB_ACCEPTED", None), ("JOB_REFUSED", None)} & self.facts:
            with pytest.raises(Refused), self.connection.transaction():
                resend_job(self.connection, self.store, "J1", "planner")
        else:
            resend_job(self.connection, self.store, "J1", "planner")
            self.resent += 1

    @precondition(lambda self: not self.moved and ("JOB_REFUSED", None) not in self.facts)
    @rule()
    def it_is_moved(self) -> None:
        left = [card for card in range(3) if not self._has(card, "MADE", "SPOILED", "ITEM_REFUSED")]
        again = {ref for (ref,) in self.connection.execute("SELECT card_ref FROM card WHERE last_attempt > 1")}
        movable = [card for card in left if self.refs[card] not in again]
        if movable:
            with self.connection.transaction():
                reassign(self.connection)
            self.moved = True
            self.cancelled = not any(self._has(card, "MADE") for card in range(3))
        else:
            with pytest.raises(Refused, match="NOTHING_TO_MOVE"), self.connection.transaction():
                reassign(self.connection)

    @invariant()
    def its_state_follows_from_its_facts(self) -> None:
        (job,) = list_jobs(self.connection, None, "J1")
        assert job["state"] == self._expected_state()
        assert job["resent"] == self.resent

    @invariant()
    def rows_are_the_fold_of_their_facts(self) -> None:
        assert verify_ledger(self.connection, CITIES) == []

    def _tell(self, told: Any) -> None:
        known = self.connection.execute(
            "SELECT FROM report WHERE (partner, report_id) = (%s, %s)", (told.reporter.id, told.value["report_id"])
        ).fetchone()
        if known is None:
            merge(self.connection, told)

    def _has(self, card: int, *milestones: str) -> bool:
        return any((milestone, card) in self.facts for milestone in milestones)

    def _expected_state(self) -> str:
        whole = {milestone for milestone, card in self.facts if card is None}
        refused = [card for card in range(3) if self._refused(card, whole)]
        accepted = [card for card in range(3) if card not in refused and self._accepted(card, whole)]
        ended = [card for card in range(3) if card in refused or self._has(card, "SPOILED", "HANDED_OVER")]
        if self.cancelled:
            return "cancelling"  # nobody answers with CANCELLED here
        if "JOB_REFUSED" in whole and not accepted:
            return "refused"
        if accepted and len(ended) == 3:
            return "complete"
        if any(self._has(card, "MADE") for card in range(3)):
            return "in_production"
        if accepted:
            return "accepted_in_part" if refused else "accepted"
        return "received" if "JOB_RECEIVED" in whole else "sent"

    def _refused(self, card: int, whole: set[str]) -> bool:
        by_job = "JOB_REFUSED" in whole and "JOB_ACCEPTED" not in whole and not self._has(card, "ITEM_ACCEPTED")
        return self._has(card, "ITEM_REFUSED") or by_job

    def _accepted(self, card: int, whole: set[str]) -> bool:
        return "JOB_ACCEPTED" in whole or self._has(card, "ITEM_ACCEPTED")

    def _no_second_plastic_unnoticed(self) -> None:
        beside = self.connection.execute(
            "SELECT p.card_ref, p.attempt FROM plastic p JOIN card c USING (card_ref) WHERE p.made IS NOT NULL"
            " AND p.spoiled IS NULL AND p.destroyed IS NULL AND p.attempt <> c.effective"
        ).fetchall()
        noticed = self.connection.execute(
            "SELECT card_ref, attempt FROM break WHERE kind = 'TWO_PLASTICS' AND closed_on IS NULL"
            " UNION SELECT card_ref, attempt FROM decision WHERE kind = 'CANCEL_PLASTIC'"
            " UNION SELECT card_ref, attempt FROM plastic WHERE item_refused IS NOT NULL OR spoiled IS NOT NULL"
        ).fetchall()
        assert set(beside) <= set(noticed)

    def _every_plastic_in_one_bucket(self) -> None:
        for equation in (ORDER, JOB):
            found = balanced(self.connection, equation)
            unanswered = found.buckets.get("unanswered", 0)
            assert found.left == found.right
            assert len(found.differing) == unanswered


def balanced(connection: Connection, equation: Any) -> Any:
    """An equation of the cohort, with its cards as they are now."""
    from ledger_fixture import drop_temporary

    from issuance.tracking.snapshot import city_values, snapshot_cards

    with connection.transaction():
        connection.execute("CREATE TEMP TABLE work ON COMMIT DROP AS SELECT card_ref FROM card")
        snapshot_cards(connection, city_values(CITY, FAR))
        found = balance(connection, equation, 1)
        drop_temporary(connection)
    return found


@pytest.mark.parametrize("examples", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_any_order_and_repetition_of_answers_sends_and_moves(
    ledger_url: str, store: ObjectStore, examples: int
) -> None:
    JobLife.url, JobLife.store = ledger_url, store
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        JobLife,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
