"""Every row folded anew from the journal."""

from __future__ import annotations

from issuance.ledger.connection import Connection
from issuance.proof.rows import EVERY_USED_AGAIN, all_keys, wrong_rows
from issuance.tracking.fold import FOLDS


def rebuild_ledger(connection: Connection) -> int:
    """Fold every row anew from the journal and mark its card changed; returns how many rows were wrong before."""
    wrong = sum(1 for _ in wrong_rows(connection))
    for fold in FOLDS:
        connection.execute(fold.refold_sql(all_keys(fold)))
    connection.execute(f"UPDATE consignment m SET used_again = m.consignment_id IN ({EVERY_USED_AGAIN})")
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    connection.execute(
        "INSERT INTO changed_consignment SELECT DISTINCT consignment_id, '-infinity'::date FROM plastic_in_consignment"
    )
    return wrong
