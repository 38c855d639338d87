"""A part's rows against all row rules, run by Great Expectations; results by row position, without any value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

from issuance.errors import Broken
from issuance.intake.columns import NAMES
from issuance.intake.rules import ROW_RULES, RuleContext


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
    """Stop before rules judge a frame that they would wrongly pass.

    Great Expectations passes an empty frame and reports a missing column as an exception inside a result.

    Raises:
        Broken: no rows, a column is missing, or a value is null: `read_rows` and `normalise` promise none of these.
    """
    missing = [name for name in (*NAMES, "line") if name not in frame.columns]
    if missing:
        raise Broken("FRAME_INCOMPLETE", f"the frame lacks {', '.join(missing)}", columns=missing)
    if frame.empty:
        raise Broken("FRAME_EMPTY", "a frame without rows cannot be validated")
    nulls = [name for name in NAMES if frame[name].hasnans]
    if nulls:
        raise Broken("FRAME_NULLS", f"null values in {', '.join(nulls)}; empty is ''", columns=nulls)


def validate_frame(frame: pd.DataFrame, context: RuleContext) -> Validation:
    """Judge normalised rows (columns of the contract as text, and `line`) by every row rule.

    Raises:
        Broken: the frame is not what `read_rows` and `normalise` give, or a rule could not be evaluated.
    """
    check_structure(frame)
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import; nothing about a cohort leaves this machine
    from issuance.intake.expectations import run_suite

    reasons: dict[int, list[str]] = {}
    warnings: dict[int, list[str]] = {}
    counts: dict[str, dict[str, int]] = {"errors": {}, "warnings": {}}
    failures = run_suite(frame.reset_index(drop=True), context)
    for rule in ROW_RULES:
        if rule.id not in failures:
            # the exception inside the result may quote values of the rows, so it is not passed on
            raise Broken("RULE_FAILED", f"rule {rule.id} could not be evaluated", rule=rule.id)
        found, kind = (reasons, "errors") if rule.severity == "error" else (warnings, "warnings")
        counts[kind][rule.id] = len(failures[rule.id])
        for position in failures[rule.id]:
            found.setdefault(position, []).append(rule.id)
    summary = {"rows": len(frame), "rows_with_errors": len(reasons), "rows_with_warnings": len(warnings), **counts}
    return Validation(len(frame), reasons, warnings, summary)
