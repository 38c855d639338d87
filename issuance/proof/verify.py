"""Proving the ledger: rows against a fold of the journal, kept numbers against counts, and the canonical digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import Connection
from issuance.proof.numbers import wrong_numbers
from issuance.retention.certificates import wrong_certificates
from issuance.tracking.fold import FOLDS, Fold
from issuance.tracking.merge import USED_AGAIN

DIGESTED = (
    # a receipt names the hash of a file that is sealed with fresh keys: of it only the time counts
    "SELECT DISTINCT subject, job_id, card_ref, attempt, consignment_id, milestone, CASE milestone"
    " WHEN 'JOB_RECEIVED' THEN left(mark, 13) ELSE mark END, corrects FROM fact ORDER BY 1, 2, 3, 4, 5, 6, 7, 8",
    "SELECT card_ref, attempt, kind, occasion, reason, business_day FROM decision"
    " ORDER BY card_ref, attempt, kind, occasion",
    "SELECT cohort_id, submission, file, line, outcome, reasons FROM row_outcome JOIN cohort USING (cohort_no)"
    " ORDER BY cohort_id, submission, file, line",
)


def ledger_digest(connection: Connection) -> str:
    """SHA-256 over distinct facts, decisions (business day, reason) and row outcomes, in canonical order.

    Equal for equal seeds, whatever was repeated, reordered or killed on the way.
    """
    digest = hashlib.sha256()
    for number, query in enumerate(DIGESTED):
        with connection.transaction(), connection.cursor(f"digest_{number}") as cursor:
            cursor.itersize = 20_000
            for row in cursor.execute(query):
                digest.update(repr(tuple(str(value) for value in row)).encode())
    return digest.hexdigest()


def verify_ledger(connection: Connection) -> list[str]:
    """What does not hold: rows unlike the fold of their facts, kept numbers unlike counts, audit and certificates."""
    return [
        *_wrong_rows(connection),
        *_wrong_uses(connection),
        *wrong_numbers(connection),
        *_wrong_audit(connection),
        *wrong_certificates(connection),
    ]


def rebuild_ledger(connection: Connection) -> int:
    """Fold every row anew from the journal and mark its card changed; returns how many rows were wrong before."""
    wrong = sum(1 for _ in _wrong_rows(connection))
    for fold in FOLDS:
        connection.execute(fold.refold_sql(_all_keys(fold)))
    connection.execute(f"UPDATE consignment m SET used_again = m.consignment_id IN ({EVERY_USED_AGAIN})")
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    connection.execute(
        "INSERT INTO changed_consignment SELECT DISTINCT consignment_id, '-infinity'::date FROM plastic_in_consignment"
    )
    return wrong


EVERY_USED_AGAIN = USED_AGAIN.format(
    touched="SELECT consignment_id FROM consignment WHERE is_mail_item(consignment_id)"
)


def _all_keys(fold: Fold) -> str:
    return f"SELECT {', '.join(fold.keys)} FROM {fold.table}"


def _wrong_rows(connection: Connection) -> Iterator[str]:
    for fold in FOLDS:
        columns = ", ".join([*fold.keys, *(m.column for m in fold.milestones), "conflict"])
        expected = f"SELECT {columns} FROM ({fold.expected_sql(_all_keys(fold))}) AS expected"
        kept = f"SELECT {columns} FROM {fold.table}"
        keys = " || '/' || ".join(fold.keys)
        rows = connection.execute(
            f"SELECT DISTINCT {keys} FROM (({kept} EXCEPT {expected}) UNION ALL ({expected} EXCEPT {kept})) d"
            " ORDER BY 1"
        )
        for (key,) in rows.fetchall():
            yield f"{fold.table} {key} differs from its facts"
        yield from _missing_rows(connection, fold)


def _missing_rows(connection: Connection, fold: Fold) -> Iterator[str]:
    """Facts whose row is gone."""
    keys = " || '/' || ".join(f"f.{key}" for key in fold.keys)
    matched = " AND ".join(f"t.{key} = f.{key}" for key in fold.keys)
    rows = connection.execute(
        f"SELECT DISTINCT {keys} FROM fact f WHERE f.subject = '{fold.subject}'"
        f" AND NOT EXISTS (SELECT FROM {fold.table} t WHERE {matched}) ORDER BY 1"
    )
    for (key,) in rows.fetchall():
        yield f"{fold.table} {key} is missing"


def _wrong_uses(connection: Connection) -> Iterator[str]:
    """Mail items that are wrongly held, or not held, for a number that was used again."""
    rows = connection.execute(
        f"SELECT consignment_id FROM consignment WHERE used_again <> (consignment_id IN ({EVERY_USED_AGAIN}))"
        " ORDER BY 1"
    )
    for (consignment_id,) in rows.fetchall():
        yield f"consignment {consignment_id}: used_again differs from its facts"


def _wrong_audit(connection: Connection) -> Iterator[str]:
    for number in verify_audit(connection):
        yield f"audit entry {number} does not follow from the one before"
