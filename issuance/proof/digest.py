"""The canonical digest of the ledger: distinct facts, decisions and row outcomes, in canonical order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from issuance.ledger.connection import Connection

DIGESTED = (
    # a receipt names the hash of a file that is sealed with fresh keys: of it only the time counts
    "SELECT DISTINCT subject, job_id, card_ref, attempt, consignment_id, milestone, CASE milestone"
    " WHEN 'JOB_RECEIVED' THEN left(mark, 13) ELSE mark END, corrects FROM fact ORDER BY 1, 2, 3, 4, 5, 6, 7, 8",
    "SELECT card_ref, attempt, kind, occasion, reason, business_day FROM decision"
    " ORDER BY card_ref, attempt, kind, occasion",
    "SELECT card_ref, made, attempt, ground, reason, begun_on, ending, ended_on FROM remake ORDER BY 1, 2",
    "SELECT card_ref, attempt, kind, n, reason, partner, asked_on, ending, ended_on FROM request ORDER BY 1, 2, 3, 4",
    "SELECT cohort_id, submission, file, line, outcome, reasons FROM row_outcome JOIN cohort USING (cohort_no)"
    " ORDER BY cohort_id, submission, file, line",
)


def digest_lines(connection: Connection) -> Iterator[str]:
    """What the digest is made of, a line each: equal for equal seeds, whatever was repeated, reordered or killed."""
    for number, query in enumerate(DIGESTED):
        with connection.transaction(), connection.cursor(f"digest_{number}") as cursor:
            cursor.itersize = 20_000
            for row in cursor.execute(query):
                yield repr(tuple(str(value) for value in row))


def ledger_digest(connection: Connection) -> str:
    """SHA-256 over the lines (business day and reason of decisions included), in canonical order."""
    digest = hashlib.sha256()
    for line in digest_lines(connection):
        digest.update(line.encode())
    return digest.hexdigest()
