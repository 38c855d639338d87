"""Whether intake of a package has ended, or its announcement was refused."""

from __future__ import annotations

from typing import Any

from issuance.city.partners import topic_of
from issuance.ledger.connection import Connection

ENDED = ("ACCEPTED", "REFUSED", "WAITING_FOR_OPERATOR")
"""States of a submission in which intake waits for nothing of ours."""


def submission_standing(connection: Connection, cohort_id: str, sha256: str) -> dict[str, Any]:
    """A package by its hash: its `state` (None until it is registered), whether intake has `ended`, and `refusals`.

    `refusals`: the codes with which announcements of the package were dead-lettered, the oldest first; who announces
    it again counts those before.
    """
    row = connection.execute(
        "SELECT s.state FROM submission s JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND sha256 = %s",
        (cohort_id, sha256),
    ).fetchone()
    state = row[0] if row else None
    return {"state": state, "ended": state in ENDED, "refusals": refusals_of(connection, cohort_id).get(sha256, [])}


def refusals_of(connection: Connection, cohort_id: str) -> dict[str, list[str]]:
    """The codes with which announcements for a cohort were dead-lettered, by the hash of their package."""
    rows = connection.execute(
        "SELECT report_id, array_agg(code ORDER BY topic_partition, topic_offset) FROM dead_letter"
        " WHERE topic = %s AND cohort_id = %s GROUP BY 1",
        (topic_of("cohort-submissions"), cohort_id),
    ).fetchall()
    return {sha256: list(codes) for sha256, codes in rows}
