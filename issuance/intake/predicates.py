"""The predicates of the row rules: each takes a frame of normalised texts and returns pass or fail per row.

An empty value, and a value that another rule already refuses, passes here: a row carries the reason that names the
cause, not its consequences. Pure: no I/O, no clock; the business day comes with the context.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from issuance.city.policy import Policy
from issuance.intake.columns import CODES, ID_PROVINCES, MAX_LENGTH, NAMES, Condition
from issuance.intake.identifiers import (
    NUMBER,
    OLD_NUMBER,
    Bools,
    NumberParts,
    contains,
    matches,
    number_parts,
    real_days,
    texts,
)
from issuance.words.regions import abolished_regions, known_regions


@dataclass(frozen=True)
class RuleContext:
    """What rules need besides the row: the city's policy, the registry's banks, the Shanghai business day."""

    policy: Policy
    banks: frozenset[str]
    business_day: date


Predicate = Callable[[pd.DataFrame, RuleContext], Bools]
"""From a frame of n rows to n booleans: True = passes."""

SHAPES: dict[str, str] = {
    # id_type: shape; HMT permits start with 810000, 820000 or 830000, foreign permanent cards of 2023 with 9
    "resident_id": rf"{NUMBER}|{OLD_NUMBER}",
    "hmt_permit": r"8[123]0000[0-9]{11}[0-9X]",
    "foreign_permanent": r"9[0-9]{16}[0-9X]",
    "passport": r"[A-Z0-9]{5,20}",
}
NUMBERED = ("resident_id", "hmt_permit", "foreign_permanent")
DAMAGED = r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+"
"""A long number that Excel turned into 1.10105E+17: its last digits are gone."""

# CJK with extensions A to J, the compatibility blocks and 〇; no private use area, which every system fills differently
HAN = (
    r"[\x{3007}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EE5D}"
    r"\x{2F800}-\x{2FA1F}\x{30000}-\x{323AF}\x{323B0}-\x{33479}]"
)
HAN_NAME = rf"{HAN}(?:·?{HAN}){{1,49}}"
LATIN_NAME = r"[A-Za-z\x{C0}-\x{24F}](?:[ ,.'’-]{0,2}[A-Za-z\x{C0}-\x{24F}]){1,99}\.?"
# control characters except line breaks and tabs inside quoted fields, C1 controls, the replacement character
UNPRINTABLE = r"[\x{0}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{7F}-\x{9F}\x{FFFD}]"

OUTLET = r"[A-Z][A-Z0-9]*-[0-9]{1,12}"
MOBILE = r"1[3-9][0-9]{9}"
PHONE = re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])")
CITIZEN = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")


def as_bools(values: pd.Series | Bools) -> Bools:
    """A column as a plain array."""
    return np.asarray(values, dtype=np.bool_)


def given(frame: pd.DataFrame, column: str) -> Bools:
    """Where a column has a value."""
    return as_bools(frame[column] != "")


def one_of(frame: pd.DataFrame, column: str, values: frozenset[str] | tuple[str, ...]) -> Bools:
    """Where a column has one of the values."""
    return as_bools(frame[column].isin(list(values)))


def any_of(cases: Iterable[Bools]) -> Bools:
    """Where at least one of the conditions holds."""
    return reduce(np.logical_or, cases)


def required(column: str, conditions: tuple[Condition, ...]) -> Predicate:
    """`column` is given where any of its conditions holds; without conditions, everywhere."""

    def passes(frame: pd.DataFrame, context: RuleContext) -> Bools:
        present = given(frame, column)
        if not conditions:
            return present
        cases = (one_of(frame, c.when, c.values) if c.values else given(frame, c.when) for c in conditions)
        return present | ~any_of(cases)

    return passes


def coded(column: str) -> Predicate:
    """`column` is empty or one of its codes."""
    allowed = ("", *CODES[column])
    return lambda frame, context: one_of(frame, column, allowed)


def shaped(column: str, pattern: str) -> Predicate:
    """`column` is empty or matches the RE2 pattern as a whole."""
    return lambda frame, context: matches(frame[column], f"|{pattern}")


def undamaged(*columns: str) -> Predicate:
    """No column holds a number that Excel has turned into 1.1E+17, or whose last three digits it made 000."""

    def passes(frame: pd.DataFrame, context: RuleContext) -> Bools:
        cut = (zeroed(frame[column]) for column in columns if column in ("id_number", "guardian_id_number"))
        return ~any_of([*(matches(frame[column], DAMAGED) for column in columns), *cut])

    return passes


def zeroed(values: pd.Series) -> Bools:
    """Numbers of 18 digits that end in 000 and whose check digit does not hold: Excel keeps 15 digits."""
    ends = matches(values, r"[0-9]{15}000")
    return ends & ~number_parts(values.where(ends, "")).genuine if ends.any() else ends


def numbers_of(frame: pd.DataFrame) -> NumberParts:
    """The parts of the holders' numbers, unshaped for passports."""
    return number_parts(frame["id_number"].where(frame["id_type"].isin(NUMBERED), ""))


def id_shape(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The number has the shape of its type; old and Excel-damaged numbers have rules of their own."""
    passed = ~given(frame, "id_number") | ~one_of(frame, "id_type", tuple(SHAPES))
    for id_type, shape in SHAPES.items():
        passed |= one_of(frame, "id_type", (id_type,)) & matches(frame["id_number"], f"{shape}|{DAMAGED}")
    return passed


def id_is_new(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A resident's number is not a 15-digit one."""
    return ~(one_of(frame, "id_type", ("resident_id",)) & matches(frame["id_number"], OLD_NUMBER))


def id_region(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A resident's number begins with a province of GB/T 2260; the county part may be abolished."""
    resident = one_of(frame, "id_type", ("resident_id",)) & matches(frame["id_number"], NUMBER)
    return ~resident | as_bools(frame["id_number"].str[:2].isin(ID_PROVINCES))


def id_county(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The first six digits of a resident's number are in a list of GB/T 2260; numbers without a province pass."""
    resident = one_of(frame, "id_type", ("resident_id",)) & matches(frame["id_number"], NUMBER)
    county = frame["id_number"].str[:6]
    return ~resident | ~as_bools(county.str[:2].isin(ID_PROVINCES)) | as_bools(county.isin(known_regions().keys()))


def id_check_digit(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """GB 11643 check digit of every type that has one; a number truncated by Excel is reported as such instead."""
    parts = numbers_of(frame)
    return ~parts.shaped | parts.genuine | zeroed(frame["id_number"])


def id_birth_date(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The day inside a genuine number exists and is not later than the business day."""
    parts = numbers_of(frame)
    return ~parts.genuine | as_bools(parts.born <= np.datetime64(context.business_day, "D"))


def sex_agrees(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The sex column says what a genuine number says (odd sequence = male)."""
    parts = numbers_of(frame)
    male = one_of(frame, "sex", ("male",))
    return ~parts.genuine | ~one_of(frame, "sex", ("male", "female")) | as_bools(male == parts.male)


def birth_date_agrees(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The birth date column says what a genuine number says."""
    parts = numbers_of(frame)
    stated = real_days(frame["birth_date"])
    return ~parts.genuine | np.isnat(parts.born) | np.isnat(stated) | as_bools(parts.born == stated)


def real_day(column: str) -> Predicate:
    """`column` is empty or a day that exists."""
    return lambda frame, context: ~given(frame, column) | ~np.isnat(real_days(frame[column]))


def not_future(column: str) -> Predicate:
    """`column` is not later than the business day."""
    return lambda frame, context: ~(real_days(frame[column]) > np.datetime64(context.business_day, "D"))


def social_security_number_agrees(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """For a resident it is the ID number (contract.md)."""
    resident = one_of(frame, "id_type", ("resident_id",)) & given(frame, "social_security_number")
    return ~resident | as_bools(frame["social_security_number"] == frame["id_number"])


def name_shape(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Chinese characters with ·; Latin for foreigners; either for HMT residents."""
    han, latin = matches(frame["name"], HAN_NAME), matches(frame["name"], LATIN_NAME)
    foreign = one_of(frame, "category", ("foreigner",)) | one_of(frame, "id_type", ("passport", "foreign_permanent"))
    either = one_of(frame, "id_type", ("hmt_permit",))
    return ~given(frame, "name") | np.where(either, han | latin, np.where(foreign, latin, han))


def region_known(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A code of GB/T 2260, abolished ones included."""
    return one_of(frame, "region_code", ("", *known_regions()))


def region_in_force(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A code that is still in force."""
    return ~one_of(frame, "region_code", abolished_regions())


def postcode_whole(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Not a five-digit postcode: Excel drops the leading 0 of 010000 to 079999."""
    return ~matches(frame["postcode"], "[1-7][0-9]{4}")


def bank_known(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """The bank is in the registry."""
    return ~given(frame, "bank_code") | one_of(frame, "bank_code", context.banks)


def outlet_of_bank(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """An outlet code that has the right shape begins with the row's bank."""
    comparable = matches(frame["outlet_code"], OUTLET) & given(frame, "bank_code")
    owner = frame["outlet_code"].str.replace(r"-[0-9]+$", "", regex=True)
    return ~comparable | as_bools(owner == frame["bank_code"])


def collection_offered(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A known collection method is one the city's policy offers."""
    known = one_of(frame, "collection_method", tuple(CODES["collection_method"]))
    return ~known | one_of(frame, "collection_method", tuple(context.policy.collection_methods))


def application_id_impersonal(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """An application_id contains neither its own row's numbers nor anything that is a phone or citizen number."""
    ids = frame["application_id"].str.upper()
    passed = np.ones(len(frame), dtype=np.bool_)
    for column in ("id_number", "phone", "guardian_id_number", "social_security_number"):
        if not given(frame, column).any():
            continue
        pairs = zip(frame[column].tolist(), ids.tolist(), strict=True)
        # below seven characters a match is chance, not a person's number
        passed &= ~np.fromiter((len(own) >= 7 and own in id_ for own, id_ in pairs), np.bool_, len(frame))
    for position in np.flatnonzero(contains(ids, "[0-9]{11}") & passed).tolist():
        passed[position] = not _personal(str(ids.iat[position]))
    return passed


def _personal(application_id: str) -> bool:
    numbers = pd.Series(CITIZEN.findall(application_id), dtype="str")
    return PHONE.search(application_id) is not None or bool(number_parts(numbers).genuine.any())


def printable(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """No control or replacement character in any column."""
    columns = [texts(frame[column]) for column in NAMES]
    return ~contains(pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.large_string())), UNPRINTABLE)


def short_enough(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """No column longer than MAX_LENGTH characters."""
    return ~any_of(as_bools(frame[column].str.len() > MAX_LENGTH) for column in NAMES)
