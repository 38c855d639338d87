"""One rule of a cohort package, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from issuance.intake.predicates import Predicate

Severity = Literal["error", "warning"]
Waiver = Literal["nobody", "city"]


@dataclass(frozen=True)
class Rule:
    """One rule: an error quarantines the row, a warning is counted only. No predicate: decided over the whole set."""

    id: str
    severity: Severity
    columns: tuple[str, ...]
    """The columns the predicate reads; the first is the one to correct."""
    zh: str
    en: str
    remedy_zh: str
    remedy_en: str
    passes: Predicate | None = None
    waived_by: Waiver = "nobody"
    """Who may turn the error into a warning: a city by its policy's `waived_rules`, or nobody."""

    @property
    def remedy(self) -> str:
        """What to do, in both languages."""
        return f"{self.remedy_zh} / {self.remedy_en}"
