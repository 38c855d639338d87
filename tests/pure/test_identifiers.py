"""Check digits and days: the standards' vectors, and properties over all numbers."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.intake.identifiers import (
    ages,
    check_characters,
    matches,
    number_parts,
    real_days,
)

days = st.dates(date(1800, 1, 1), date(2199, 12, 31))


def series(*values: str) -> pd.Series:
    return pd.Series(list(values), dtype="str")


def complete(first17: str) -> str:
    return first17 + chr(check_characters(np.array([[int(digit) for digit in first17]]))[0])


numbers = st.builds(
    lambda place, born, sequence: complete(f"{place:06d}{born:%Y%m%d}{sequence:03d}"),
    st.integers(0, 999_999), days, st.integers(0, 999),
)  # fmt: skip


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_vectors_of_gb_11643(number: str) -> None:
    assert number_parts(series(number)).genuine.tolist() == [True]


def test_parts_of_a_number() -> None:
    parts = number_parts(series("11010519491231002X", "440524188001010014", "11010519491231002x", "", "1" * 15))
    assert parts.shaped.tolist() == [True, True, False, False, False]
    assert parts.male.tolist()[:2] == [False, True]
    assert parts.born[:2].tolist() == [date(1949, 12, 31), date(1880, 1, 1)]


@given(numbers)
def test_a_completed_number_is_genuine_and_says_its_day_and_sex(number: str) -> None:
    parts = number_parts(series(number))
    assert parts.genuine.all()
    assert parts.born[0].item() == date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    assert parts.male[0] == (int(number[16]) % 2 == 1)


@given(numbers, st.integers(0, 17), st.sampled_from("0123456789"))
def test_every_single_wrong_digit_is_found(number: str, place: int, digit: str) -> None:
    wrong = number[:place] + digit + number[place + 1 :]
    assert number_parts(series(wrong)).genuine[0] == (wrong == number)


@given(numbers, st.integers(0, 16))
def test_every_swap_of_neighbours_is_found(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if swapped[:17].isdigit():
        assert number_parts(series(swapped)).genuine[0] == (swapped == number)


@given(st.lists(numbers | st.text(max_size=20), max_size=30))
def test_rows_are_judged_apart_from_each_other(values: list[str]) -> None:
    together = number_parts(series(*values)).genuine.tolist()
    assert together == [bool(number_parts(series(value)).genuine[0]) for value in values]


@given(days)
def test_real_days_are_read(day: date) -> None:
    assert real_days(series(day.isoformat())).tolist() == [day]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-00",
        "0000-01-01",
        "2024-1-1",
        "2024-01-01\n",
    ],
)
def test_days_that_do_not_exist(text: str) -> None:
    assert np.isnat(real_days(series(text))).all()


@given(days, days)
def test_age_rises_on_the_birthday(born: date, today: date) -> None:
    expected = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    assert ages(np.array([born], dtype="datetime64[D]"), today)[0] == (expected if born <= today else -1)


def test_age_of_an_unknown_day() -> None:
    assert ages(np.array(["NaT"], dtype="datetime64[D]"), date(2025, 1, 1)).tolist() == [-1]
    newborn = np.array([date(2025, 1, 1)], dtype="datetime64[D]")
    assert ages(newborn, date(2025, 1, 1)).tolist() == [0]
    assert ages(newborn, date(2025, 1, 1) - timedelta(days=1)).tolist() == [-1]


def test_matching_is_of_the_whole_value() -> None:
    assert matches(series("ab", "ab\n", "xab", ""), "a|ab").tolist() == [True, False, False, False]
