"""Waiting for a package that was announced, until intake has ended or its announcement was refused."""

from __future__ import annotations

from collections.abc import Callable

from issuance.city.partners import topic_of
from issuance.errors import Refused
from issuance.ledger.connection import transaction
from issuance.settings import Settings

Place = tuple[int, int]
"""Partition and offset of an announcement."""


def wait_for_intake(
    settings: Settings, cohort_id: str, sha256: str, known: set[Place], sleep: Callable[[float], None]
) -> str:
    """The package's state once intake has ended: ACCEPTED, REFUSED or WAITING_FOR_OPERATOR.

    Raises:
        Refused: its announcement was dead-lettered, and not among the dead letters known before it was sent.
    """
    while True:
        with transaction(settings.database_url) as connection:
            row = connection.execute(
                "SELECT s.state FROM submission s JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND sha256 = %s",
                (cohort_id, sha256),
            ).fetchone()
        if row and row[0] in ("ACCEPTED", "REFUSED", "WAITING_FOR_OPERATOR"):
            return str(row[0])
        refused = refused_announcements(settings, cohort_id)
        new = [code for place, (of, code) in refused.items() if of == sha256 and place not in known]
        if row is None and new:
            raise Refused(
                "SUBMISSION_REFUSED",
                f"批次 {cohort_id} 的提交未被登记（{new[0]}）。"
                f" / the submission of cohort {cohort_id} was not registered: {new[0]}.",
                reason=new[0],
            )
        sleep(0.5)


def refused_announcements(settings: Settings, cohort_id: str) -> dict[Place, tuple[str, str]]:
    """The dead letters of a cohort's announcements: (partition, offset): (the package's hash, the code)."""
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT topic_partition, topic_offset, report_id, code FROM dead_letter"
            " WHERE topic = %s AND cohort_id = %s",
            (topic_of("cohort-submissions"), cohort_id),
        ).fetchall()
    return {(partition, offset): (sha256, code) for partition, offset, sha256, code in rows}
