"""Every row folded anew from the journal."""

from __future__ import annotations

from issuance.ledger.connection import Connection
from issuance.proof.rows import EVERY_USED_AGAIN, all_keys, wrong_rows
from issuance.tracking.fold import FOLDS

OF_OUTLETS = """
INSERT INTO plastic (card_ref, attempt, bank) SELECT DISTINCT c.card_ref, 0, c.bank FROM fact f JOIN card c
USING (card_ref) WHERE f.attempt = 0 ORDER BY 1 ON CONFLICT DO NOTHING
"""
"""The rows of plastics that were made without an order exist by their facts alone."""


def rebuild_ledger(connection: Connection) -> int:
    """Fold every row anew from the journal, rows that are gone too, and mark its card changed; returns how many rows
    were wrong before. Rows of plans (jobs and what they order) are decisions: the journal cannot make them."""
    wrong = sum(1 for _ in wrong_rows(connection))
    connection.execute(OF_OUTLETS)
    for fold in FOLDS:
        if fold.creates_rows:
            keys = ", ".join(fold.keys)
            connection.execute(f"INSERT INTO {fold.table} ({keys}) {fold.missing_sql()}")
        connection.execute(fold.refold_sql(all_keys(fold)))
    connection.execute(f"UPDATE consignment m SET used_again = m.consignment_id IN ({EVERY_USED_AGAIN})")
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    connection.execute(
        "INSERT INTO changed_consignment SELECT DISTINCT consignment_id, '-infinity'::date FROM plastic_in_consignment"
    )
    return wrong
