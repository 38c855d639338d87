"""Harmless variants come to one form and are counted; everything else stays as it is."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.intake.columns import CODES, NAMES
from issuance.intake.normalise import NOTES, normalise


def normalised(column: str, value: str) -> tuple[str, dict[str, int]]:
    frame = pd.DataFrame({name: [value if name == column else ""] for name in NAMES}, dtype="str").assign(line=2)
    changed, notes = normalise(frame)
    assert list(changed.columns) == list(frame.columns)
    return str(changed[column].iat[0]), notes


@pytest.mark.parametrize(
    ("column", "value", "expected", "notes"),
    [
        ("id_number", "１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X", {"full_width"}),
        ("id_number", "11010519491231002x", "11010519491231002X", {"lower_case"}),
        ("id_number", "１１０１０５１９４９１２３１００２ｘ", "11010519491231002X", {"full_width", "lower_case"}),
        ("guardian_id_number", "11010519491231002x", "11010519491231002X", {"lower_case"}),
        ("photo_sha256", "AB" * 32, "ab" * 32, {"lower_case"}),
        ("application_id", " A1\t", "A1", {"spaces"}),
        ("id_number", "'11010519491231002x", "11010519491231002X", {"apostrophe", "lower_case"}),
        ("phone", "'+8615400000000", "15400000000", {"apostrophe", "phone_form"}),
        ("postcode", "'010010", "010010", {"apostrophe"}),
        ("birth_date", "'1960/1/5", "1960-01-05", {"apostrophe", "date_form"}),
        ("name", "　王小明\u00a0", "王小明", {"full_width", "spaces"}),
        ("name", "\ufeff王小明\u200b", "王小明", {"spaces"}),
        ("phone", "+86 154-0000-0000", "15400000000", {"phone_form"}),
        ("phone", "+8615400000000", "15400000000", {"phone_form"}),
        ("phone", "8615400000000", "15400000000", {"phone_form"}),
        ("phone", "0086 154 0000 0000", "15400000000", {"phone_form"}),
        ("phone", "１５４００００００００", "15400000000", {"full_width"}),
        ("birth_date", "1960/1/5", "1960-01-05", {"date_form"}),
        ("birth_date", "1960-1-5", "1960-01-05", {"date_form"}),
        ("birth_date", "1960.01.05", "1960-01-05", {"date_form"}),
        ("birth_date", "19600105", "1960-01-05", {"date_form"}),
        ("birth_date", "1960年1月5日", "1960-01-05", {"date_form"}),
        ("birth_date", "１９６０／１／５", "1960-01-05", {"full_width", "date_form"}),
        ("birth_date", "1960/1/5 0:00", "1960-01-05", {"date_form"}),
        ("birth_date", "1960-01-05 00:00:00", "1960-01-05", {"date_form"}),
        ("applied_at", "2025-10-08T09:30:00.123", "2025-10-08", {"date_form"}),
        ("applied_at", "2025-10-08T20:00:00Z", "2025-10-09", {"date_form"}),
        ("applied_at", "2025-10-08T20:00:00+08:00", "2025-10-08", {"date_form"}),
        ("applied_at", "2025-13-08T20:00:00Z", "2025-13-08T20:00:00Z", set()),
        ("name", "买买提•阿不都", "买买提·阿不都", {"name_dot"}),
        ("name", "买买提・阿不都", "买买提·阿不都", {"name_dot"}),
        ("name", "买买提．阿不都", "买买提·阿不都", {"full_width", "name_dot"}),
        ("name", "买买提.阿不都", "买买提·阿不都", {"name_dot"}),
        ("name", "艾.力.吐.尔", "艾·力·吐·尔", {"name_dot"}),
        ("sex", "男", "male", {"code_label"}),
        ("collection_method", "邮寄", "mail", {"code_label"}),
    ],
)
def test_variants(column: str, value: str, expected: str, notes: set[str]) -> None:
    found, counted = normalised(column, value)
    assert (found, set(counted)) == (expected, notes)
    assert set(counted.values()) <= {1}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "O'Neil"),
        ("name", "'王"),
        ("name", "㼆𠮷𬭚"),
        ("name", "王\ufa0e\uf900"),  # NFKC would replace a compatibility ideograph
        ("name", "J. Smith"),
        ("name", "王 小明"),
        ("birth_date", "1960-02-30"),
        ("birth_date", "05.01.1960"),
        ("phone", "010-65123"[:3]),
        ("phone", "1.54E+10"),
        ("application_id", "a1"),
        ("sex", "MALE"),
        ("address", "北京市西城区1号,\n2室"),
    ],
)
def test_what_is_no_harmless_variant_stays(column: str, value: str) -> None:
    assert normalised(column, value) == (value, {})


@given(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_normalising_twice_is_normalising_once(column: str, value: str) -> None:
    once, _ = normalised(column, value)
    assert normalised(column, once) == (once, {})


def test_notes_count_values_and_keep_rows_apart() -> None:
    frame = pd.DataFrame({name: ["", " ", "x"] for name in NAMES}, dtype="str").assign(line=[2, 3, 5])
    frame.index = pd.Index([4, 4, 9])
    changed, notes = normalise(frame)
    assert changed.index.tolist() == [4, 4, 9]
    assert changed["line"].tolist() == [2, 3, 5]
    assert changed["address"].tolist() == ["", "", "x"]
    assert notes == {"spaces": len(NAMES), "lower_case": 3}
    assert set(notes) <= set(NOTES)


@pytest.mark.parametrize(
    ("column", "label", "code"),
    [(column, label, code) for column, codes in CODES.items() for code, labels in codes.items() for label in labels],
)
def test_every_label_stands_for_its_code(column: str, label: str, code: str) -> None:
    assert normalised(column, label)[0] == code


def test_labels_of_codes_lead_to_one_code_each() -> None:
    for codes in CODES.values():
        labels = [label for words in codes.values() for label in words]
        assert len(labels) == len(set(labels))
        assert not set(labels) & set(codes)
