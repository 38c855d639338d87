"""Intake in this process: the steps of dags/cohort_intake one after the other, for small cohorts of demo and checks."""

from __future__ import annotations

from issuance.intake.accept import accept_part, finish_submission
from issuance.intake.decide_rows import decide_rows
from issuance.intake.session import list_parts, open_intake
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import transaction
from issuance.settings import Settings


def is_registered(settings: Settings, cohort_id: str) -> bool:
    """Whether the consumer of submissions has registered one of the cohort."""
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = %s", (cohort_id,)
        ).fetchone()
    return row is not None


def take_in_whole(settings: Settings, cohort_id: str) -> bool:
    """Take in a cohort's first submission, once registered; returns whether it was accepted without asking a person."""
    intake = open_intake(settings, cohort_id, 0)
    parts = list_parts(intake)
    for part in parts:
        validate_part(intake, part)
    if decide_rows(intake) != "VALIDATED":
        return False
    for part in parts:
        accept_part(intake, part)
    finish_submission(intake)
    return True
