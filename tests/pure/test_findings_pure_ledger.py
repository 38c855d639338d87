"""Wire and reports without a ledger: the right outcome of each finding; marks name what is still to be mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest
from findings_fixture import HOLDER, on, settings_of, wire_value
from ledger_fixture import REGISTRY, as_read, item

from issuance.city.partners import Limits
from issuance.clock import end_of, instant_on, milliseconds
from issuance.settings import ROOT
from issuance.tracking.event_values import CardOrder, judge, read_change
from issuance.tracking.reports import Reporter, check_items, check_structure
from issuance.vault.envelopes import SealingKey, seal_to
from issuance.vault.keys import OPENING, KeyService
from issuance.wire.avro import encode_body, plain, read_inbound, schema_text
from issuance.wire.codec import as_written
from issuance.wire.consumer import Context
from issuance.wire.pauses import PartnerCount
from issuance.wire.refusals import Message, Outcome

CARD = {"card_ref": "00000000-0000-0000-0000-000000000001", "attempt": 1}
PERSONAL = "王建国 11010519491231002X 13800138000"


def codes(partner: str, kind: str, sent: dict[str, Any], now: datetime | None = None) -> list[str]:
    """The codes with which the only item of a report is refused."""
    value = as_read(wire_value(partner, "r", [sent]))
    _, refused = check_items(value, 0, Reporter(partner, kind), milliseconds(now or end_of(on(60))))
    return [refusal.code for refusal in refused]


@pytest.mark.parametrize("form", [plain, as_written])
def test_a_report_reads_the_same_whether_its_writer_knows_logical_types(form: Callable[[Any], Any]) -> None:
    """Of the schema's own client `codec` strips the writer's logical types: both are UTC milliseconds."""
    value = wire_value("F-ICBC", "r", [item("MADE", None, 2) | CARD])
    body = encode_body("card_report", value)
    writer = fastavro.parse_schema(plain(form(json.loads(schema_text("card_report")))))
    assert read_inbound("card_report", body, writer)["reported_at"] == milliseconds(value["reported_at"])


def context_of(directory: Path) -> Context:
    """What the stage of holder events knows; its keys lie in a folder of the test's own."""
    settings = replace(settings_of("postgresql://nobody"), keys_dir=directory)
    return Context(settings, REGISTRY, end_of(on(60)), on(60))


def test_sealed_values_nested_without_end_are_unreadable(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    keys = KeyService(tmp_path)
    deep = b"[" * 200_000 + b"]" * 200_000
    sealed = seal_to(SealingKey(OPENING, "RSA-OAEP-256", opening_pem(keys, tmp_path)), deep).decode()
    order = CardOrder("c", "110000", "retiree", "renewal", "ICBC", "outlet", "ICBC-0101", 1, 0, [])
    assert read_change("NAME_CHANGED", sealed, order, context) == "SEALED_UNREADABLE"


def opening_pem(keys: KeyService, directory: Path) -> bytes:
    """Our public key that partners seal to, made on the spot."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / f"{OPENING}.pem").write_bytes(pem)
    return keys.opening_public_keys()[0].pem


def test_half_a_surrogate_pair_in_sealed_values_is_refused(tmp_path: Path) -> None:
    row = {"id_type": "resident_id", "id_number": "11010519491231002X", "name": "王小明", "category": "retiree"}
    assert judge(row, json.loads('{"name": "\\ud800明"}'), "110000", context_of(tmp_path)) == "FIELD_INVALID"


# L18: clocks that are skewed


@pytest.mark.parametrize(
    "ahead",
    [timedelta(0), timedelta(milliseconds=5), timedelta(minutes=9)],
    ids=str,
)
def test_a_time_up_to_ten_minutes_ahead_is_taken(ahead: timedelta) -> None:
    now = instant_on(on(5), 10)
    assert codes("F-ICBC", "factory", item("MADE", None, 5, occurred_at=now + ahead) | CARD, now) == []


def test_a_time_more_than_a_day_ahead_is_an_invalid_field() -> None:
    now = instant_on(on(5), 10)
    ahead = item("MADE", None, 5, occurred_at=now + timedelta(hours=25)) | CARD
    assert codes("F-ICBC", "factory", ahead, now) == ["FIELD_INVALID"]


# L28: what counts towards a pause


def about(code: str | None, items: int = 1, refused: int = 0) -> Outcome:
    """What a stage says of a message."""
    return Outcome(Message("t", 0, 0, "HRSS-BJ", None, b"", (), None), code, items, refused)


@pytest.mark.parametrize("code", ["CARD_UNKNOWN", "TIME_AHEAD", "UNPROCESSABLE"])
def test_what_is_no_nonsense_of_the_sender_pauses_nobody(code: str) -> None:
    count = PartnerCount(0, 0, 0)
    assert {count.add(about(code), Limits()) for _ in range(Limits().run + 5)} == {None}


def test_a_partner_that_begins_to_send_nonsense_is_paused_whatever_it_sent_before() -> None:
    count = PartnerCount(0, 0, 0)
    for _ in range(2000):
        assert count.add(about(None, 1000), Limits()) is None
    assert "RATIO" in {count.add(about(None, 1000, 999), Limits()) for _ in range(200)}


# L38: personal values


@pytest.mark.parametrize(
    ("partner", "kind", "milestone", "field"),
    [
        ("ICBC", "bank", "COLLECTED", "place"),
        ("F-ICBC", "factory", "MADE", "serial"),
        ("EMS", "carrier", "POSTED", "code"),
        ("EMS", "carrier", "POSTED", "tracking_no"),
        ("EMS", "carrier", "POSTED", "return_tracking_no"),
    ],
)
@pytest.mark.parametrize("value", [PERSONAL, "11010519491231002X"])
def test_personal_values_in_a_text_are_refused(partner: str, kind: str, milestone: str, field: str, value: str) -> None:
    values = {"place": "ICBC-001", "actors": HOLDER, "tracking_no": "T1"} | {field: value}
    assert codes(partner, kind, item(milestone, None, 5) | CARD | values) == ["FIELD_INVALID"]


@pytest.mark.parametrize(
    "value",
    [
        "13800138000",
        "经办人王建国",
        "A 11010519491231002X",
    ],
)
def test_personal_values_of_who_took_part_are_refused(value: str) -> None:
    actors = [{"role": "PROXY", "reference": value}]
    assert codes("ICBC", "bank", item("COLLECTED", None, 5) | CARD | {"place": "P", "actors": actors}) == [
        "FIELD_INVALID"
    ]


@pytest.mark.parametrize("field", ["report_id", "stream", "handover_id", "to_place", "job_id"])
def test_personal_values_in_the_head_refuse_the_report(field: str) -> None:
    value = as_read(wire_value("F-ICBC", "r", [item("MADE", None, 5) | CARD]) | {field: PERSONAL})
    assert check_structure(value, Reporter("F-ICBC", "factory"), milliseconds(end_of(on(60)))) == "FIELD_INVALID"


@pytest.mark.parametrize("field", ["serial", "tracking_no"])
def test_a_serial_that_looks_like_a_mobile_number_is_taken(field: str) -> None:
    partner, kind, milestone = ("F-ICBC", "factory", "MADE") if field == "serial" else ("EMS", "carrier", "POSTED")
    assert codes(partner, kind, item(milestone, None, 5) | CARD | {field: "13800138000"}) == []


@pytest.mark.parametrize("setting", ["replication", "min.insync.replicas"])
def test_topics_say_how_often_they_are_kept(setting: str) -> None:
    assert setting in (ROOT / "schemas" / "topics.yaml").read_text(encoding="utf-8")
