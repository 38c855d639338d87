"""Row rules on each category's documents and ages: retirees, minors, foreigners, employees.

As in `predicates.py`: a frame of normalised texts in, pass or fail per row out; what another rule refuses passes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from issuance.intake.columns import CODES
from issuance.intake.identifiers import Bools, NumberParts, ages, number_parts, real_days
from issuance.intake.predicates import RuleContext, as_bools, given, numbers_of, one_of, zeroed

ADULT = 18
"""Completed years at which a person is an adult. Source: Civil Code, article 17."""
WORKING_AGE = 16
"""Completed years from which a person may be employed. Source: Labour Law, article 15."""


def minor_at_outlet(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Minors collect at an outlet, with their guardian."""
    return ~one_of(frame, "category", ("minor",)) | one_of(frame, "collection_method", ("", "outlet"))


def guardian_number(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A guardian's number of 18 characters has its check digit; other papers of guardians are not judged."""
    parts = number_parts(frame["guardian_id_number"])
    return ~parts.shaped | parts.genuine | zeroed(frame["guardian_id_number"])


def guardian_differs(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A guardian is somebody other than the holder."""
    same = as_bools(frame["guardian_id_number"] == frame["id_number"])
    return ~(same & given(frame, "guardian_id_number"))


def foreigner_papers(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A foreigner shows a passport or a permanent-residence card."""
    known = one_of(frame, "category", ("foreigner",)) & one_of(frame, "id_type", tuple(CODES["id_type"]))
    return ~known | one_of(frame, "id_type", ("passport", "foreign_permanent"))


def _born(frame: pd.DataFrame, parts: NumberParts) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """The day of birth: taken from a genuine number rather than from the column, which has a rule of its own."""
    return np.where(parts.genuine, parts.born, real_days(frame["birth_date"]))


def minor_is_minor(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A minor has not completed 18 years."""
    years = ages(_born(frame, numbers_of(frame)), context.business_day)
    return ~one_of(frame, "category", ("minor",)) | as_bools(years < ADULT)


def worker_old_enough(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Employees and the flexibly employed have completed 16 years."""
    years = ages(_born(frame, numbers_of(frame)), context.business_day)
    works = one_of(frame, "category", ("employee", "flexible"))
    return ~works | as_bools(years < 0) | as_bools(years >= WORKING_AGE)


def foreign_nationality(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A foreigner's nationality is not the Chinese one."""
    return ~(one_of(frame, "category", ("foreigner",)) & one_of(frame, "nationality", ("CHN", "CN", "中国")))


def first_without_old_card(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """A first application names no old card."""
    named = given(frame, "old_card_number") | given(frame, "old_card_generation")
    return ~(one_of(frame, "kind", ("first",)) & named)


def _below(frame: pd.DataFrame, context: RuleContext, limit: str) -> Bools:
    """Retirees younger on the business day than the policy's `limit` (earliest or statutory) for their sex."""
    parts = numbers_of(frame)
    years = ages(_born(frame, parts), context.business_day)
    male = np.where(parts.genuine, parts.male, one_of(frame, "sex", ("male",)))
    known = one_of(frame, "category", ("retiree",)) & (parts.genuine | one_of(frame, "sex", ("male", "female")))
    least = {sex: getattr(limits, limit) for sex, limits in context.policy.retirement_ages.items()}
    return known & as_bools((years >= 0) & (years < np.where(male, least["male"], least["female"])))


def retirement_possible(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Below the earliest age a retiree needs a proof."""
    return ~_below(frame, context, "earliest") | given(frame, "proof_ref")


def retirement_usual(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """At the statutory age or above; rows that `retirement_possible` refuses pass here."""
    below = _below(frame, context, "statutory")
    return ~below | (_below(frame, context, "earliest") & ~given(frame, "proof_ref"))


def age_plausible(frame: pd.DataFrame, context: RuleContext) -> Bools:
    """Not older than 120 years. [rule]"""
    return ages(real_days(frame["birth_date"]), context.business_day) <= 120
