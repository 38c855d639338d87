"""Cohorts of conformance checks: synthetic people, plans made by the kit itself, never mixed with real ones."""

from __future__ import annotations

CHECKS = "check-"
"""The reserved prefix of such a cohort's id."""


def is_check(column: str) -> str:
    """SQL: whether a cohort id is a check's; Airflow starts nothing of it."""
    return f"starts_with({column}, '{CHECKS}')"
