"""The table of bounds against the Avro files, and what lies at and past each bound; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ledger_fixture import OPENS, as_read, item, on, report

from issuance.clock import end_of, instant_on, milliseconds
from issuance.intake.photos import MAX_BYTES
from issuance.tracking.reports import MOST_ITEMS
from issuance.wire.avro import schema_text
from issuance.wire.bounds import (
    Bound,
    bounds_of,
    head_refusal,
    invalid_items,
    judge_time,
    most_bytes,
    sealed_are_within,
    seconds_ahead,
    table,
)
from issuance.wire.outbox import ITEMS
from issuance.wire.topics import declared_families
from issuance.words.codes import HOLDER_EVENTS

INBOUND = sorted({e["schema"].removesuffix(".avsc") for e in declared_families().values() if e["direction"] == "in"})
NOW = milliseconds(end_of(on(60)))
HOUR = 3_600_000


def leaves(schema: Any, path: str = "") -> Iterator[str]:
    """The paths of a record's fields that hold a text, a number, a time or a list."""
    for field in schema["fields"]:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        named = path + field["name"]
        for kind in kinds:
            form = kind["type"] if isinstance(kind, dict) else kind
            if form == "array":
                yield named
                yield from leaves(kind["items"], f"{named}.")
            elif form not in ("null", "boolean", "enum"):
                yield named


def test_every_inbound_record_has_its_bounds() -> None:
    assert sorted(table()["records"]) == INBOUND


@pytest.mark.parametrize("record", INBOUND)
def test_every_field_of_an_inbound_record_has_a_bound(record: str) -> None:
    assert sorted(leaves(json.loads(schema_text(record)))) == sorted(bounds_of(record))


def test_every_sealed_value_has_a_bound() -> None:
    columns = {column for event in HOLDER_EVENTS.values() for column in (*event.needs, *event.may)}
    assert set(bounds_of("sealed")) == columns


def test_sizes_that_the_code_names_are_those_of_the_table() -> None:
    assert bounds_of("card_report")["items"].most == bounds_of("statement")["items"].most == MOST_ITEMS == ITEMS
    assert most_bytes("photo") == MAX_BYTES


FITTING = {"card": "0123ABCD-0123-4123-8123-0123456789ab", "hex": "a", "digits": "1", "cohort": "a", "code": "A"}
"""A character of each set, or a whole text of it."""


def text_of(bound: Bound, length: int) -> str:
    """A text of a set and a length, without personal values."""
    named = bound.characters.name if bound.characters else ""
    whole = FITTING.get(named, "A")
    return whole if named == "card" else whole * length


EVERY = [
    pytest.param(bound, id=f"{record}.{path}")
    for record in (*INBOUND, "sealed")
    for path, bound in bounds_of(record).items()
    if bound.kind != "time"
]


@pytest.mark.parametrize("bound", EVERY)
def test_what_lies_at_a_bound_is_admitted_and_what_lies_past_it_is_not(bound: Bound) -> None:
    def of_size(size: int) -> Any:
        return text_of(bound, size) if bound.kind == "text" else [None] * size if bound.kind == "list" else size

    assert bound.admits(of_size(bound.least))
    assert bound.admits(of_size(bound.most))
    longer = of_size(bound.most + 1)
    assert not bound.admits(longer + "A" if longer == of_size(bound.most) else longer)
    if bound.least > 0 or bound.kind in ("number", "day", "instant"):
        shorter = "" if bound.kind == "text" else of_size(bound.least - 1)
        assert not bound.admits(shorter)


@pytest.mark.parametrize("bound", [p for p in EVERY if p.values[0].kind == "text"])
@pytest.mark.parametrize("hostile", ["\0", "\n", "\x7f", "\u0085", "\ud800", "\u202e"])
def test_no_text_holds_control_characters(bound: Bound, hostile: str) -> None:
    free = bound.characters is not None and bound.characters.personal
    assert bound.admits(f"A{hostile}"[-bound.most :]) == (free and hostile == "\u202e")


@pytest.mark.parametrize("bound", [p for p in EVERY if p.values[0].kind == "text" and p.values[0].most >= 24])
def test_only_what_was_sealed_holds_personal_values(bound: Bound) -> None:
    free = bound.characters is not None and bound.characters.personal
    for personal in ("王建国", "11010519491231002X", "A-11010519491231002X.1"):
        assert bound.admits(personal) == free
    mobile = free or (bound.characters is not None and bound.characters.mobile)
    assert bound.admits("13800138000") == mobile


def test_a_chinese_code_is_one_of_the_mail_table() -> None:
    code = bounds_of("card_report")["items.code"]
    assert code.admits("妥投")
    assert not code.admits("王建国")


def test_serial_numbers_that_only_have_the_check_digit_are_no_id_numbers() -> None:
    serial = bounds_of("card_report")["items.serial"]
    assert all(serial.admits(f"20251009{number:010d}") for number in range(1000))


def test_items_outside_their_bounds_are_named_by_position() -> None:
    items = [item("MADE", None, 2, serial=serial) for serial in ("A", "B\0", None, "C" * 65)]
    items[2]["actors"] = [{"role": "HOLDER", "reference": "x" * 65}]
    assert invalid_items("card_report", as_read(items)) == {1, 2, 3}


@pytest.mark.parametrize("field", ["place", "serial", "tracking_no", "card_ref", "code", "reason"])
@pytest.mark.parametrize("hostile", ["\0", "\n", "\x7f", "\u0085"])
def test_a_text_that_would_be_two_sound_ones_is_outside(field: str, hostile: str) -> None:
    sound = {"code": "EMI", "card_ref": "0284e1f5-b49e-57b8-9a94-7163c2993cb0"}.get(field, "A")
    items = [item("MADE", None, 2) | {field: text} for text in (sound, f"{sound}{hostile}{sound}", sound)]
    assert invalid_items("card_report", as_read(items)) == {1}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("stream", "main", None), ("stream", "a\0", "FIELD_INVALID"), ("sequence", 0, "FIELD_INVALID"),
        ("reported_at", instant_on(OPENS.replace(year=2014), 9), "FIELD_INVALID"),
        ("reported_at", end_of(on(900)), None),
    ],
)  # fmt: skip
def test_a_field_of_the_head_refuses_the_whole_report(field: str, value: Any, code: str | None) -> None:
    head = {"reported_at": instant_on(OPENS, 9), field: value}
    read = as_read(report("F-ICBC", "r", [item("MADE", None, 2)], **head).value)
    assert head_refusal("card_report", read, NOW) == code


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        (0, None), (600_000, None), (600_001, "TIME_AHEAD"), (24 * HOUR, "TIME_AHEAD"),
        (24 * HOUR + 1, "FIELD_INVALID"), (10**18, "FIELD_INVALID"), (-HOUR, None), (-NOW, "BEFORE_ORDER"),
        (-(10**18), "BEFORE_ORDER"),
    ],
)  # fmt: skip
def test_a_time_is_judged_by_its_window(ahead: int, code: str | None) -> None:
    assert judge_time(NOW + ahead, NOW, milliseconds(instant_on(OPENS, 0))) == code


def test_the_seconds_ahead_are_those_of_the_most_skewed_time() -> None:
    assert seconds_ahead([NOW, NOW + 600_001, NOW + HOUR, NOW + 30 * HOUR], NOW) == 3600
    assert seconds_ahead([NOW + 600_000], NOW) == 0


@pytest.mark.parametrize(
    ("values", "within"),
    [
        ({"name": "王建国", "id_number": "11010519491231002X"}, True), ({"name": ""}, False), ({"shoe": "44"}, False),
        ({"name": "王" * 101}, False), ({"address": "\ud800"}, False),
    ],
)  # fmt: skip
def test_sealed_values_are_known_columns_within_their_bounds(values: dict[str, str], within: bool) -> None:
    assert sealed_are_within(values) == within
