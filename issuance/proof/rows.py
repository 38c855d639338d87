"""Rows against the fold of their facts."""

from __future__ import annotations

from collections.abc import Iterator

from issuance.ledger.connection import Connection
from issuance.tracking.fold import FOLDS, Fold
from issuance.tracking.merge import USED_AGAIN

EVERY_USED_AGAIN = USED_AGAIN.format(
    touched="SELECT consignment_id FROM consignment WHERE is_mail_item(consignment_id)"
)


def all_keys(fold: Fold) -> str:
    """SQL: the keys of every row of a fold's table."""
    return f"SELECT {', '.join(fold.keys)} FROM {fold.table}"


def wrong_rows(connection: Connection) -> Iterator[str]:
    """The rows of every fold that differ from their facts, and the facts whose row is missing."""
    for fold in FOLDS:
        columns = ", ".join([*fold.keys, *(m.column for m in fold.milestones), "conflict", "corrected"])
        expected = f"SELECT {columns} FROM ({fold.expected_sql(all_keys(fold))}) AS expected"
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
    keys = " || '/' || ".join(fold.keys)
    rows = connection.execute(f"SELECT {keys} FROM ({fold.missing_sql()}) gone ORDER BY 1")
    for (key,) in rows.fetchall():
        yield f"{fold.table} {key} is missing"


def wrong_uses(connection: Connection) -> Iterator[str]:
    """Mail items that are wrongly held, or not held, for a number that was used again."""
    rows = connection.execute(
        f"SELECT consignment_id FROM consignment WHERE used_again <> (consignment_id IN ({EVERY_USED_AGAIN}))"
        " ORDER BY 1"
    )
    for (consignment_id,) in rows.fetchall():
        yield f"consignment {consignment_id}: used_again differs from its facts"
