"""Reconciling activation: the newest complete statement of each partner against the ledger's facts up to its as_of."""

from __future__ import annotations

from datetime import date

from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.tracking.breaks import settle_breaks

LATEST = """
    SELECT DISTINCT ON (partner, function) partner, function, statement_id, revision, as_of, cohorts FROM statement
    ORDER BY partner, function, business_day DESC, revision DESC, as_of DESC
"""
"""The latest complete statement of every partner and function."""


def active_at(function: str) -> str:
    """Whether the facts of plastic p make it one that a complete statement l has to list (contract: Statement)."""
    on, off = {"ss": ("ss_activated", "ss_cancelled"), "finance": ("finance_activated", "account_cancelled")}[function]
    whose = " AND p.bank = l.partner" if function == "finance" else ""
    return (
        f"(mark_at(p.{on}) BETWEEN l.as_of - interval '400 days' AND l.as_of"
        f" AND coalesce(mark_at(p.{off}) > l.as_of, true){whose})"
    )


DIFFERENCES = f"""
WITH latest AS ({LATEST}),
listed AS (
    SELECT l.partner, l.function, l.statement_id, l.as_of, unnest(cards) AS card_ref, unnest(attempts) AS attempt
    FROM latest l JOIN statement_chunk USING (partner, statement_id, revision)),
ours AS (
    SELECT l.partner, l.function, l.statement_id, p.card_ref, p.attempt
    FROM latest l JOIN plastic p ON {active_at("ss")} WHERE l.function = 'ss'
    UNION ALL SELECT l.partner, l.function, l.statement_id, p.card_ref, p.attempt
    FROM latest l JOIN plastic p ON {active_at("finance")} WHERE l.function = 'finance')
SELECT i.partner, i.function, i.card_ref, i.attempt, 'theirs' AS side, i.statement_id
FROM listed i LEFT JOIN ours o USING (partner, function, card_ref, attempt) WHERE o.card_ref IS NULL
UNION
SELECT o.partner, o.function, o.card_ref, o.attempt, 'ours', o.statement_id
FROM ours o LEFT JOIN listed i USING (partner, function, card_ref, attempt) WHERE i.card_ref IS NULL
"""


def reconcile_activation(settings: Settings) -> int:
    """Compare, keep differences as pending, and open a break for those that a second complete statement repeats.

    Returns how many differences stand.
    """
    with transaction(settings.database_url) as connection:
        return reconcile(connection, business_day(connection))


def reconcile(connection: Connection, day: date) -> int:
    """The same in an open transaction, one at a time; without a new statement or a difference nothing is done."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.reconcile'))")
    if not _anything_new(connection):
        return 0
    connection.execute("CREATE TEMP TABLE difference ON COMMIT DROP AS " + DIFFERENCES)
    connection.execute(
        "DELETE FROM statement_difference d WHERE NOT EXISTS (SELECT FROM difference n WHERE (n.partner, n.function,"
        " n.card_ref, n.attempt, n.side) = (d.partner, d.function, d.card_ref, d.attempt, d.side))"
    )
    connection.execute(
        """
        CREATE TEMP TABLE found_break ON COMMIT DROP AS
        SELECT CASE n.side WHEN 'theirs' THEN 'STATEMENT_UNKNOWN' ELSE 'STATEMENT_MISSING' END AS kind,
               coalesce(c.cohort_no, 0) AS cohort_no, n.card_ref, n.attempt,
               n.partner || '/' || n.function || '/' || n.card_ref || '/' || n.attempt AS reference,
               CASE n.side WHEN 'theirs' THEN 'not active' ELSE 'active' END AS expected,
               CASE n.side WHEN 'theirs' THEN 'listed' ELSE 'not listed' END AS actual
        FROM difference n
        JOIN statement_difference d USING (partner, function, card_ref, attempt, side)
        LEFT JOIN card c ON c.card_ref = n.card_ref
        WHERE d.statement_id <> n.statement_id
           OR EXISTS (SELECT FROM break b WHERE b.kind IN ('STATEMENT_UNKNOWN', 'STATEMENT_MISSING')
                      AND b.closed_on IS NULL
                      AND b.reference = n.partner || '/' || n.function || '/' || n.card_ref || '/' || n.attempt)
        """
    )
    connection.execute("INSERT INTO statement_difference SELECT * FROM difference ON CONFLICT DO NOTHING")
    settle_breaks(connection, day, ["STATEMENT_UNKNOWN", "STATEMENT_MISSING"], "true")
    connection.execute("UPDATE statement SET reconciled_on = %s WHERE reconciled_on IS NULL", (day,))
    row = connection.execute("SELECT count(*) FROM difference").fetchone()
    connection.execute("DROP TABLE difference, found_break")
    return int(row[0]) if row else 0


def _anything_new(connection: Connection) -> bool:
    """Whether a statement waits, or a difference or its break stands that later evidence may have explained."""
    row = connection.execute(
        "SELECT WHERE EXISTS (SELECT FROM statement WHERE reconciled_on IS NULL)"
        " OR EXISTS (SELECT FROM statement_difference)"
        " OR EXISTS (SELECT FROM break WHERE kind LIKE 'STATEMENT_%' AND closed_on IS NULL)"
    ).fetchone()
    return row is not None
