"""Cohorts of conformance checks: people made up, plans made by the kit itself, never mixed with real ones."""

from __future__ import annotations

CHECKS = "check-"
"""How the id of such a cohort begins; no other cohort's may."""


def is_check(column: str) -> str:
    """SQL: whether a cohort id is a check's; Airflow starts nothing of it."""
    return f"starts_with({column}, '{CHECKS}')"
