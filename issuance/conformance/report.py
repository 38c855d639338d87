"""The result of a check, for programs; `issuance partner check` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from issuance.conformance.case import Result
from issuance.conformance.cohort import Check


def as_dict(check: Check, partner: str, results: Sequence[Result]) -> dict[str, Any]:
    """The JSON form."""
    return {
        "partner": partner,
        "cohort_id": check.cohort_id,
        "passed": not any(result.findings for result in results),
        "cases": [as_case(result) for result in results],
    }


def as_case(result: Result) -> dict[str, Any]:
    """One case in the JSON form."""
    return {
        "name": result.case.name,
        "outcome": result.outcome,
        "zh": result.case.zh,
        "contract": result.case.sentence,
        "findings": [finding._asdict() for finding in result.findings],
        "why": result.why or None,
        "seconds": round(result.seconds, 1),
    }
