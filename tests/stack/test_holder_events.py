"""What happens to a holder while the card is under way: before dispatch the order changes, afterwards the plastic."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import fastavro
import pytest
from joserfc import jwe, jws
from joserfc.jwk import RSAKey
from ledger_fixture import (
    COHORT,
    OPENS,
    PERSON,
    REGISTRY,
    as_read,
    decide_all,
    fresh_database,
    item,
    make_cohort,
    merge,
    new_ledger,
    report,
    states,
    tamper,
)
from wire_fixture import Wire

from issuance.clock import end_of, instant_on
from issuance.dispatch.seal import Job, Sealer
from issuance.intake.accept import VAULT_FIELDS
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.ledger.overlays import overlays
from issuance.settings import Settings
from issuance.tracking.holder_events import apply_holder_events
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import JWE, JWS, OUR_KEYS, SealingKey, open_sealed, seal_to
from issuance.vault.keys import OPENING, KeyService, NamedKey
from issuance.vault.objects import ObjectStore
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context
from issuance.wire.refusals import Message


@pytest.fixture
def context(stack: Settings) -> Context:
    """What the stage knows, two months after the opening day."""
    day = OPENS + timedelta(days=60)
    return Context(stack, REGISTRY, end_of(day), day)


@pytest.fixture
def vault(stack: Settings) -> Vault:
    """The cohort's vault with the persons of three cards."""
    keys = KeyService(stack.keys_dir)
    keys.create_cohort_key(COHORT)
    found = Vault(ObjectStore.of(stack), keys, COHORT)
    found.write_block(1, [PERSON] * 3)
    return found


@pytest.fixture
def ref(ledger: Connection, vault: Vault, stack: Settings) -> UUID:
    """The first of three cards with a sealed job of ICBC, to be collected at an outlet."""
    return make_cohort(ledger, 3)[0]


def unseal(connection: Connection) -> None:
    """The job is released, not sealed."""
    tamper(connection, "DELETE FROM sealed_job")


def unrelease(connection: Connection) -> None:
    """The plan waits for its release."""
    unseal(connection)
    tamper(connection, "DELETE FROM release")


def unplan(connection: Connection) -> None:
    """Nothing is planned."""
    unrelease(connection)
    tamper(connection, "DELETE FROM job_item")
    connection.execute("DELETE FROM plastic")
    connection.execute("DELETE FROM job")
    connection.execute("UPDATE card SET last_attempt = 0")


class Sender:
    """Sends one card's events as the platform, each on a later day."""

    def __init__(self, connection: Connection, context: Context) -> None:
        self.connection, self.context = connection, context
        public = KeyService(context.settings.keys_dir).opening_public_keys()[0]
        self.key = SealingKey(OPENING, "RSA-OAEP-256", public.pem)
        self.sent = 0

    def __call__(self, ref: UUID, event: str, day: int = 1, **values: str) -> str | None:
        """Send an event; returns the code for which it was refused."""
        sealed = seal_to(self.key, json.dumps(values).encode()).decode() if values else None
        return self.raw(ref, event, sealed, day)

    def raw(self, ref: UUID, event: str, sealed: str | None, day: int = 1, **head: Any) -> str | None:
        """The same with whatever stands for the sealed values."""
        self.sent += 1
        value = {
            "event_id": f"E{self.sent}", "source": "MSB", "event": event, "cohort_id": None, "card_ref": str(ref),
            "application_id": "A0", "occurred_at": instant_on(OPENS + timedelta(days=day), 10), "sealed": sealed,
            "annuls_source": None, "annuls_event_id": None,
        } | head  # fmt: skip
        body = bytes(FRAME.size) + json.dumps(value, default=str).encode()
        message = Message("issuance.holder-events.MSB.v1", 0, self.sent, "MSB", None, body, (), as_read(value))
        (outcome,), answers = apply_holder_events(self.connection, [message], self.context)
        assert bool(answers) == (outcome.refusal is None)
        return outcome.refusal


@pytest.fixture
def send(ledger: Connection, context: Context) -> Sender:
    """The platform."""
    return Sender(ledger, context)


def card(connection: Connection, ref: UUID) -> tuple[str, str, str, str]:
    """Bank, factory, way to collect and place of a card."""
    return connection.execute(
        "SELECT bank, factory, collection_method, place FROM card WHERE card_ref = %s", (ref,)
    ).fetchone()  # type: ignore[return-value]


def person(connection: Connection, vault: Vault, ref: UUID) -> dict[str, Any]:
    """The person as it stands now."""
    row = connection.execute(
        f"SELECT block, position, overlays FROM card c {overlays()} WHERE card_ref = %s", (ref,)
    ).fetchone()
    return next(vault.read_persons([row]))  # type: ignore[list-item]


def decisions(connection: Connection, ref: UUID) -> list[tuple[int, str, str]]:
    """(attempt, kind, reason) of everything decided about a card, re-makes and requests among it, notices aside."""
    return connection.execute(
        "SELECT attempt, kind, reason FROM decision WHERE card_ref = %(ref)s AND kind <> 'NOTICE'"
        " UNION ALL SELECT attempt, 'REMAKE', reason FROM remake WHERE card_ref = %(ref)s"
        " UNION ALL SELECT attempt, 'REQUEST', reason FROM request WHERE card_ref = %(ref)s ORDER BY 1, 2, 3",
        {"ref": ref},
    ).fetchall()


NEW_NAME = {"name": "王建軍"}
NEW_ADDRESS = {"address": "河北省燕郊二号", "postcode": "065201"}
SWITCH = {"bank_code": "ABC", "outlet_code": "ABC-7"}
BY_MAIL = {"collection_method": "mail", **NEW_ADDRESS}
CHANGES = {
    "NAME_CHANGED": NEW_NAME, "ADDRESS_CHANGED": NEW_ADDRESS, "PHONE_CHANGED": {"phone": "+86 139-0000-0000"},
    "ID_CORRECTED": {"id_number": "440524188001010014", "birth_date": "1880-01-01", "sex": "male"},
    "BANK_SWITCHED": SWITCH, "COLLECTION_CHANGED": BY_MAIL,
}  # fmt: skip
BEFORE = {"waiting": unplan, "planned": unrelease, "released": unseal}


@pytest.mark.parametrize("event", CHANGES)
@pytest.mark.parametrize("stage", BEFORE)
def test_before_dispatch_the_order_changes_and_no_plastic_is_lost(
    ledger: Connection, vault: Vault, ref: UUID, send: Sender, event: str, stage: str
) -> None:
    BEFORE[stage](ledger)
    assert send(ref, event, **CHANGES[event]) is None
    decide_all(ledger)
    found = person(ledger, vault, ref)
    expected = {name: value for name, value in CHANGES[event].items() if name in VAULT_FIELDS and name != "phone"}
    assert {name: found[name] for name in expected} == expected
    if event == "PHONE_CHANGED":
        assert found["phone"] == "13900000000"
    bank, factory, method, place = card(ledger, ref)
    assert (bank, factory) == (("ABC", "F-ABC") if event == "BANK_SWITCHED" else ("ICBC", "F-ICBC"))
    places = {"BANK_SWITCHED": ("outlet", "ABC-7"), "COLLECTION_CHANGED": ("mail", "110105")}
    assert (method, place) == places.get(event, ("outlet", "ICBC-001"))
    remade = stage == "released" and event == "BANK_SWITCHED"
    assert [row for row in decisions(ledger, ref) if row[1] == "REMAKE"] == (
        [(1, "REMAKE", "BANK_SWITCHED")] if remade else []
    )


@pytest.mark.parametrize("event", CHANGES)
@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("stage", [*BEFORE, "sealed"])
def test_a_change_that_was_none_is_changed_back(
    ledger: Connection, vault: Vault, ref: UUID, send: Sender, event: str, decided: bool, stage: str
) -> None:
    if stage in BEFORE:
        BEFORE[stage](ledger)
    was = card(ledger, ref), person(ledger, vault, ref)
    ledger.execute("UPDATE card SET person = 'the same person' WHERE card_ref = %s", (ref,))
    assert send(ref, event, **CHANGES[event]) is None
    if decided:
        decide_all(ledger)
    named = {"annuls_source": "MSB", "annuls_event_id": "E1"}
    assert send.raw(ref, "ANNULLED", None, 2, **named) is None
    decide_all(ledger)
    assert (card(ledger, ref), person(ledger, vault, ref)) == was
    assert ledger.execute("SELECT person FROM card WHERE card_ref = %s", (ref,)).fetchone() == (b"the same person",)


@pytest.mark.parametrize("event", ["DEATH", "WITHDRAWN", "BANK_SWITCHED", "COLLECTION_CHANGED"])
def test_a_card_leaves_a_plan_that_nobody_released(ledger: Connection, ref: UUID, send: Sender, event: str) -> None:
    unrelease(ledger)
    send(ref, event, **CHANGES.get(event, {}))
    decide_all(ledger)
    left = ledger.execute("SELECT array_agg(card_ref) FROM job_item").fetchone()
    assert left and ref not in left[0] and len(left[0]) == 2
    assert ledger.execute(
        "SELECT card_count, hash_total = hash_total(%s), plastics FROM job JOIN wave USING (cohort_no, wave)", left
    ).fetchone() == (2, True, 2)
    ended = {"DEATH": "CANCELLED_BEFORE_MAKING", "WITHDRAWN": "WITHDRAWN"}
    assert states(ledger)[ref] == ended.get(event, "WAITING")


def test_the_last_card_of_a_plan_takes_its_job_with_it(ledger: Connection, vault: Vault, send: Sender) -> None:
    (only,) = make_cohort(ledger, 1)
    unrelease(ledger)
    send(only, "WITHDRAWN")
    decide_all(ledger)
    assert ledger.execute("SELECT count(*) FROM job").fetchone() == (0,)


@pytest.mark.parametrize(
    ("event", "remade"),
    [("NAME_CHANGED", True), ("ID_CORRECTED", True), ("BANK_SWITCHED", True), ("COLLECTION_CHANGED", True),
     ("PHONE_CHANGED", False), ("ADDRESS_CHANGED", False)],
)  # fmt: skip
def test_after_sealing_the_file_lacks_the_change(
    ledger: Connection, ref: UUID, send: Sender, event: str, remade: bool
) -> None:
    send(ref, event, **CHANGES[event])
    decide_all(ledger)
    found = decisions(ledger, ref)
    assert ((1, "REMAKE", event) in found) == remade
    asked = ledger.execute("SELECT kind, partner FROM request WHERE (card_ref, attempt) = (%s, 1)", (ref,)).fetchall()
    assert asked == ([("CANCEL", "F-ICBC")] if remade else []), "in time or not, the holder has nothing yet"
    assert "CANCEL_PLASTIC" not in [kind for _, kind, _ in found]
    row = ledger.execute("SELECT bank, factory FROM plastic WHERE (card_ref, attempt) = (%s, 2)", (ref,)).fetchone()
    assert row == ((("ABC", "F-ABC") if event == "BANK_SWITCHED" else ("ICBC", "F-ICBC")) if remade else None)


def test_an_address_makes_a_letter_anew_before_it_is_made_and_when_it_came_back(
    ledger: Connection, ref: UUID, send: Sender
) -> None:
    ledger.execute("UPDATE card SET collection_method = 'mail'")
    merge(ledger, report("F-ICBC", "made", [item("MADE", ref, 2)]))
    send(ref, "ADDRESS_CHANGED", day=3, **NEW_ADDRESS)
    decide_all(ledger)
    assert decisions(ledger, ref) == []
    merge(
        ledger,
        report("F-ICBC", "posted", [item("HANDED_OVER", ref, 4, tracking_no="T1")], to_place="EMS", handover_count=1),
        report("EMS", "back", [item("RETURNED", None, 9, tracking_no="T1", reason="MOVED")]),
    )
    decide_all(ledger)
    assert (1, "REMAKE", "ADDRESS_CHANGED") in decisions(ledger, ref)
    assert not [row for row in decisions(ledger, ref) if row[1] == "RESEND"]


def test_another_way_to_collect_comes_too_late_for_a_made_plastic(ledger: Connection, ref: UUID, send: Sender) -> None:
    merge(ledger, report("F-ICBC", "made", [item("MADE", ref, 2)]))
    send(ref, "COLLECTION_CHANGED", day=3, **BY_MAIL)
    decide_all(ledger)
    assert card(ledger, ref)[2:] == ("outlet", "ICBC-001")
    assert decisions(ledger, ref) == []


@pytest.mark.parametrize("event", CHANGES)
def test_what_a_holder_has_in_hand_stays(ledger: Connection, ref: UUID, send: Sender, event: str) -> None:
    merge(
        ledger,
        report("F-ICBC", "made", [item("MADE", ref, 2)]),
        report("ICBC", "taken", [item("COLLECTED", ref, 5, place="ICBC-001",
                                      actors=[{"role": "HOLDER", "reference": "seen"}])]),
    )  # fmt: skip
    send(ref, event, day=6, **CHANGES[event])
    decide_all(ledger)
    assert not [row for row in decisions(ledger, ref) if row[1] == "REMAKE"]
    assert card(ledger, ref) == ("ICBC", "F-ICBC", "outlet", "ICBC-001")


def test_two_changes_in_one_pass_are_both_kept(ledger: Connection, ref: UUID, send: Sender) -> None:
    unplan(ledger)
    assert send(ref, "BANK_SWITCHED", day=2, **SWITCH) is None
    assert send(ref, "COLLECTION_CHANGED", day=3, collection_method="outlet", outlet_code="ABC-9") is None
    decide_all(ledger)
    assert card(ledger, ref) == ("ABC", "F-ABC", "outlet", "ABC-9")


def test_of_two_values_the_newer_counts_whichever_comes_first(
    ledger: Connection, vault: Vault, ref: UUID, send: Sender
) -> None:
    unplan(ledger)
    send(ref, "NAME_CHANGED", day=5, name="王建軍")
    send(ref, "NAME_CHANGED", day=4, name="王建华")
    decide_all(ledger)
    assert person(ledger, vault, ref)["name"] == "王建軍"
    assert person(ledger, vault, ref)["masked"] == "王** 1***************2X"


REFUSED = [
    ("NAME_CHANGED", {}, "FIELD_MISSING"),
    ("NAME_CHANGED", {"name": "?"}, "FIELD_INVALID"),
    ("NAME_CHANGED", {"name": "王建军", "phone": "13900000000"}, "FIELD_INVALID"),
    ("PHONE_CHANGED", {"phone": "123"}, "FIELD_INVALID"),
    ("ADDRESS_CHANGED", {"address": "河北"}, "FIELD_MISSING"),
    ("ID_CORRECTED", {"id_number": "110105194912310021"}, "FIELD_INVALID"),
    ("ID_CORRECTED", {"id_number": "440524188001010014"}, "FIELD_INVALID"),  # sex and birth date stay the old ones
    ("BANK_SWITCHED", {"bank_code": "NONE"}, "FIELD_INVALID"),
    ("BANK_SWITCHED", {"bank_code": "ABC"}, "FIELD_INVALID"),  # its outlet would stay that of the other bank
    ("COLLECTION_CHANGED", {"collection_method": "employer"}, "FIELD_MISSING"),
    ("COLLECTION_CHANGED", {"collection_method": "pigeon"}, "FIELD_INVALID"),
]


@pytest.mark.parametrize(("event", "values", "code"), REFUSED)
def test_values_are_judged_by_the_rules_of_intake(
    ledger: Connection, ref: UUID, send: Sender, event: str, values: dict[str, str], code: str
) -> None:
    assert send(ref, event, **values) == code
    assert ledger.execute("SELECT count(*) FROM holder_event").fetchone() == (0,)


def hold(connection: Connection, card_ref: UUID, person: bytes) -> None:
    """A person's acceptance."""
    connection.execute("INSERT INTO acceptance VALUES (%s, %s, 1, 0, NULL)", (person, card_ref))
    connection.execute("UPDATE card SET person = %s WHERE card_ref = %s", (person, card_ref))


def test_a_corrected_identity_is_the_cards_from_then_on(
    ledger: Connection, ref: UUID, send: Sender, stack: Settings
) -> None:
    unplan(ledger)
    hold(ledger, ref, b"old")
    new = KeyService(stack.keys_dir).person_hash("resident_id", "440524188001010014")
    send(ref, "ID_CORRECTED", **CHANGES["ID_CORRECTED"])
    decide_all(ledger)
    assert ledger.execute("SELECT person, card_ref FROM acceptance").fetchall() == [(new, ref)]
    assert ledger.execute("SELECT count(*) FROM break").fetchone() == (0,)


def test_a_corrected_identity_that_has_another_card_is_a_break(
    ledger: Connection, ref: UUID, send: Sender, stack: Settings
) -> None:
    unplan(ledger)
    new = KeyService(stack.keys_dir).person_hash("resident_id", "440524188001010014")
    (other,) = ledger.execute("SELECT card_ref FROM card WHERE position = 1").fetchone() or (ref,)
    hold(ledger, ref, b"old")
    hold(ledger, other, new)
    send(ref, "ID_CORRECTED", **CHANGES["ID_CORRECTED"])
    decide_all(ledger)
    assert ledger.execute("SELECT kind, card_ref, actual FROM break").fetchall() == [("SECOND_CARD", ref, str(other))]
    assert ledger.execute("SELECT count(*) FROM acceptance").fetchone() == (2,)


def test_values_that_are_not_sealed_to_us_are_refused(ledger: Connection, ref: UUID, send: Sender) -> None:
    factory = (send.context.settings.partner_keys_dir / "F-ICBC.pem").read_bytes()
    foreign = seal_to(SealingKey("F-ICBC", "RSA-OAEP-256", factory), b'{"name": "x"}').decode()
    listed = seal_to(send.key, b'["name"]').decode()
    for sealed in ("rubbish", foreign, listed):
        assert send.raw(ref, "NAME_CHANGED", sealed) == "SEALED_UNREADABLE"


def test_an_event_again_is_once_and_other_content_under_its_id_is_refused(
    ledger: Connection, ref: UUID, send: Sender
) -> None:
    head: dict[str, Any] = {"event_id": "same"}
    assert send.raw(ref, "FEE_PAID", None, **head) is None
    assert send.raw(ref, "FEE_PAID", None, **head) is None
    assert send.raw(ref, "DEATH", None, **head) == "ID_REUSED"
    assert ledger.execute("SELECT event FROM holder_event").fetchall() == [("FEE_PAID",)]


def test_a_fee_that_is_paid_releases_a_held_card(ledger: Connection, ref: UUID, send: Sender) -> None:
    unplan(ledger)
    ledger.execute("UPDATE card SET held = 'fee' WHERE card_ref = %s", (ref,))
    decide_all(ledger)
    assert states(ledger)[ref] == "HELD"
    send(ref, "FEE_PAID")
    decide_all(ledger)
    assert states(ledger)[ref] == "WAITING"


def test_a_second_application_hands_out_what_was_sent_back(ledger: Connection, ref: UUID, send: Sender) -> None:
    out = {"handover_id": "H1", "handover_count": 1, "to_place": "ICBC-001"}
    back = {"handover_id": "H2", "handover_count": 1, "to_place": "F-ICBC"}
    merge(
        ledger,
        report("F-ICBC", "out", [item("HANDED_OVER", ref, 4)], **out),
        report("ICBC", "back", [item("SENT_BACK", ref, 9, reason="EMPLOYER_LEFTOVER")], **back),
    )
    decide_all(ledger)
    assert decisions(ledger, ref) == []
    send(ref, "SECOND_APPLICATION", day=12)
    decide_all(ledger)
    assert decisions(ledger, ref) == [(1, "REQUEST", "SECOND_APPLICATION"), (1, "RESEND", "SECOND_APPLICATION")]


@pytest.mark.parametrize("stage", ["waiting", "planned", "released", "sealed", "accepted", "made", "spoiled"])
def test_a_card_issued_at_an_outlet_needs_no_other(ledger: Connection, ref: UUID, stage: str) -> None:
    BEFORE.get(stage, lambda connection: None)(ledger)
    facts = {"accepted": "ITEM_ACCEPTED", "made": "MADE", "spoiled": "SPOILED"}
    if stage in facts:
        merge(ledger, report("F-ICBC", "fact", [item(facts[stage], ref, 2, reason="CHIP_FAULT")]))
    instant = item("ISSUED_INSTANTLY", ref, 3, attempt=0, place="ICBC-001")
    for report_id in ("instant", "again"):
        merge(ledger, report("ICBC", report_id, [instant]))
    decide_all(ledger)
    assert states(ledger)[ref] == "COLLECTED"
    kinds = [(attempt, kind, reason) for attempt, kind, reason in decisions(ledger, ref) if kind != "REQUEST"]
    assert kinds == ([(1, "CANCEL_PLASTIC", "TWO_PLASTICS")] if stage in ("sealed", "accepted", "made") else [])
    planned = ledger.execute("SELECT count(*) FROM plastic WHERE card_ref = %s AND attempt > 0", (ref,)).fetchone()
    assert planned == ((0,) if stage in ("waiting", "planned") else (1,))
    open_ = ledger.execute("SELECT kind FROM break WHERE closed_on IS NULL AND kind = 'TWO_PLASTICS'").fetchall()
    assert bool(open_) == (stage == "made")


def rename_job(connection: Connection, job_id: str) -> None:
    """Give J1 another id."""
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " SELECT %s, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake FROM job",
        (job_id,),
    )
    tamper(connection, "UPDATE job_item SET job_id = %s", (job_id,))
    connection.execute("UPDATE plastic SET job_id = %s", (job_id,))
    connection.execute("DELETE FROM job WHERE job_id = 'J1'")


def read_job(stack: Settings, job: Job) -> list[Any]:
    """The records of a stored job file, as its factory reads them."""
    private = NamedKey("F-ICBC", (stack.partner_credentials_dir / "F-ICBC" / "private.pem").read_bytes())
    signed = open_sealed(private, ObjectStore.of(stack).get(job.object))
    return list(fastavro.reader(io.BytesIO(jws.extract_compact(signed, registry=JWS).payload)))


def test_a_file_carries_what_was_known_when_it_was_sealed(
    stack: Settings, ledger_url: str, vault: Vault, context: Context
) -> None:
    """A change that comes between the plan's freezing and the end of sealing is lacking, however often it is tried."""
    settings = replace(stack, database_url=ledger_url)
    job_id = f"J-{uuid4()}"  # what is stored of an earlier run stays
    with connect(ledger_url) as connection:
        ref, *_ = make_cohort(connection, 3)
        unseal(connection)
        rename_job(connection, job_id)
        Sender(connection, context)(ref, "NAME_CHANGED", **NEW_NAME)
        decide_all(connection)
    job = Job(job_id, 1, COHORT, 1, "ICBC", "F-ICBC", OPENS + timedelta(days=30), 3, "0" * 16)
    sealer = Sealer(settings)
    sealer._prepare(job)
    with connect(ledger_url) as connection:
        sender = Sender(connection, context)
        sender.sent = 10
        sender(ref, "NAME_CHANGED", day=4, name="王建华")
        decide_all(connection)
        assert decisions(connection, ref) == []
    sealer.seal_job(job)
    assert [record["name"] for record in read_job(stack, job)] == ["王建軍", "王建国", "王建国"]
    with connect(ledger_url) as connection:
        set_business_day(connection, OPENS)
        decide_all(connection)
        assert (1, "REMAKE", "NAME_CHANGED") in decisions(connection, ref)
        assert person(connection, vault, ref)["name"] == "王建华"


def test_a_platform_changes_a_name_over_the_broker(stack: Settings, vault: Vault) -> None:
    """As a partner does it: our public key from S3, a sealed value, its own topic; the answer waits in the outbox."""
    url = fresh_database(stack.database_url, "ledger_holder_events_wire")
    new_ledger(url)
    with connect(url) as connection:
        ref, *_ = make_cohort(connection, 3)
        unplan(connection)
        set_business_day(connection, OPENS + timedelta(days=60))
    keys = json.loads(ObjectStore.of(stack).get(OUR_KEYS))["keys"]
    (ours,) = [key for key in keys if key["use"] == "enc"]
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": ours["kid"]}
    sealed = jwe.encrypt_compact(header, json.dumps(NEW_NAME), RSAKey.import_key(ours), registry=JWE)
    value = {
        "event_id": "wire-1", "source": "MSB", "event": "NAME_CHANGED", "cohort_id": COHORT, "card_ref": None,
        "application_id": "A0", "occurred_at": instant_on(OPENS, 10), "sealed": sealed,
    }  # fmt: skip
    line = Wire(stack, url)
    try:
        line.start("holder_events")
        for sent in (value, value, value | {"event_id": "wire-2", "sealed": "rubbish"}):
            line.send("MSB", "holder-events", sent)
        line.await_read("holder-events")
    finally:
        line.close()
    with connect(url) as connection:
        assert connection.execute("SELECT event_id FROM holder_event").fetchall() == [("wire-1",)]
        assert person(connection, vault, ref)["name"] == NEW_NAME["name"]
        answers = connection.execute("SELECT ce_id FROM outbox WHERE ce_id LIKE 'MSB/%' ORDER BY id").fetchall()
        refused = connection.execute("SELECT code FROM dead_letter").fetchall()
    assert [ce_id.split("/")[1] for (ce_id,) in answers] == ["APPLIED", "REPORT_REFUSED"]
    assert refused == [("SEALED_UNREADABLE",)]
