"""The one set-based decision after all parts: reused application ids, duplicates, totals and thresholds.

Every row ends in `row_outcome` as accepted, quarantined or duplicate.
"""

from __future__ import annotations

import json
from typing import Any

from issuance.intake.session import Intake
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.news import tell_cohort

STANDINGS: dict[str, dict[str, str]] = {
    # standing of the person's earlier card in another cohort: kind of the new row: what becomes of it
    "under_way": dict.fromkeys(("renewal", "first", "replacement", "exchange", "reapplication"), "duplicate"),
    "live": {
        "renewal": "duplicate",
        "first": "duplicate",
        "reapplication": "duplicate",
        "replacement": "LOSS_REPORT_NEEDED",
        "exchange": "accept",
    },
    "ended": dict.fromkeys(("renewal", "first", "replacement", "exchange", "reapplication"), "accept"),
}


def decide_rows(intake: Intake) -> str:
    """The one set-based decision after all parts: reused application ids, duplicates, totals and thresholds.

    Locks acceptance as a whole, so that two cohorts never accept the same person. Returns the submission's state.
    """
    with transaction(intake.settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.acceptance'))")
        state = connection.execute(
            "SELECT state FROM submission WHERE (cohort_no, number) = (%s, %s) FOR UPDATE", intake.key
        ).fetchone()
        if state and state[0] != "REGISTERED":
            return str(state[0])
        connection.execute("ANALYZE row_outcome")  # just filled: without statistics the joins below are nested loops
        _quarantine_reused_ids(connection, intake)
        _weigh_earlier_cards(connection, intake)
        _mark_duplicates(connection, intake)
        return _judge(connection, intake)


def _quarantine_reused_ids(connection: Connection, intake: Intake) -> None:
    """One application_id on two people quarantines both; an accepted card of an earlier submission stays."""
    connection.execute(
        """
        UPDATE row_outcome r SET outcome = 'quarantined', reasons = ARRAY['APPLICATION_ID_REUSED'],
               person = NULL, card_ref = NULL
        WHERE r.cohort_no = %(cohort)s AND r.submission = %(submission)s AND r.outcome = 'accepted'
          AND r.application_id IN (
            SELECT application_id FROM row_outcome
            WHERE cohort_no = %(cohort)s AND submission <= %(submission)s AND outcome = 'accepted'
            GROUP BY application_id HAVING count(DISTINCT person) > 1)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission},
    )


def _mark_duplicates(connection: Connection, intake: Intake) -> None:
    """Of a person's valid rows the lowest (submission, file, line) is accepted; a part's number keeps file order."""
    connection.execute(
        """
        WITH ranked AS (
            SELECT submission, file, line, first_value(card_ref) OVER person AS winner,
                   row_number() OVER person AS rank
            FROM row_outcome r WHERE cohort_no = %(cohort)s AND submission <= %(submission)s AND outcome = 'accepted'
            WINDOW person AS (PARTITION BY person ORDER BY submission, part, line))
        UPDATE row_outcome r SET outcome = 'duplicate', reasons = ARRAY['DUPLICATE_PERSON'], card_ref = winner
        FROM ranked WHERE rank > 1 AND r.cohort_no = %(cohort)s AND r.submission = %(submission)s
          AND (r.submission, r.file, r.line) = (ranked.submission, ranked.file, ranked.line)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission},
    )


def _weigh_earlier_cards(connection: Connection, intake: Intake) -> None:
    """Across cohorts: the table STANDINGS; rows decided but not yet cards count as under way."""
    table = [(standing, kind, then) for standing, kinds in STANDINGS.items() for kind, then in kinds.items()]
    connection.execute(
        """
        WITH rule AS (SELECT * FROM unnest(%(standings)s::text[], %(kinds)s::text[], %(thens)s::text[])
                      AS rule (standing, kind, verdict)),
        earlier AS (
            SELECT r.file, r.line, e.card_ref, rule.verdict,
                   row_number() OVER (PARTITION BY r.file, r.line ORDER BY rule.verdict = 'accept', e.cohort_no) AS rank
            FROM row_outcome r
            JOIN row_outcome e ON e.person = r.person AND e.cohort_no <> r.cohort_no AND e.outcome = 'accepted'
            JOIN submission s ON s.cohort_no = e.cohort_no AND s.number = e.submission
                 AND s.state IN ('VALIDATED', 'WAITING_FOR_OPERATOR', 'ACCEPTED')
            LEFT JOIN card c ON c.card_ref = e.card_ref
            JOIN rule ON rule.kind = r.kind AND rule.standing = CASE
                WHEN c.state IN ('ACTIVE', 'NOT_ACTIVATED', 'COLLECTED') THEN 'live'
                WHEN c.state IN ('WITHDRAWN', 'CANCELLED', 'CANCELLED_BEFORE_MAKING', 'DESTROYED', 'LOST_BY_HOLDER')
                THEN 'ended' ELSE 'under_way' END
            WHERE r.cohort_no = %(cohort)s AND r.submission = %(submission)s AND r.outcome = 'accepted')
        UPDATE row_outcome r SET card_ref = earlier.card_ref,
               outcome = CASE verdict WHEN 'duplicate' THEN 'duplicate' ELSE 'quarantined' END,
               reasons = ARRAY[CASE verdict WHEN 'duplicate' THEN 'DUPLICATE_PERSON' ELSE verdict END]
        FROM earlier WHERE rank = 1 AND verdict <> 'accept' AND r.cohort_no = %(cohort)s
          AND r.submission = %(submission)s AND (r.file, r.line) = (earlier.file, earlier.line)
        """,
        {
            "cohort": intake.cohort_no,
            "submission": intake.submission,
            "standings": [row[0] for row in table],
            "kinds": [row[1] for row in table],
            "thens": [row[2] for row in table],
        },
    )


def _judge(connection: Connection, intake: Intake) -> str:
    """Totals and thresholds: VALIDATED, WAITING_FOR_OPERATOR or REFUSED, written with its reason."""
    declared, read, decided, quarantined, amends = connection.execute(
        """
        SELECT declared, (SELECT sum(rows) FROM part p WHERE (p.cohort_no, p.submission) = (s.cohort_no, s.number)),
               count(r.line), count(r.line) FILTER (WHERE r.outcome = 'quarantined'), s.amends
        FROM submission s LEFT JOIN row_outcome r ON (r.cohort_no, r.submission) = (s.cohort_no, s.number)
        WHERE (s.cohort_no, s.number) = (%s, %s) GROUP BY s.cohort_no, s.number
        """,
        intake.key,
    ).fetchone() or (0, 0, 0, 0, False)
    ratio = quarantined / decided if decided else 0.0
    counts = {"declared": declared, "read": read, "decided": decided, "quarantined": quarantined}
    if not declared == read == decided:
        return _refuse(connection, intake, "TOTALS_DIFFER", counts)
    if not amends and ratio > intake.policy.refuse_ratio:
        return _refuse(connection, intake, "TOO_MANY_QUARANTINED", counts)
    state = "WAITING_FOR_OPERATOR" if not amends and ratio > intake.policy.warn_ratio else "VALIDATED"
    connection.execute("UPDATE submission SET state = %s WHERE (cohort_no, number) = (%s, %s)", (state, *intake.key))
    tell_cohort(
        connection, intake.cohort_id, "VALIDATED", business_day(connection), submission=intake.submission,
        details=counts,
    )  # fmt: skip
    return state


def _refuse(connection: Connection, intake: Intake, code: str, counts: dict[str, Any]) -> str:
    connection.execute(
        "UPDATE submission SET state = 'REFUSED', refusal = %s WHERE (cohort_no, number) = (%s, %s)",
        (json.dumps({"code": code, **counts}, default=int), *intake.key),
    )
    connection.execute(
        "UPDATE cohort SET state = 'REFUSED' WHERE cohort_no = %s AND state = 'REGISTERED'", (intake.cohort_no,)
    )
    tell_cohort(
        connection, intake.cohort_id, "REFUSED", business_day(connection), submission=intake.submission,
        details={"code": code, **counts},
    )  # fmt: skip
    return "REFUSED"
