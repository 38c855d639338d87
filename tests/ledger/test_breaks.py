"""Every kind of break with the evidence that opens it and the evidence that explains it: in any order, late, repeated.

A case goes through the consumers' own stages (structure, inbox, merge, sequences, statements), the decisions, the
clocks and the reconciliation, on the real PostgreSQL. Whatever way the evidence takes, it is the same break in the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import (
    CITIES,
    CITY,
    COHORT,
    OPENS,
    POLICY,
    REGISTRY,
    as_read,
    decide_all,
    drop_temporary,
    item,
    make_cohort,
    report,
    tamper,
)

from issuance.airflow.recovery import note_failed_runs
from issuance.breaks.faults import KINDS as FAULTS
from issuance.breaks.kinds import BREAK_KINDS
from issuance.breaks.resolve import resolve_break
from issuance.clock import end_of, instant_on, milliseconds
from issuance.dispatch.remake import plan_remakes
from issuance.ledger.connection import Connection, set_business_day
from issuance.reconcile.activation import reconcile
from issuance.reconcile.beyond_order import watch_making
from issuance.reconcile.closing import read_statement
from issuance.reconcile.evidence import show_break
from issuance.reconcile.lateness import watch_statements
from issuance.reconcile.statements import apply_statements
from issuance.tracking.corrections import GRACE_DAYS, UNMET, watch_corrections
from issuance.tracking.custody import watch_custody
from issuance.tracking.feeds import watch_feeds
from issuance.tracking.gaps import watch_gaps
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.requests import watch_requests
from issuance.tracking.resuming import resume_partner
from issuance.tracking.snapshot import city_values
from issuance.tracking.stages import apply_reports
from issuance.wire.avro import decode_body, encode_body, read_inbound
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context
from issuance.wire.pauses import pause_partner
from issuance.wire.refusals import Message
from issuance.words.references import hash_total

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]
PLACE = {"place": "ICBC-001"}


@dataclass
class World:
    """A released cohort of two cards, and what its partners say."""

    connection: Connection
    refs: list[UUID]
    day: date
    failed_runs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def context(self) -> Context:
        """Business time for the consumers' stages."""
        return Context(None, REGISTRY, end_of(self.day), self.day)  # type: ignore[arg-type]  # no settings are needed


Step = Callable[[World, str], None]
"""Something that a partner says or an operator does; the text makes a report's id another one."""


def say(partner: str, *items: Callable[[list[UUID]], dict[str, Any]], sequence: int = 1, **head: Any) -> Step:
    """A report; an item is made of the cohort's card_refs."""

    def step(world: World, again: str) -> None:
        made = [one(world.refs) for one in items]
        content = json.dumps([made, head], default=str, sort_keys=True)
        named = f"{partner}/{sequence}/{hashlib.md5(content.encode()).hexdigest()}{again}"
        values = {name: value(world) if callable(value) else value for name, value in head.items()}
        values = {"reported_at": instant_on(OPENS, 9), **values}
        value = report(partner, named, made, sequence=sequence, **values).value
        raw = bytes(FRAME.size) + json.dumps(value, default=str, sort_keys=True).encode()
        message = Message("t", 0, 0, partner, None, raw, (), as_read(value))
        outcomes, _ = apply_reports(world.connection, [message], world.context)
        assert [outcome.refusal for outcome in outcomes] == [None]

    return step


def of(milestone: str, day: int, card: int = 0, **values: Any) -> Callable[[list[UUID]], dict[str, Any]]:
    """An item about a plastic."""
    return lambda refs: item(milestone, refs[card], day, **values)


def of_job(milestone: str, day: int, **head: Any) -> Step:
    """A job's report."""
    return say("F-ICBC", lambda refs: item(milestone, None, day), kind="JOB", job_id="J1", **head)


def state_list(day: int, *cards: int, partner: str = "HRSS-BJ", function: str = "ss", split: int = 0) -> Step:
    """A statement for a day that lists these cards; of two chunks only the `split`th one is sent."""

    def step(world: World, again: str) -> None:
        refs = [world.refs[card] for card in cards]
        on = OPENS + timedelta(days=day)
        parts = [refs[:1], refs[1:]] if split else [refs]
        number = split or 1
        value = {
            "statement_id": f"S{day}", "partner": partner, "function": function, "business_day": on,
            "as_of": instant_on(on, 20), "revision": 1, "chunk": number, "chunks": len(parts), "total": len(refs),
            "hash_total": hash_total(refs), "items": [{"card_ref": str(r), "attempt": 1} for r in parts[number - 1]],
        }  # fmt: skip
        body = encode_body("statement", value)
        message = Message("t", 0, 0, partner, None, bytes(FRAME.size) + body, (), read_inbound("statement", body))
        outcomes, _ = apply_statements(world.connection, [message], world.context)
        assert [outcome.refusal for outcome in outcomes] == [None]

    return step


def sql(query: str, **values: Any) -> Step:
    """What another part of the product writes: requests, holder events, releases."""

    def step(world: World, again: str) -> None:
        tamper(world.connection, query, {"ref": world.refs[0], "other": world.refs[1], **values})
        world.connection.execute("INSERT INTO changed_card VALUES (%s)", (world.refs[0],))

    return step


def run_fails(runs: list[tuple[str, str]]) -> Step:
    """Airflow's runs that stand failed."""

    def step(world: World, again: str) -> None:
        world.failed_runs[:] = runs

    return step


EVENT = (
    "INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at, {columns})"
    " VALUES ('HRSS-BJ', %(id)s, '', %(event)s, %(ref)s, %(at)s, {values}) ON CONFLICT DO NOTHING"
)


def corrected_to(person: bytes, day: int) -> Step:
    """The holder's identity is corrected."""
    query = EVENT.format(columns="person", values="%(person)s")
    return sql(query, id=f"e{day}", event="ID_CORRECTED", at=instant_on(OPENS + timedelta(days=day), 9), person=person)


def switched_to(bank: str, day: int) -> Step:
    """The holder changes the bank."""
    query = EVENT.format(columns="terms", values="jsonb_build_object('bank', %(bank)s::text)")
    return sql(query, id=f"e{day}", event="BANK_SWITCHED", at=instant_on(OPENS + timedelta(days=day), 9), bank=bank)


HELD_BY_ANOTHER = sql(
    "WITH other AS (UPDATE card SET person = 'mine' WHERE card_ref = %(other)s)"
    " INSERT INTO acceptance VALUES ('mine', %(other)s, 1, 0, NULL) ON CONFLICT DO NOTHING"
)
ASKED = sql(
    "WITH cancelled AS (INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
    " VALUES (%(ref)s, 1, 'CANCEL_PLASTIC', '', 'EXPIRED', %(due)s, 'policy') ON CONFLICT DO NOTHING)"
    " INSERT INTO request (card_ref, attempt, kind, n, reason, partner, asked_on, due_on)"
    " VALUES (%(ref)s, 1, 'CANCEL_SS', 1, 'EXPIRED', 'HRSS-BJ', %(due)s, %(due)s) ON CONFLICT DO NOTHING",
    due=OPENS + timedelta(days=8),
)
H2 = {"handover_id": "H2", "handover_count": 2, "to_place": "ICBC-001"}
ACCEPTED = of_job("JOB_ACCEPTED", 1)
RECEIVED_JOB = of_job(
    "JOB_RECEIVED", 1, card_count=2, sha256="0" * 64, hash_total=lambda world: hash_total(world.refs)
)  # fmt: skip
MADE = say("F-ICBC", of("MADE", 2))
BANK_KEYED = say("F-ICBC", of("BANK_KEYED", 2))
SS_KEYED = say("HRSS-BJ", of("SS_KEYED", 3))
HANDED_OVER = say("F-ICBC", of("HANDED_OVER", 4), of("HANDED_OVER", 4, 1), **H2)
RECEIVED = say("ICBC", of("RECEIVED_AT_PLACE", 5, **PLACE), **H2)
RECEIVED_OTHER = say("ICBC", of("RECEIVED_AT_PLACE", 5, 1, **PLACE), **H2)
COLLECTED = say("ICBC", of("COLLECTED", 6, **PLACE, actors=HOLDER))
SS_ACTIVATED = say("HRSS-BJ", of("SS_ACTIVATED", 7))
FINANCE = say("ICBC", of("FINANCE_ACTIVATED", 8))


def of_letter(milestone: str, day: int, number: str = "1234567890123") -> Step:
    """A mail event of a letter."""
    return say("EMS", lambda refs: item(milestone, None, day, tracking_no=number))


LETTER = say("F-ICBC", of("HANDED_OVER", 4, tracking_no="1234567890123"), to_place="EMS", handover_count=1)
POSTED = of_letter("POSTED", 5)
OTHER_NEWS = of_letter("IN_TRANSIT", 13, "1234567890124")
SS_CANCELLED = say("HRSS-BJ", of("SS_CANCELLED", 9))
DESTROYED = say("F-ICBC", of("DESTROYED", 9, actors=WITNESSES))


@dataclass(frozen=True)
class Case:
    """One way to a break and out of it."""

    kind: str
    reference: str
    """Of the break; {0} and {1} are the card_refs."""
    difference: tuple[str, str]
    """Expected and actual."""
    opens: Sequence[Step]
    closes: Sequence[Step]
    """What explains it; of a kind that a person resolves, what makes the difference go away."""
    given: Sequence[Step] = ()
    """What has happened and was decided on before."""
    day: int = 20
    """The business day of all this, counted from the opening day."""
    by_time: bool = False
    """Whether the day alone opens it."""


CASES: dict[str, Case] = {
    "a fact with two values": Case(
        "CONFLICT", "{0}/1 MADE", ("one value", "two values"),
        [MADE, say("F-ICBC", of("MADE", 3))], [say("F-ICBC", of("MADE", 3, corrects=True))],
    ),
    "a correction that meets nothing": Case(
        "CORRECTION_UNMET", f"F-ICBC/plastic|{{0}}|1|MADE|{milliseconds(instant_on(OPENS + timedelta(days=3), 10))}",
        ("a fact of the same reporter", "none"),
        [say("F-ICBC", of("MADE", 3, corrects=True))], [say("F-ICBC", of("MADE", 3))],
    ),
    "made at an outlet and at the factory": Case(
        "TWO_PLASTICS", "{0}/1", ("destroyed", "plastic 1 exists, 0 is effective"),
        [say("ICBC", of("ISSUED_INSTANTLY", 1, attempt=0, **PLACE)), MADE], [SS_CANCELLED, DESTROYED],
    ),
    "a corrected identity that has a card": Case(
        "SECOND_CARD", "{0}", ("one card a person", "{1}"),
        [HELD_BY_ANOTHER, corrected_to(b"mine", 3)], [corrected_to(b"theirs", 4)],
    ),
    "handed over without keys": Case(
        "OUT_OF_ORDER", "{0}/1", ("every milestone before it", "without BANK_KEYED, SS_KEYED"),
        [ACCEPTED, MADE, HANDED_OVER], [BANK_KEYED, SS_KEYED],
    ),
    "the old card lapsed before the new one was active": Case(
        "OUT_OF_ORDER", "{0}/1", ("every milestone before it", "without SS_ACTIVATED"),
        [say("HRSS-BJ", of("OLD_CARD_LAPSED", 7))], [SS_ACTIVATED],
    ),
    "collected after it was given up": Case(
        "AGAINST_DECISION", "{0}/1", ("cancelled", "collected"),
        [COLLECTED], [say("ICBC", of("COLLECTED", 6, corrects=True))],
        given=[ACCEPTED, MADE, RECEIVED], day=5 + POLICY.keep_days,
    ),
    "a letter without news": Case(
        "LETTER_SILENT", "{0}/1", ("news of the letter", "none since 2025-10-14"),
        [LETTER, POSTED], [of_letter("IN_TRANSIT", 13)], given=[ACCEPTED, MADE, OTHER_NEWS], day=14,
    ),
    "a carrier without any news": Case(
        "FEED_SILENT", "EMS", ("news of letters under way", "none since 2025-10-14"),
        [LETTER, POSTED], [OTHER_NEWS], given=[ACCEPTED, MADE], day=14,
    ),
    "activated, not collected": Case(
        "ACTIVATED_NOT_COLLECTED", "{0}/1", ("collected", "activated only"), [SS_ACTIVATED], [COLLECTED],
    ),
    "collected, not activated": Case(
        "COLLECTED_NOT_ACTIVATED", "{0}", ("SS_ACTIVATED", "collected only"),
        [ACCEPTED, COLLECTED], [SS_ACTIVATED], day=6 + POLICY.not_activated_days,
    ),
    "finance alone": Case(
        "FINANCE_ALONE", "{0}/1", ("SS_ACTIVATED", "FINANCE_ACTIVATED"), [COLLECTED, FINANCE], [SS_ACTIVATED],
    ),
    "a pensioner without finance": Case(
        "PENSION_AT_RISK", "{0}", ("FINANCE_ACTIVATED", "FINANCE_INACTIVE"),
        [COLLECTED, SS_ACTIVATED], [FINANCE], day=6 + POLICY.pension_days,
    ),
    "a pensioner who switches banks": Case(
        "PENSION_AT_RISK", "{0}", ("FINANCE_ACTIVATED", "BANK_SWITCHED"),
        [COLLECTED, SS_ACTIVATED, FINANCE, switched_to("ABC", 9)], [switched_to("ICBC", 10)],
    ),
    "a destroyed plastic is activated": Case(
        "ACTIVATED_DEAD", "{0}/1", ("no activation", "activated after DESTROYED, LOSS_REPORTED"),
        [say("F-ICBC", of("DESTROYED", 5, actors=WITNESSES)), say("HRSS-BJ", of("LOSS_REPORTED", 4)), SS_ACTIVATED],
        [say("HRSS-BJ", of("SS_ACTIVATED", 7, corrects=True))],
    ),
    "the old card is used afterwards": Case(
        "OLD_CARD_USED", "{0}/1", ("old card lapsed", "used on 2025-10-20"),
        [COLLECTED, SS_ACTIVATED, say("HRSS-BJ", of("OLD_CARD_USED", 6)), say("HRSS-BJ", of("OLD_CARD_USED", 11))],
        [say("HRSS-BJ", of("OLD_CARD_USED", 11, corrects=True))],
    ),
    "made, never ordered": Case(
        "MADE_NOT_ORDERED", "F-ICBC {0}/9", ("an order of F-ICBC", "made, and never ordered"),
        [say("F-ICBC", of("MADE", 2, attempt=9))], [say("F-ICBC", of("DESTROYED", 3, attempt=9, actors=WITNESSES))],
    ),
    "made, ordered of another factory": Case(
        "MADE_NOT_ORDERED", "F-ABC {0}/1", ("an order of F-ABC", "made, and ordered of F-ICBC"),
        [say("F-ABC", of("MADE", 2))], [say("F-ABC", of("MADE", 2, corrects=True))],
    ),
    "made after it was cancelled in time": Case(
        "MADE_BEYOND_ORDER", "{0}/1", ("one plastic an order", "made after it was cancelled in time"),
        [say("F-ICBC", of("ITEM_REFUSED", 1, reason="CANCELLED")), MADE], [DESTROYED],
    ),
    "made after it was refused": Case(
        "MADE_BEYOND_ORDER", "{0}/1", ("one plastic an order", "made after it was refused"),
        [say("F-ICBC", of("ITEM_REFUSED", 1, reason="PHOTO_UNUSABLE")), MADE],
        [say("F-ICBC", of("MADE", 2, corrects=True))],
    ),
    "made twice": Case(
        "MADE_BEYOND_ORDER", "{0}/1", ("one plastic an order", "made twice, under 2 serials"),
        [say("F-ICBC", of("MADE", 2, serial="A1")), say("F-ICBC", of("MADE", 3, serial="A2"))],
        [say("F-ICBC", of("MADE", 3, corrects=True))],
    ),
    "a hand-over that is one short": Case(
        "HANDOVER_COUNT", "H:F-ICBC:H2", ("2 signed, 2 listed", "1 received, 2 signed; in question: {1}/1"),
        [HANDED_OVER, RECEIVED], [RECEIVED_OTHER],
    ),
    "past the due date": Case(
        "OVERDUE", "{0}", ("2025-11-08", "not handed over"),
        [ACCEPTED, MADE], [BANK_KEYED, SS_KEYED, HANDED_OVER], day=31, by_time=True,
    ),
    "a job without an answer": Case(
        "JOB_UNANSWERED", "J1", ("an answer", "received only"), [RECEIVED_JOB], [ACCEPTED],
    ),
    "a request without an answer": Case(
        "REQUEST_OVERDUE", "{0}/1 CANCEL_SS", ("an answer by 2025-10-17", "none"),
        [ASKED], [SS_CANCELLED], given=[ACCEPTED, MADE],
    ),
    "listed and unknown to us": Case(
        "STATEMENT_UNKNOWN", "HRSS-BJ/ss/{0}/1", ("not active", "listed"),
        [state_list(8, 0), state_list(15, 0)], [SS_ACTIVATED],
    ),
    "ours and not listed": Case(
        "STATEMENT_MISSING", "HRSS-BJ/ss/{0}/1", ("active", "not listed"),
        [state_list(8), state_list(15)], [state_list(16, 0)], given=[SS_ACTIVATED],
    ),
    "a late statement": Case(
        "STATEMENT_LATE", "HRSS-BJ/ss", ("a statement for 2025-10-24", "nothing"),
        [sql("UPDATE cohort SET state = 'DISPATCHED'"), state_list(8)], [state_list(15)],
    ),
    "a statement of which a chunk is missing": Case(
        "STATEMENT_LATE", "HRSS-BJ/ss", ("a statement for 2025-10-24", "1 of 2 chunks"),
        [sql("UPDATE cohort SET state = 'DISPATCHED'"), state_list(15, 0, 1, split=2)],
        [state_list(15, 0, 1, split=1)],
    ),
    "a missing sequence": Case(
        "SEQUENCE_GAP", "F-ICBC/main", ("every sequence", "{{[2,3)}}"),
        [ACCEPTED, say("F-ICBC", of("MADE", 2), sequence=3)], [say("F-ICBC", of("BANK_KEYED", 2), sequence=2)],
    ),
    "re-makes past the release": Case(
        "REMAKE_LIMIT", "1.1.1.1", ("0", "1"),
        [ACCEPTED, say("F-ICBC", of("SPOILED", 2, reason="CHIP_FAULT"))],
        [sql("UPDATE release SET remakes_allowed = 5")], given=[sql("UPDATE release SET remakes_allowed = 0")],
    ),
    "mail of no hand-over": Case(
        "UNMATCHED_MAIL", "M:EMS:1234567890123", ("a hand-over", "mail events only"),
        [say("EMS", lambda refs: item("POSTED", None, 4, tracking_no="1234567890123"))],
        [say("F-ICBC", of("HANDED_OVER", 4, tracking_no="1234567890123"), to_place="EMS")],
    ),
    "a failed run": Case(
        "PIPELINE_FAILED", "card_dispatch test-1.1", ("success", "failed"),
        [run_fails([("card_dispatch", "test-1.1")])], [run_fails([])],
    ),
}  # fmt: skip
Order = Callable[[World, Sequence[Step]], None]


def in_order(world: World, steps: Sequence[Step]) -> None:
    """As it happened."""
    for step in steps:
        step(world, "")


def backwards(world: World, steps: Sequence[Step]) -> None:
    """The last report comes first."""
    in_order(world, steps[::-1])


def repeated(world: World, steps: Sequence[Step]) -> None:
    """Every report again, and its facts once more in a report of another id."""
    in_order(world, steps)
    for step in steps:
        step(world, "")
        step(world, "/again")


def late(world: World, steps: Sequence[Step]) -> None:
    """Each report comes when everything before it has been decided on."""
    for step in steps:
        settle(world)
        step(world, "")


ORDERS: dict[str, Order] = {"in order": in_order, "repeated": repeated, "in another order": backwards, "late": late}


def settle(world: World) -> None:
    """One pass of all that decides, watches and compares."""
    connection, day = world.connection, world.day
    decide_all(connection)
    watches: list[Callable[[], Any]] = [
        lambda: plan_remakes(connection, day),
        lambda: watch_gaps(connection, day),
        lambda: watch_jobs(connection, CITY, day),
        lambda: watch_feeds(connection, CITY, day),
        lambda: watch_custody(connection, day, city_values(CITY, day)),
        lambda: watch_requests(connection, day),
        lambda: watch_making(connection, day),
        lambda: watch_corrections(connection, day + timedelta(days=GRACE_DAYS + 1)),
        lambda: watch_statements(connection, CITY, end_of(day), day),
        lambda: note_failed_runs(connection, world.failed_runs, day),
        lambda: reconcile(connection, day),
    ]
    for watch in watches:
        watch()
        drop_temporary(connection)
    decide_all(connection)


def begin(connection: Connection, case: Case) -> World:
    """The cohort on the case's day, with what has happened before."""
    refs = make_cohort(connection, 2)
    world = World(connection, refs, OPENS + timedelta(days=case.day))
    set_business_day(connection, world.day)
    in_order(world, case.given)
    settle(world)
    return world


def open_breaks(world: World, case: Case) -> list[tuple[str, str, str]]:
    """Reference, expected and actual of the open breaks of the case's kind."""
    return world.connection.execute(
        "SELECT reference, expected, actual FROM break WHERE kind = %s AND closed_on IS NULL ORDER BY 1", (case.kind,)
    ).fetchall()


def the_break(world: World, case: Case) -> tuple[str, str, str]:
    """What the break must be."""
    names = [str(ref) for ref in world.refs]
    return (case.reference.format(*names), *(text.format(*names) for text in case.difference))  # type: ignore[return-value]


def id_of(world: World, case: Case) -> str:
    """The id of the case's break."""
    (found,) = world.connection.execute(
        "SELECT break_id::text FROM break WHERE kind = %s AND reference = %s",
        (case.kind, the_break(world, case)[0]),
    ).fetchone() or ("",)
    return str(found)


def resolve(world: World, case: Case) -> str:
    """A person explains the break."""
    break_id = id_of(world, case)
    resolve_break(world.connection, break_id, "planner", "explained", world.day)
    return break_id


def look_again(world: World) -> None:
    """Everything is decided on anew, as after a rebuild."""
    world.connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    settle(world)


every_case = pytest.mark.parametrize("name", CASES)


def test_every_kind_of_break_has_a_case() -> None:
    faults = set(FAULTS) | {"EVENT_UNMATCHED", "ITEM_UNMATCHED"}  # tests/ledger/test_faults.py, test_waiting_*.py
    assert {case.kind for case in CASES.values()} | faults == set(BREAK_KINDS)


@pytest.mark.parametrize("order", ORDERS)
@every_case
def test_the_same_break_opens_and_closes_whatever_way_the_evidence_takes(
    ledger: Connection, name: str, order: str
) -> None:
    case = CASES[name]
    world = begin(ledger, case)
    assert (the_break(world, case) in open_breaks(world, case)) == case.by_time
    ORDERS[order](world, case.opens)
    settle(world)
    assert the_break(world, case) in open_breaks(world, case)
    ORDERS[order](world, case.closes)
    settle(world)
    standing = the_break(world, case) in open_breaks(world, case)
    assert standing == (not BREAK_KINDS[case.kind].closes_itself)


@every_case
def test_nothing_opens_when_the_explanation_is_there_first(ledger: Connection, name: str) -> None:
    case = CASES[name]
    world = begin(ledger, case)
    newest_counts = case.kind == "PIPELINE_FAILED"  # how runs stand now is no evidence that adds up
    in_order(world, [*case.opens, *case.closes] if newest_counts else [*case.closes, *case.opens])
    settle(world)
    assert the_break(world, case) not in open_breaks(world, case)


@every_case
def test_a_break_shows_both_sides_and_stays_as_a_person_has_explained_it(ledger: Connection, name: str) -> None:
    case = CASES[name]
    world = begin(ledger, case)
    in_order(world, case.opens)
    settle(world)
    break_id = resolve(world, case)
    look_again(world)
    assert the_break(world, case) not in open_breaks(world, case)
    shown = show_break(ledger, break_id)
    assert [row["event"] for row in shown["history"]][-1] == "RESOLVED"
    assert shown["severity"] == BREAK_KINDS[case.kind].severity
    assert shown["remedy"] == " / ".join(BREAK_KINDS[case.kind].remedy)
    if case.kind not in ("PIPELINE_FAILED", "REMAKE_LIMIT", "STATEMENT_LATE", "FEED_SILENT"):
        assert shown["theirs"] or shown["ours"]


def told(world: World, break_id: str) -> list[tuple[str, str, str | None]]:
    """Action, severity and by whom, of the messages about a break."""
    rows = world.connection.execute(
        "SELECT body FROM outbox WHERE ce_id LIKE %s ORDER BY id", (f"{break_id}/%",)
    ).fetchall()
    values = [decode_body("break", bytes(body)) for (body,) in rows]
    return [(value["action"], value["severity"], value["closed_by"]) for value in values]


# What a person has explained: opened again by another difference, or one that comes back


def test_an_explained_difference_that_changes_is_opened_again(ledger: Connection) -> None:
    case = CASES["the old card is used afterwards"]
    world = begin(ledger, case)
    in_order(world, case.opens)
    settle(world)
    resolve(world, case)
    say("HRSS-BJ", of("OLD_CARD_USED", 12))(world, "")
    settle(world)
    assert open_breaks(world, case) == [(f"{world.refs[0]}/1", "old card lapsed", "used on 2025-10-21")]


def test_an_explained_difference_that_had_gone_and_comes_back_is_opened_again(ledger: Connection) -> None:
    case = CASES["activated, not collected"]
    world = begin(ledger, case)
    in_order(world, case.opens)
    settle(world)
    break_id = resolve(world, case)
    COLLECTED(world, "")
    settle(world)
    say("ICBC", of("COLLECTED", 6, corrects=True))(world, "")
    settle(world)
    assert open_breaks(world, case) == [the_break(world, case)]
    events = [row["event"] for row in show_break(ledger, break_id)["history"]]
    assert events == ["OPENED", "RESOLVED", "REOPENED"]
    assert told(world, break_id) == [
        ("OPENED", "normal", None), ("CLOSED", "normal", "planner"), ("OPENED", "normal", None),
    ]  # fmt: skip


def test_an_open_break_shows_its_difference_as_it_is_now(ledger: Connection) -> None:
    case = CASES["handed over without keys"]
    world = begin(ledger, case)
    in_order(world, case.opens)
    settle(world)
    BANK_KEYED(world, "")
    settle(world)
    assert open_breaks(world, case) == [
        (f"{world.refs[0]}/1", "every milestone before it", "without SS_KEYED"),
        (f"{world.refs[1]}/1", "every milestone before it", "without MADE, BANK_KEYED, SS_KEYED"),
    ]
    assert [row["event"] for row in show_break(ledger, id_of(world, case))["history"]] == ["OPENED", "CHANGED"]


# Breaks that are watched and hold nothing open; reminders


@pytest.mark.parametrize("name", ["collected, not activated", "a pensioner without finance"])
def test_what_is_only_watched_does_not_hold_the_cohort_open(ledger: Connection, name: str) -> None:
    case = CASES[name]
    world = begin(ledger, case)
    in_order(world, [ACCEPTED, MADE, BANK_KEYED, SS_KEYED, HANDED_OVER, RECEIVED, RECEIVED_OTHER, *case.opens])
    settle(world)
    assert the_break(world, case) in open_breaks(world, case)
    statement = read_statement(ledger, COHORT, CITIES)
    assert statement.watched[case.kind] >= 1
    assert case.kind not in statement.breaks


def notices(world: World) -> list[str]:
    """The reminders of a pension at risk, by their occasion."""
    rows = world.connection.execute(
        "SELECT occasion FROM decision WHERE kind = 'NOTICE' AND reason = 'PENSION_AT_RISK' ORDER BY 1"
    )
    return [occasion for (occasion,) in rows.fetchall()]


def test_a_pensioner_is_reminded_once_and_of_each_reason(ledger: Connection) -> None:
    case = CASES["a pensioner without finance"]
    world = begin(ledger, case)
    in_order(world, case.opens)
    settle(world)
    look_again(world)
    assert notices(world) == ["PENSION_AT_RISK:FINANCE_INACTIVE"]
    switched_to("ABC", 9)(world, "")
    settle(world)
    assert notices(world) == ["PENSION_AT_RISK:BANK_SWITCHED", "PENSION_AT_RISK:FINANCE_INACTIVE"]


@pytest.mark.parametrize(
    ("name", "partner"), [("a pensioner without finance", "ICBC"), ("collected, not activated", "HRSS-BJ")]
)
def test_the_clock_of_a_paused_partner_stands_still(ledger: Connection, name: str, partner: str) -> None:
    case = CASES[name]
    world = begin(ledger, case)
    pause_partner(ledger, partner, "RUN", OPENS)
    in_order(world, case.opens)
    settle(world)
    assert open_breaks(world, case) == []
    assert notices(world) == [] or partner == "HRSS-BJ", "a bank's clock waits for the bank alone"
    resume_partner(ledger, partner, world.day)
    settle(world)
    assert open_breaks(world, case) == [], "what was held back is read first"
    world.day += timedelta(days=1)
    set_business_day(ledger, world.day)
    settle(world)
    assert open_breaks(world, case) == [the_break(world, case)]
    pause_partner(ledger, partner, "RUN", OPENS)
    look_again(world)
    assert open_breaks(world, case) == [the_break(world, case)], "what is open stays open"


def test_a_bank_switched_before_the_card_is_there_is_a_break_and_reminds_of_nothing_yet(ledger: Connection) -> None:
    case = CASES["a pensioner who switches banks"]
    world = begin(ledger, case)
    switched_to("ABC", 3)(world, "")
    settle(world)
    assert open_breaks(world, case) == [the_break(world, case)]
    assert notices(world) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE card SET category = 'employee'",
        "UPDATE card SET withdrawn = 'DEATH'",
        "WITH n AS (UPDATE plastic SET ss_activated = '1799999999999||' WHERE card_ref = %(other)s)"
        " UPDATE card SET replaces = %(ref)s WHERE card_ref = %(other)s",
    ],
)  # fmt: skip
def test_no_pension_is_at_risk_of_others_the_dead_and_who_has_another_card(ledger: Connection, change: str) -> None:
    case = CASES["a pensioner without finance"]
    world = begin(ledger, case)
    ledger.execute(change, {"ref": world.refs[0], "other": world.refs[1]})
    in_order(world, [*case.opens, switched_to("ABC", 9)])
    settle(world)
    assert open_breaks(world, case) == []
    assert notices(world) == []


@pytest.mark.parametrize("query", [UNMET, "SELECT * FROM annulled_fact"], ids=["unmet corrections", "annulled facts"])
def test_what_a_correction_is_about_is_looked_up_in_the_journal(ledger: Connection, query: str) -> None:
    """Each day's watch costs as much as there are corrections, however long the journal is."""
    ledger.execute("SET LOCAL enable_seqscan = off")
    plan = ledger.execute("EXPLAIN " + query, {"late": OPENS}).fetchall()
    assert any("Index" in line for (line,) in plan)
    assert not [line for (line,) in plan if "Seq Scan on fact" in line]
