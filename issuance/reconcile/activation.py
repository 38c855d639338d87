"""Reconciling activation: the newest complete statement of each partner against the ledger's facts up to its as_of."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.settings import Settings

LATEST = """
    SELECT DISTINCT ON (partner, function) partner, function, statement_id, revision, as_of, cohorts FROM statement
    ORDER BY partner, function, business_day DESC, revision DESC, as_of DESC
"""
"""The latest complete statement of every partner and function."""


def active_at(function: str) -> str:
    """Whether the facts of plastic p make it one that a complete statement l has to list (contract: Statement)."""
    on, off = {"ss": ("ss_activated", "ss_cancelled"), "finance": ("finance_activated", "account_cancelled")}[function]
    whose = " AND p.bank = l.partner" if function == "finance" else ""
    if function == "ss":  # the old card lapses by the activation of the one in its place
        whose = (
            " AND NOT EXISTS (SELECT FROM card n JOIN plastic q USING (card_ref) WHERE n.replaces = p.card_ref"
            " AND q.ss_activated > p.ss_activated AND mark_at(q.ss_activated) <= l.as_of"
            " AND q.ss_cancelled IS NULL)"
        )
    return (
        f"(mark_at(p.{on}) BETWEEN l.as_of - interval '400 days' AND l.as_of"
        f" AND coalesce(mark_at(p.{off}) > l.as_of, true){whose})"
    )


LAST_TWO = """
    SELECT *, row_number() OVER (PARTITION BY partner, function ORDER BY business_day DESC) AS nth FROM (
        SELECT DISTINCT ON (partner, function, business_day) partner, function, statement_id, revision, as_of,
               business_day
        FROM statement ORDER BY partner, function, business_day, revision DESC, as_of DESC) d
"""
"""The complete statements of every partner and function by day, the newest first (nth 1)."""

DIFFERENCES = f"""
WITH l AS MATERIALIZED (SELECT * FROM ({LAST_TWO}) d WHERE nth <= 2),
listed AS (
    SELECT l.partner, l.function, l.statement_id, l.nth, unnest(cards) AS card_ref, unnest(attempts) AS attempt
    FROM l JOIN statement_chunk USING (partner, statement_id, revision)),
ours AS (
    SELECT l.partner, l.function, l.statement_id, l.nth, p.card_ref, p.attempt
    FROM l JOIN plastic p ON {active_at("ss")} WHERE l.function = 'ss'
    UNION ALL SELECT l.partner, l.function, l.statement_id, l.nth, p.card_ref, p.attempt
    FROM l JOIN plastic p ON {active_at("finance")} WHERE l.function = 'finance'),
differing AS (
    SELECT i.partner, i.function, i.card_ref, i.attempt, 'theirs' AS side, i.statement_id, i.nth
    FROM listed i LEFT JOIN ours o USING (partner, function, nth, card_ref, attempt) WHERE o.card_ref IS NULL
    UNION
    SELECT o.partner, o.function, o.card_ref, o.attempt, 'ours', o.statement_id, o.nth
    FROM ours o LEFT JOIN listed i USING (partner, function, nth, card_ref, attempt) WHERE i.card_ref IS NULL)
SELECT partner, function, card_ref, attempt, side, max(statement_id) FILTER (WHERE nth = 1) AS statement_id,
       count(*) = 2 AS again
FROM differing GROUP BY 1, 2, 3, 4, 5 HAVING min(nth) = 1
"""
"""The differences of the newest complete statements; `again`: the previous statements had them too."""

REFERENCE = "n.partner || '/' || n.function || '/' || n.card_ref || '/' || n.attempt"
THEIRS = "CASE n.side WHEN 'theirs' THEN {theirs} ELSE {ours} END"
UNEXPLAINED = f"""
SELECT {
    difference(
        THEIRS.format(theirs="'STATEMENT_UNKNOWN'", ours="'STATEMENT_MISSING'"),
        cohort_no="coalesce(c.cohort_no, 0)",
        card_ref="n.card_ref",
        attempt="n.attempt",
        reference=REFERENCE,
        expected=THEIRS.format(theirs="'not active'", ours="'active'"),
        actual=THEIRS.format(theirs="'listed'", ours="'not listed'"),
        answers_for="n.partner",
        function="n.function",
    )
}
FROM difference n LEFT JOIN card c ON c.card_ref = n.card_ref
WHERE n.again
   OR EXISTS (SELECT FROM break b WHERE b.kind IN ('STATEMENT_UNKNOWN', 'STATEMENT_MISSING')
              AND coalesce(b.closed_by, '') <> 'evidence' AND b.reference = {REFERENCE})
"""


def reconcile_activation(settings: Settings) -> int:
    """Compare, record differences as pending, and open a break for those that the previous complete statement has too.

    So the order in which statements and facts arrive does not matter.

    Returns the number of current differences.
    """
    with transaction(settings.database_url) as connection:
        return reconcile(connection, business_day(connection))


def reconcile(connection: Connection, day: date) -> int:
    """The same in an open transaction, one at a time; does nothing without a new statement or a difference."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.reconcile'))")
    if not _anything_new(connection):
        return 0
    connection.execute("CREATE TEMP TABLE difference ON COMMIT DROP AS " + DIFFERENCES)
    connection.execute("DELETE FROM statement_difference")
    connection.execute(
        "INSERT INTO statement_difference (partner, function, card_ref, attempt, side, statement_id)"
        " SELECT partner, function, card_ref, attempt, side, statement_id"
        " FROM difference"
    )
    settle(connection, day, ["STATEMENT_UNKNOWN", "STATEMENT_MISSING"], UNEXPLAINED)
    connection.execute("UPDATE statement SET reconciled_on = %s WHERE reconciled_on IS NULL", (day,))
    count = one(connection, "SELECT count(*) FROM difference")[0]
    connection.execute("DROP TABLE difference")
    return int(count)


def _anything_new(connection: Connection) -> bool:
    """Whether there is a new statement, or a difference or break that later evidence may have explained."""
    row = connection.execute(
        "SELECT WHERE EXISTS (SELECT FROM statement WHERE reconciled_on IS NULL)"
        " OR EXISTS (SELECT FROM statement_difference)"
        " OR EXISTS (SELECT FROM break WHERE kind LIKE 'STATEMENT_%' AND closed_on IS NULL)"
    ).fetchone()
    return row is not None
