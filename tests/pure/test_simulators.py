"""The simulators' pure core: what they do on a day follows from what they got before it, and from nothing else."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from issuance.city.partners import load_registry
from issuance.clock import day_of, end_of, milliseconds
from issuance.dispatch.jobfile import encode_job, seal_signed
from issuance.settings import ROOT
from issuance.tracking.post import s10_contradicts
from issuance.tracking.reports import Reporter, StagedFact, check_items, check_structure
from issuance.vault.envelopes import SealingKey, key_of
from issuance.vault.keys import NamedKey
from issuance.wire.avro import encode_body, read_inbound
from issuance.words.lifecycle import MILESTONES
from issuance.words.references import hash_total
from producers.simulators.casting import KINDS, Props, cast
from producers.simulators.choices import Choices, tracking_number
from producers.simulators.company import Company
from producers.simulators.rates import RATES, rates_with
from producers.simulators.records import Message, Outgoing, Parcel, Plastic
from producers.simulators.sealed import SealedFiles
from producers.simulators.street import Street
from producers.simulators.world import Application

REGISTRY = load_registry(ROOT / "policies" / "partners.demo.yaml")
OPENS = date(2025, 10, 9)
METHODS = ("outlet",) * 12 + ("mail",) * 5 + ("service_point", "employer", "home_delivery")
ONE = timedelta(1)
Key = tuple[str, int]
World = dict[str, Company]


def plastic_of(number: int, attempt: int = 1) -> Plastic:
    """The n-th plastic of a test cohort."""
    banks = [bank.id for bank in REGISTRY.of_kind("bank")]
    bank, method = banks[number % len(banks)], METHODS[number // len(banks) % len(METHODS)]
    place = {"outlet": f"{bank}-{number % 7:04d}", "employer": f"E{number % 5:06d}"}.get(method, "110105")
    card_ref = str(UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
    return Plastic(card_ref, attempt, bank, REGISTRY.factory_of_bank[bank], method, place)


def world(seed: int, jobs: dict[str, list[Plastic]], rates: dict[str, float], leaving: int = 0) -> World:
    """All six companies, with files opened from a dictionary."""
    props = Props(
        lambda partner: lambda order: jobs.get(order["job_id"]),
        lambda partner: lambda notice: int(notice["count"]),
        lambda: iter([Application("demo-1", f"A{number}", "ICBC", "outlet") for number in range(leaving)]),
    )
    return {kind: cast(kind, REGISTRY, Choices(seed, rates), props) for kind in KINDS}


@dataclass
class Office:
    """What issuance does in answer, as far as simulators can see it: re-makes, re-sends, cancels in order."""

    jobs: dict[str, list[Plastic]]
    split: bool = False
    """Hand out messages in several rounds a day."""
    plastics: dict[Key, Plastic] = field(default_factory=dict)
    facts: dict[Key, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    letters: dict[str, Key] = field(default_factory=dict)
    cancelled: set[Key] = field(default_factory=set)
    asked: set[tuple[Key, str]] = field(default_factory=set)

    def order(self, job_id: str, plastics: list[Plastic]) -> Message:
        """A job's order."""
        self.jobs[job_id] = plastics
        self.plastics |= {plastic.key: plastic for plastic in plastics}
        value: dict[str, Any] = {"job_id": job_id, "action": "ORDER", "object": "-", "sha256": "0" * 64}
        value |= {"card_count": len(plastics), "hash_total": hash_total([plastic.card_ref for plastic in plastics])}
        return Message(plastics[0].factory, "card-jobs", value)

    def take(self, day: date, messages: list[Outgoing]) -> list[Message]:
        """Facts in, orders and requests out."""
        touched: set[Key] = set()
        for message in messages:
            if message.record == "holder_event":
                number = int(message.value["application_id"][1:])
                self.facts[plastic_of(number).key]["WITHDRAWN"] = 1
                touched |= {key for key in self.plastics if key[0] == plastic_of(number).card_ref}
            for item in message.value.get("items", ()) if message.record == "card_report" else ():
                touched |= self._take_item(message.value, item)
        return [m for key in sorted(touched) for m in self._decide(day, key)]

    def _take_item(self, report: dict[str, Any], item: dict[str, Any]) -> set[Key]:
        if "card_ref" not in item:
            key = self.letters.get(item.get("tracking_no", ""))
        else:
            key = item["card_ref"], item["attempt"]
            if item["milestone"] == "HANDED_OVER" and item.get("tracking_no"):
                self.letters[item["tracking_no"]] = key
        if key is None:
            return set()
        self.facts[key][item["milestone"]] = item.get("tracking_no", 1)
        if item["milestone"] == "HANDED_OVER":
            for gone in ("RETURNED", "POSTED"):
                self.facts[key].pop(gone, None)
        return {key}

    def _decide(self, day: date, key: Key) -> Iterator[Message]:
        plastic, facts = self.plastics[key], self.facts[key]
        withdrawn = "WITHDRAWN" in self.facts[key[0], 1]
        taken = "COLLECTED" in facts or "DELIVERED" in facts
        again = {"SPOILED", "ITEM_REFUSED", "REFUSED_BY_HOLDER", "LOST"} & set(facts)
        if again and not withdrawn and (key[0], key[1] + 1) not in self.plastics:
            new = plastic._replace(attempt=key[1] + 1)
            yield self.order(f"R.{day}.{key[0]}", [new])
        if withdrawn or {"REFUSED_BY_HOLDER", "LOST"} & set(facts):
            self.cancelled.add(key)
        if "RETURNED" in facts and key not in self.cancelled:
            yield from self._ask(key, plastic.factory, f"HAND_OUT:{facts['RETURNED']}")
        if key not in self.cancelled or {"SPOILED", "ITEM_REFUSED", "DESTROYED"} & set(facts):
            return
        if "MADE" not in facts:
            yield from self._ask(key, plastic.factory, "CANCEL")
        elif "SS_CANCELLED" not in facts:
            yield from self._ask(key, "HRSS-BJ", "CANCEL_SS")
        elif "ACCOUNT_CANCELLED" not in facts:
            yield from self._ask(key, plastic.bank, "CANCEL_ACCOUNT")
        elif not taken and "LOST" not in facts:
            at_hrss = plastic.method in ("employer", "service_point")
            away = "RETURNED" in facts or not {"HANDED_OVER", "RECEIVED_AT_PLACE"} & set(facts)
            yield from self._ask(key, plastic.factory if away else "HRSS-BJ" if at_hrss else plastic.bank, "DESTROY")

    def _ask(self, key: Key, partner: str, occasion: str) -> Iterator[Message]:
        if (key, occasion) not in self.asked:
            self.asked.add((key, occasion))
            request = {"request_id": f"{occasion}.{key}", "request": occasion.split(":")[0]}
            plastics = [{"card_ref": key[0], "attempt": key[1]}]
            yield Message(partner, "partner-notices", {"kind": "REQUESTED", **request, "plastics": plastics})


def about_facts(truth: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines about facts, without what was done beside them."""
    return [line for line in truth if "milestone" in line]


@dataclass
class Run:
    """A whole life in one process: what was sent each day, and the truth about it."""

    sent: list[tuple[date, Outgoing]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    last_day: date = OPENS

    def entries(self) -> list[str]:
        """The truth, in an order of its own."""
        return sorted(json.dumps(line, sort_keys=True) for line in self.truth)

    def by_plastic(self) -> dict[Key, dict[str, datetime]]:
        """What happened to each plastic; mail is named by its letters."""
        letters = {
            line["consignment_id"]: (line["card_ref"], line["attempt"])
            for line in self.truth
            if line["milestone"] == "HANDED_OVER"
        }
        life: dict[Key, dict[str, datetime]] = defaultdict(dict)
        for line in self.truth:
            key = letters[line["consignment_id"]] if line["subject"] == "mail" else (line["card_ref"], line["attempt"])
            if line["subject"] != "job" and not line["annulled"]:
                life[key][line["milestone"]] = datetime.fromisoformat(line["occurred_at"])
        return life


def live(cards: int, seed: int = 7, split: bool = False, leaving: int = 0, **faults: float) -> Run:
    """Play a cohort from its opening until nobody has anything left to do."""
    jobs: dict[str, list[Plastic]] = {}
    settings = (f"{name.replace('_', '-')}={rate}" for name, rate in faults.items())
    companies = world(seed, jobs, rates_with(settings), leaving)
    office, run, street = Office(jobs), Run(), list[Parcel]()
    by_bank: dict[str, list[Plastic]] = defaultdict(list)
    for number in range(cards):
        by_bank[plastic_of(number).bank].append(plastic_of(number))
    waiting = [office.order(f"demo-1.1.{bank}", plastics) for bank, plastics in sorted(by_bank.items())]
    day: date | None = OPENS
    while day is not None:
        run.last_day = day
        today: list[Outgoing] = []
        given: list[Parcel] = []
        for kind, company in companies.items():
            output = company.live(day, [p for p in street if p.to_kind == kind and p.available_on <= day])
            today += output.messages
            given += output.parcels
            run.truth += about_facts(output.truth)
        street = [p for p in street if p.available_on > day] + given
        waiting += office.take(day, today)
        for batch in [[m] for m in reversed(waiting)] if split else [waiting]:
            for company in companies.values():
                mine = [m for m in batch if m.partner in company.members]
                assert company.hear(day, mine) == []
                street += company.take_parcels(day)
        waiting = []
        run.sent += [(day, message) for message in today]
        dues = [company.next_due() for company in companies.values()] + [p.available_on for p in street]
        assert all(due is None or due > day for due in dues)
        day = min((due for due in dues if due is not None), default=None)
        assert day is None or day < date(2027, 1, 1)
    return run


@pytest.fixture(scope="module")
def whole() -> Run:
    """2,000 cards with some of everything."""
    return live(2000, leaving=2000, withdraw=0.05, uncollected=0.02, unactivated=0.02, correct=0.05)


def facts_of(run: Run) -> Iterator[tuple[date, StagedFact]]:
    """Every report read as our side reads it; fails on anything that our side would refuse."""
    seen: set[str] = set()
    for day, message in run.sent:
        if message.record != "card_report" or message.key in seen:
            continue
        seen.add(message.key)
        report = read_inbound("card_report", encode_body("card_report", message.value))
        reporter = Reporter(message.partner, REGISTRY.partners[message.partner].kind)
        assert check_structure(report, reporter, milliseconds(end_of(day))) is None
        facts, refused = check_items(report, 0, reporter, milliseconds(end_of(day)))
        assert refused == []
        yield from ((day, fact) for fact in facts)


def test_choices_are_functions() -> None:
    one, other = Choices(1, RATES), Choices(2, RATES)
    assert one.number("a", 1) == Choices(1, RATES).number("a", 1) != other.number("a", 1)
    assert one.number("a", "bc") != one.number("ab", "c")
    parts = [one.part("even", n) for n in range(4000)]
    assert 0.47 < sum(parts) / len(parts) < 0.53
    assert {one.days((2, 5), n).days for n in range(200)} == {2, 3, 4, 5}


@given(st.uuids(), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3))
def test_ems_numbers_are_valid(card: UUID, attempt: int, trip: int, turn: int) -> None:
    number = tracking_number(Choices(3, RATES), "EMS", (str(card), attempt), trip, turn)
    assert len(number) == 13 and number.endswith("CN") and not s10_contradicts(number)


def test_sf_numbers() -> None:
    number = tracking_number(Choices(3, RATES), "SF", ("x", 1), 1)
    assert number[:2] == "SF" and len(number) == 15 and number[2:].isdigit()


def test_rates_are_named() -> None:
    assert rates_with(["delay=0.5"])["delay"] == 0.5
    for wrong in ("dalay=0.5", "delay=2", "delay=much"):
        with pytest.raises(ValueError):
            rates_with([wrong])


def test_reports_stand_before_our_checks_and_truth_is_complete(whole: Run) -> None:
    staged = list(facts_of(whole))
    taken_back = {(f.card_ref, f.kind.attempt, f.kind.milestone, f.mark[:13]) for _, f in staged if f.kind.corrects}
    found = {
        (
            f.kind.subject,
            f.kind.job_id,
            str(UUID(bytes=f.card_ref)) if f.card_ref else "",
            f.kind.attempt,
            f.kind.consignment_id,
            f.kind.milestone,
            f.mark[:13],
        )
        for _, f in staged
        if not f.kind.corrects
    }
    told = {
        (
            line["subject"], line["job_id"], line["card_ref"] or "", line["attempt"], line["consignment_id"],
            line["milestone"], f"{datetime.fromisoformat(line['occurred_at']).timestamp() * 1000:013.0f}",
        )
        for line in whole.truth
    }  # fmt: skip
    assert found == told and len(told) == len(whole.truth)
    annulled = [line for line in whole.truth if line["annulled"]]
    assert len(annulled) == len(taken_back) > 10


def test_single_milestones_have_one_value(whole: Run) -> None:
    single = Counter(
        (line["subject"], line["job_id"], line["card_ref"], line["attempt"], line["consignment_id"], line["milestone"])
        for line in whole.truth
        if not line["annulled"] and not MILESTONES[line["milestone"]].repeatable
    )
    assert [name for name, count in single.items() if count > 1] == []


def test_every_kind_of_fate_happens(whole: Run) -> None:
    milestones = {line["milestone"] for line in whole.truth}
    never = {"ISSUED_INSTANTLY", "OLD_CARD_USED", "LOSS_REPORTED", "LOSS_REPORTED_TEMPORARY", "SENT_BACK"}
    assert set(MILESTONES) - milestones == never | {"ITEM_ACCEPTED", "JOB_REFUSED"}
    assert {d for line in whole.truth for d in line["defects"]} == {"delay", "repeat", "reorder"}
    assert {line["reason"] for line in whole.truth if line["milestone"] == "ITEM_REFUSED"} >= {"CANCELLED"}


ORDER = (
    ("MADE", "BANK_KEYED"), ("BANK_KEYED", "SS_KEYED"), ("SS_KEYED", "HANDED_OVER"),
    ("HANDED_OVER", "RECEIVED_AT_PLACE"), ("RECEIVED_AT_PLACE", "COLLECTED"), ("COLLECTED", "SS_ACTIVATED"),
    ("DELIVERED", "SS_ACTIVATED"), ("SS_ACTIVATED", "OLD_CARD_LAPSED"), ("SS_ACTIVATED", "FINANCE_ACTIVATED"),
    ("SS_ACTIVATED", "ECARD_SIGNED"), ("SS_ACTIVATED", "SS_CANCELLED"), ("SS_CANCELLED", "ACCOUNT_CANCELLED"),
    ("FINANCE_ACTIVATED", "SS_CANCELLED"), ("COLLECTED", "SS_CANCELLED"), ("ACCOUNT_CANCELLED", "DESTROYED"),
    ("RECEIVED_AT_PLACE", "DESTROYED"), ("RETURNED", "DESTROYED"), ("POSTED", "DELIVERED"),
)  # fmt: skip
EXCLUDE = (
    ("COLLECTED", "DESTROYED"), ("COLLECTED", "REFUSED_BY_HOLDER"), ("ITEM_REFUSED", "MADE"), ("SPOILED", "MADE"),
    ("LOST", "DELIVERED"), ("LOST", "DESTROYED"), ("DELIVERED", "DESTROYED"), ("REFUSED_BY_HOLDER", "SS_ACTIVATED"),
)  # fmt: skip


def test_the_steps_stand_in_the_order_of_life() -> None:
    run = live(2000, leaving=2000, withdraw=0.05, delay=0)
    for key, life in run.by_plastic().items():
        for first, then in ORDER:
            if first in life and then in life:
                assert life[first] < life[then], (key, first, then)
        for one, other in EXCLUDE:
            assert not (one in life and other in life), (key, one, other)
        assert "FINANCE_ACTIVATED" not in life or "SS_ACTIVATED" in life


def test_every_card_comes_to_an_end(whole: Run) -> None:
    lives = whole.by_plastic()
    newest = {ref: max(attempt for r, attempt in lives if r == ref) for ref, _ in lives}
    for ref, attempt in newest.items():
        ends = {"COLLECTED", "DELIVERED", "DESTROYED", "ITEM_REFUSED", "RECEIVED_AT_PLACE"}
        assert ends & set(lives[ref, attempt]), (ref, attempt)


def test_receivers_sign_for_what_givers_signed(whole: Run) -> None:
    signed: dict[str, set[int]] = defaultdict(set)
    listed: dict[str, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for _, message in whole.sent:
        value = message.value
        if message.record == "card_report" and value["handover_id"]:
            signed[value["handover_id"]].add(value["handover_count"])
            for item in value["items"]:
                listed[value["handover_id"]][item["milestone"]].add((item["card_ref"], item["attempt"]))
    for handover_id, counts in signed.items():
        sides = listed[handover_id]
        assert counts == {len(sides["HANDED_OVER"])}
        assert sides["HANDED_OVER"] == sides["RECEIVED_AT_PLACE"]


def test_sequences_have_no_gaps(whole: Run) -> None:
    seen: dict[str, list[int]] = defaultdict(list)
    for _, message in whole.sent:
        if message.record == "card_report":
            seen[message.partner].append(message.value["sequence"])
    for numbers in seen.values():
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert any(numbers != sorted(numbers) for numbers in seen.values())


def test_repeats_are_the_same_bytes(whole: Run) -> None:
    bodies: dict[str, set[bytes]] = defaultdict(set)
    copies: Counter[str] = Counter()
    for _, message in whole.sent:
        if message.record == "card_report":
            bodies[message.key].add(encode_body(message.record, message.value))
            copies[message.key] += 1
    assert set(map(len, bodies.values())) == {1}
    assert max(copies.values()) == 2


def test_statements_list_what_is_active(whole: Run) -> None:
    statements = [m.value for _, m in whole.sent if m.record == "statement"]
    assert {s["partner"] for s in statements} == {p.id for kind in ("bank", "hrss") for p in REGISTRY.of_kind(kind)}
    for function, since, until in (
        ("ss", "SS_ACTIVATED", "SS_CANCELLED"), ("finance", "FINANCE_ACTIVATED", "ACCOUNT_CANCELLED"),
    ):  # fmt: skip
        banks = {plastic_of(n).card_ref: plastic_of(n).bank for n in range(2000)}
        for statement in (s for s in statements if s["function"] == function):
            mine = {
                key
                for key, life in whole.by_plastic().items()
                if since in life and life[since] <= statement["as_of"]
                and not (until in life and life[until] <= statement["as_of"])
                and (function == "ss" or banks[key[0]] == statement["partner"])
            }  # fmt: skip
            listed = {(item["card_ref"], item["attempt"]) for item in statement["items"]}
            assert statement["chunks"] > 1 or listed == mine
            assert listed <= mine and statement["total"] == len(mine)
            assert statement["hash_total"] == hash_total([ref for ref, _ in mine])
            assert statement["business_day"].weekday() == 4


def test_messages_split_otherwise_give_the_same() -> None:
    one, other = (live(400, leaving=400, withdraw=0.1, split=split) for split in (False, True))
    assert one.entries() == other.entries()
    assert one.sent == other.sent


def test_seeds_and_faults_on_the_way() -> None:
    plain = live(300)
    assert plain.entries() == live(300).entries() != live(300, seed=8).entries()

    def facts(run: Run) -> list[str]:
        return sorted(json.dumps({**line, "defects": []}, sort_keys=True) for line in run.truth)

    assert facts(plain) == facts(live(300, repeat=0.5, reorder=0.5))


def test_an_empty_world_states_nothing_and_ends() -> None:
    run = live(0)
    statements = [m.value for _, m in run.sent]
    assert {s["total"] for s in statements} == {0} and {s["chunks"] for s in statements} == {1}
    assert Counter(s["partner"] for s in statements)["ICBC"] == 2
    assert run.last_day == date(2025, 10, 17)


def test_missing_reports_are_sent_again() -> None:
    jobs: dict[str, list[Plastic]] = {}
    factory = world(7, jobs, rates_with(["drop=1"]))["factory"]
    plastics = [plastic_of(0)]
    factory.hear(OPENS, [Office(jobs).order("J", plastics)])
    assert factory.live(OPENS + ONE, []).messages == []
    notice = {"kind": "MISSING", "report_id": None, "stream": "main", "first": 1, "last": 1}
    again = factory.hear(OPENS + ONE, [Message(plastics[0].factory, "partner-notices", notice)])
    assert [m.value["sequence"] for m in again] == [1]


def test_a_cancelled_job_is_refused_whichever_comes_first() -> None:
    for order_first in (True, False):
        jobs: dict[str, list[Plastic]] = {}
        company = world(7, jobs, rates_with([]))["factory"]
        order = Office(jobs).order("J", [plastic_of(0)])
        cancel = order._replace(value={"job_id": "J", "action": "CANCEL"})
        company.hear(OPENS, [order, cancel] if order_first else [cancel, order])
        lines: list[dict[str, Any]] = []
        while (day := company.next_due()) is not None:
            lines += about_facts(company.live(day, []).truth)
        assert [(line["milestone"], line["reason"]) for line in lines] == [
            ("JOB_RECEIVED", None), ("JOB_REFUSED", "CANCELLED"),
        ]  # fmt: skip


def test_an_unreadable_file_refuses_the_job() -> None:
    company = world(7, {}, rates_with([]))["factory"]
    company.hear(OPENS, [Message("F-ICBC", "card-jobs", {"job_id": "J", "action": "ORDER"})])
    lines: list[dict[str, Any]] = []
    while (day := company.next_due()) is not None:
        lines += about_facts(company.live(day, []).truth)
    assert lines[-1]["reason"] == "DATA_UNREADABLE"


@pytest.fixture(scope="module")
def keys() -> dict[str, bytes]:
    """A factory's private key, ours, and their public halves, as PEM."""
    pairs = {name: RSAKey.generate_key(2048, private=True) for name in ("factory", "ours")}
    return {name: key.as_pem(private=True) for name, key in pairs.items()} | {
        f"{name}.pub": key.as_pem(private=False) for name, key in pairs.items()
    }


def sealed_job(keys: dict[str, bytes], signed_by: str = "ours") -> tuple[dict[str, Any], bytes]:
    """An order and its file."""
    plastics = [plastic_of(number) for number in range(3)]
    fields = {
        name: None
        for name in (
            "name",
            "id_number",
            "social_security_number",
            "phone",
            "address",
            "postcode",
            "photo_ref",
            "pack",
            "postage",
        )
    }
    records = [
        {
            "card_ref": p.card_ref,
            "attempt": 1,
            "bank": p.bank,
            "collection_method": p.method,
            "place": p.place,
            **fields,
        }
        for p in plastics
    ]
    total = hash_total([p.card_ref for p in plastics])
    key = SealingKey("F", "RSA-OAEP-256", keys["factory.pub"])
    sealed = seal_signed(encode_job(records, "J", total), NamedKey("signing", keys[signed_by]), key)
    order = {"job_id": "J", "object": "o", "hash_total": total, "card_count": 3}
    return order | {"sha256": hashlib.sha256(sealed).hexdigest()}, sealed


def open_sealed(keys: dict[str, bytes], order: dict[str, Any], stored: bytes) -> list[Plastic] | None:
    """What the factory makes of a file that S3 gives it."""
    files = SealedFiles("F", lambda kid: keys["factory"], lambda kid: key_of(keys["ours.pub"]), lambda key: stored)
    return files.open_job(order)


def test_a_job_file_is_checked_before_it_is_believed(keys: dict[str, bytes]) -> None:
    order, sealed = sealed_job(keys)
    opened = open_sealed(keys, order, sealed)
    assert opened is not None and [p.key for p in opened] == [plastic_of(n).key for n in range(3)]
    for wrong in ({"job_id": "K"}, {"card_count": 2}, {"hash_total": "0" * 16}, {"sha256": "0" * 64}):
        assert open_sealed(keys, order | wrong, sealed) is None
    rubbish = b"rubbish"
    assert open_sealed(keys, order | {"sha256": hashlib.sha256(rubbish).hexdigest()}, rubbish) is None
    assert open_sealed(keys, *sealed_job(keys, signed_by="factory")) is None


def test_complaints_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    company = world(7, {}, rates_with([]))["bank"]
    notice = {"kind": "ITEM_REFUSED", "report_id": "ICBC-20251010-0001", "code": None}
    notice |= {"refusals": [{"index": 0, "code": "IN_FUTURE"}]}  # type: ignore[dict-item]
    company.hear(OPENS, [Message("ICBC", "partner-notices", notice)])
    assert company.members["ICBC"].complaints == 1
    assert "IN_FUTURE" in caplog.text


def test_the_street_keeps_a_day(tmp_path: Path) -> None:
    giver, taker = Street(tmp_path, "factory"), Street(tmp_path, "bank")
    parcel = Parcel("F-ICBC/000001", "bank", "ICBC", "plastics", OPENS + ONE, [["HO-1", "ICBC-0001", []]])
    giver.give([parcel])
    assert giver.next_after(OPENS) == OPENS + ONE
    assert taker.take(OPENS) == []
    assert taker.take(OPENS + ONE) == [parcel]
    assert taker.take(OPENS + ONE) == giver.take(OPENS + 2 * ONE) == []
    assert taker.next_after(OPENS + ONE) is None
    Street(tmp_path, "factory").close()
    assert Street(tmp_path, "bank").take(OPENS + ONE) == []
    giver.close()
    taker.close()


def test_reports_are_dated_by_the_day(whole: Run) -> None:
    for day, message in whole.sent:
        if message.record == "card_report":
            assert day_of(message.value["reported_at"]) == day
            assert all(day_of(item["occurred_at"]) <= day for item in message.value["items"])


def test_a_late_statement_and_missing_chunks_are_sent_when_asked_for() -> None:
    hrss = world(7, {}, rates_with([]))["hrss"]
    whole = {"kind": "MISSING", "report_id": None, "stream": None, "function": "ss", "business_day": OPENS}
    (sent,) = hrss.hear(OPENS + ONE, [Message("HRSS-BJ", "partner-notices", whole)])
    assert (sent.record, sent.value["function"], sent.value["business_day"]) == ("statement", "ss", OPENS + ONE)
    assert hrss.hear(OPENS + ONE, [Message("HRSS-BJ", "partner-notices", whole)]) == [sent]
    chunk = {"kind": "MISSING", "report_id": sent.value["statement_id"], "stream": None, "first": 1, "last": 1}
    assert hrss.hear(OPENS + ONE, [Message("HRSS-BJ", "partner-notices", chunk)]) == [sent]
