"""Postal numbers and codes: the check of tracking numbers, and the milestone of a carrier's own code."""

from __future__ import annotations

import re

from issuance.words.lifecycle import MAIL_CODES

S10 = re.compile(r"[A-Z]{2}([0-9]{8})([0-9])[A-Z]{2}")
S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)


def s10_check_digit(serial: str) -> int:
    """The check digit of an eight-digit serial: 11 - (weighted sum mod 11), 10 → 0, 11 → 5. Source: UPU S10."""
    total = sum(weight * int(digit) for weight, digit in zip(S10_WEIGHTS, serial, strict=True))
    return {10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11)


def s10_contradicts(tracking_no: str) -> bool:
    """Whether a number has the S10 shape and a wrong check digit; any other format (domestic EMS) is not checked."""
    found = S10.fullmatch(tracking_no)
    return found is not None and s10_check_digit(found[1]) != int(found[2])


def milestone_of(milestone: str, code: str | None) -> str:
    """The milestone of a mail item: as reported, or by the carrier's own code where only that is known."""
    return MAIL_CODES.get(code or "", milestone) if milestone == "UNKNOWN" else milestone
