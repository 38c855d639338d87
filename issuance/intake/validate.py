"""A part's rows against all row rules, run by Great Expectations; results by row position, without any value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from issuance.city.policy import Policy
from issuance.errors import Broken, Misconfigured
from issuance.intake.columns import NAMES
from issuance.intake.imports import prepare_great_expectations
from issuance.intake.photos import FINDING
from issuance.intake.rules import ROW_RULES, RuleContext, severity_in


@dataclass(frozen=True)
class Validation:
    """What validation found in n rows; positions are 0-based, rule ids stand in the order of the rule table."""

    rows: int
    reasons: dict[int, list[str]]
    """Position: rules of severity error that the row fails; the row is quarantined."""
    warnings: dict[int, list[str]]
    summary: dict[str, Any]
    """Counts for the ledger and Data Docs, JSON-serialisable: rows, rows with errors and warnings, and per rule."""


def check_structure(frame: pd.DataFrame) -> None:
    """Stop before rules are applied to a frame that they would wrongly pass.

    Great Expectations passes an empty frame and reports a missing column as an exception inside a result.

    Raises:
        Broken: no rows, a column is missing, or a value is null: `read_rows` and `normalise` rule these out.
    """
    missing = [name for name in (*NAMES, "line") if name not in frame.columns]
    if missing:
        raise Broken("FRAME_INCOMPLETE", f"the frame lacks {', '.join(missing)}", columns=missing)
    if frame.empty:
        raise Broken("FRAME_EMPTY", "a frame without rows cannot be validated")
    nulls = [name for name in NAMES if frame[name].hasnans]
    if nulls:
        raise Broken("FRAME_NULLS", f"null values in {', '.join(nulls)}; empty is ''", columns=nulls)


def check_waivers(policy: Policy) -> None:
    """Check a city's waivers against the table of rules.

    Raises:
        Misconfigured: a waived rule does not exist, or no city may waive it; names all of them.
    """
    waivable = [rule.id for rule in ROW_RULES if rule.severity == "error" and rule.waived_by == "city"]
    wrong = sorted(set(policy.waived_rules) - set(waivable))
    if wrong:
        raise Misconfigured(
            "WAIVER_UNKNOWN",
            f"城市 {policy.city} 的 waived_rules 中有不可豁免的规则：{', '.join(wrong)}；"
            f"可豁免：{', '.join(waivable)}。"
            f" / waived_rules of city {policy.city} names rules that no city may waive: {', '.join(wrong)};"
            f" it may waive {', '.join(waivable)}",
            rules=wrong,
        )


def validate_frame(frame: pd.DataFrame, context: RuleContext) -> Validation:
    """Apply every row rule to normalised rows (columns of the contract as text, and `line`).

    The extra column `photo_finding` says what is wrong with the photos; without it nothing is.

    Raises:
        Broken: the frame is not as `read_rows` and `normalise` produce it, or a rule could not be evaluated.
    """
    check_structure(frame)
    prepare_great_expectations()
    from issuance.intake.expectations import run_suite

    reasons: dict[int, list[str]] = {}
    warnings: dict[int, list[str]] = {}
    counts: dict[str, dict[str, int]] = {"errors": {}, "warnings": {}}
    if FINDING not in frame.columns:
        frame = frame.assign(**{FINDING: ""})
    failures = run_suite(frame.reset_index(drop=True), context)
    for rule in ROW_RULES:
        if rule.id not in failures:
            # the exception inside the result may quote values of the rows, so it is not passed on
            raise Broken("RULE_FAILED", f"rule {rule.id} could not be evaluated", rule=rule.id)
        found, kind = (reasons, "errors") if severity_in(rule, context.policy) == "error" else (warnings, "warnings")
        counts[kind][rule.id] = len(failures[rule.id])
        for position in failures[rule.id]:
            found.setdefault(position, []).append(rule.id)
    summary = {"rows": len(frame), "rows_with_errors": len(reasons), "rows_with_warnings": len(warnings), **counts}
    return Validation(len(frame), reasons, warnings, summary)
