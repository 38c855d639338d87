"""Numbers with a check digit: citizen numbers (GB 11643-1999), and the days inside them.

Vectorised: a Series of n texts in, numpy arrays of length n out. Nothing is refused here; `rules.py` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from issuance.words import personal

TEXT = pd.StringDtype(na_value=np.nan)
"""The dtype of every text column: pandas' own `str`."""
Bools = NDArray[np.bool_]
Days = NDArray[np.datetime64]

NUMBER = r"[0-9]{17}[0-9X]"
OLD_NUMBER = r"[0-9]{15}"
"""First-generation numbers: two-digit year, no check digit; void since 2013-01-01 (Resident Identity Card Law)."""

WEIGHTS = np.array(personal.WEIGHTS, dtype=np.float32)
CHECKS = np.frombuffer(personal.CHECKS.encode(), dtype=np.uint8)


@dataclass(frozen=True)
class NumberParts:
    """The contents of n 18-character numbers; `born` and `male` are valid only where `shaped`."""

    shaped: Bools
    genuine: Bools
    """Shaped, and the check digit holds."""
    born: Days
    """Day of birth; NaT where positions 7-14 are not a real day."""
    male: Bools


def texts(values: pd.Series) -> pa.Array:
    """The values as one Arrow array, whatever dtype holds them and also when pandas holds several chunks (concat)."""
    array = pa.array(values, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def plain(values: pd.Series) -> list[str]:
    """The values as a list; iterating over a column itself costs ten times as much."""
    return list(texts(values).to_numpy(zero_copy_only=False).tolist())


def contains(values: pd.Series | pa.Array, pattern: str) -> Bools:
    """Which values contain a match of an RE2 pattern."""
    array = texts(values) if isinstance(values, pd.Series) else values
    found = pc.match_substring_regex(array, pattern)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def matches(values: pd.Series, pattern: str) -> Bools:
    """Which values match an RE2 pattern as a whole (a trailing line break counts as a character)."""
    return contains(values, rf"\A(?:{pattern})\z")


def characters(values: pd.Series, usable: Bools, width: int) -> NDArray[np.uint8]:
    """The ASCII codes, shape (n, width), of values that are `width` long where `usable`; '0' elsewhere."""
    text = pc.if_else(pa.array(usable), texts(values), "0" * width)
    return np.frombuffer(text.buffers()[2], dtype=np.uint8, count=width * len(text)).reshape(-1, width)


def check_characters(digits: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The ASCII code of the 18th character for digits (0-9) of shape (n, 17). Source: GB 11643-1999."""
    # float32 takes the fast matrix path and is exact here: no sum exceeds 1,530
    return CHECKS[(digits.astype(np.float32) @ WEIGHTS).astype(np.int64) % 11]


def days_of(years: NDArray[np.int64], months: NDArray[np.int64], days: NDArray[np.int64]) -> Days:
    """Gregorian days; NaT where the month or the day does not exist."""
    begin = (years - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (np.clip(months, 1, 12) - 1)
    found = begin.astype("datetime64[D]") + (days - 1)
    real = (years >= 1) & (months >= 1) & (months <= 12) & (days >= 1) & (found.astype("datetime64[M]") == begin)
    return np.where(real, found, np.datetime64("NaT", "D"))


def _number(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The decimal number that columns of ASCII digits of shape (n, k) spell."""
    number = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        number = number * 10 + (column - 48)
    return number


def real_days(values: pd.Series) -> Days:
    """The days of texts `YYYY-MM-DD`; NaT for any other shape and for days that do not exist."""
    shaped = matches(values, r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
    codes = characters(values, shaped, 10)
    found = days_of(_number(codes[:, 0:4]), _number(codes[:, 5:7]), _number(codes[:, 8:10]))
    return np.where(shaped, found, np.datetime64("NaT", "D"))


def number_parts(values: pd.Series) -> NumberParts:
    """Check digit, birth date and sex of 18-character numbers (resident, HMT permit, foreign permanent alike).

    Positions 7-14 are the birth date, 15-17 the sequence (odd = male), 18 the check character. Source: GB 11643-1999.
    """
    shaped = matches(values, NUMBER)
    codes = characters(values, shaped, 18)
    genuine = shaped & (check_characters(codes[:, :17] - 48) == codes[:, 17])
    born = days_of(_number(codes[:, 6:10]), _number(codes[:, 10:12]), _number(codes[:, 12:14]))
    return NumberParts(shaped, genuine, born, codes[:, 16] % 2 == 1)


def ages(born: Days, day: date) -> NDArray[np.int64]:
    """Completed years on `day`; -1 where the birth date is NaT or later than `day`."""
    known = ~np.isnat(born)
    begin = np.where(known, born, np.datetime64(day, "D"))
    months = begin.astype("datetime64[M]")
    elapsed = (np.datetime64(day, "M") - months).astype(np.int64)
    day_of_month = (begin - months.astype("datetime64[D]")).astype(np.int64) + 1
    years = (elapsed - (day_of_month > day.day)) // 12
    return np.where(known & (years >= 0), years, -1)
