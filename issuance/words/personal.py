"""Personal values in texts that must hold none: names, ID numbers, mobile numbers (contract: Bounds)."""

from __future__ import annotations

import re
from datetime import date

from issuance.words.regions import known_regions

NUMBER = re.compile(r"(?<![0-9A-Za-z])([0-9]{6})([0-9]{8})[0-9]{3}[0-9Xx](?![0-9A-Za-z])")
OLD_NUMBER = re.compile(r"(?<![0-9A-Za-z])([0-9]{6})([0-9]{6})[0-9]{3}(?![0-9A-Za-z])")
MOBILE = re.compile(r"(?<![0-9A-Za-z])1[3-9][0-9]{9}(?![0-9A-Za-z])")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"
"""GB 11643-1999, ISO 7064 MOD 11-2: the check character of a weighted sum mod 11."""
ABROAD = ("810000", "820000", "830000")
"""Permits of residents of Hong Kong, Macau and Taiwan; foreigners' cards begin with 9."""


def holds_id_number(text: str) -> bool:
    """Whether a whole token of a text is a valid ID number: known region, a day of birth, and its check digit.

    A serial number of 18 digits is none: its check digit alone holds by chance in one of eleven.
    """
    return any(_is_genuine(found) for found in NUMBER.finditer(text))


def holds_old_number(text: str) -> bool:
    """Whether a whole token of a text is a number of the first generation: 15 digits, known region, a day of birth.

    It has no check digit: serials and tracking numbers are not asked.
    """
    return any(found[1] in known_regions() and _is_day(f"19{found[2]}") for found in OLD_NUMBER.finditer(text))


def holds_mobile(text: str) -> bool:
    """Whether a whole token of a text has the shape of a mobile number."""
    return MOBILE.search(text) is not None


def _is_genuine(found: re.Match[str]) -> bool:
    number, region, born = found[0].upper(), found[1], found[2]
    if region not in known_regions() and region not in ABROAD and region[0] != "9":
        return False
    if not _is_day(born):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, number, strict=False))
    return CHECKS[total % 11] == number[17]


def _is_day(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
