"""The one set-based decision after all parts: reused application ids, duplicates, totals and thresholds.

Every row ends in `row_outcome` as accepted, quarantined or duplicate.
"""

from __future__ import annotations

import json
from typing import Any

from issuance.errors import Retryable
from issuance.intake.corrections import judge_named_lines, mark_corrected
from issuance.intake.duplicates import state_rows, verdict_rows
from issuance.intake.session import Intake
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.wire.news import tell_cohort

DECIDED = (
    "EXISTS (SELECT FROM submission s WHERE (s.cohort_no, s.number) = (r.cohort_no, r.submission)"
    " AND s.state IN ('VALIDATED', 'WAITING_FOR_OPERATOR', 'ACCEPTED'))"
)
"""A row (r) of a decided submission, whatever its number: corrections may overtake each other."""


def decide_rows(intake: Intake) -> str:
    """The one set-based decision after all parts: reused application ids, duplicates, totals and thresholds.

    Locks acceptance as a whole, so that two cohorts never accept the same person; the key of the table `acceptance`
    holds it without the lock too. Returns the submission's state.
    """
    with transaction(intake.settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.acceptance'))")
        state = connection.execute(
            "SELECT state FROM submission WHERE (cohort_no, number) = (%s, %s) FOR UPDATE", intake.key
        ).fetchone()
        if state and state[0] != "REGISTERED":
            return str(state[0])
        connection.execute("ANALYZE row_outcome")  # just filled: without statistics the joins below are nested loops
        amends = _amends(connection, intake)
        if amends:
            judge_named_lines(connection, intake)
        _quarantine_reused_ids(connection, intake)
        if amends:
            _mark_repeated_applications(connection, intake)
        _weigh_earlier_cards(connection, intake)
        _mark_duplicates(connection, intake)
        decided = _judge(connection, intake)
        if decided != "REFUSED":
            _hold_persons(connection, intake)
            if amends:
                mark_corrected(connection, intake)
        return decided


def _amends(connection: Connection, intake: Intake) -> bool:
    row = connection.execute(
        "SELECT amends FROM submission WHERE (cohort_no, number) = (%s, %s)", intake.key
    ).fetchone()
    return bool(row and row[0])


def _quarantine_reused_ids(connection: Connection, intake: Intake) -> None:
    """One application_id on two people quarantines both; an accepted card of another submission stays."""
    connection.execute(
        f"""
        WITH judged AS (SELECT application_id, person FROM row_outcome r
            WHERE cohort_no = %(cohort)s AND outcome = 'accepted' AND (submission = %(submission)s OR {DECIDED})),
        reused AS (SELECT application_id FROM judged WHERE application_id IN (
                SELECT application_id FROM judged GROUP BY 1 HAVING count(*) > 1)
            GROUP BY 1 HAVING count(DISTINCT person) > 1)
        UPDATE row_outcome r SET outcome = 'quarantined', reasons = ARRAY['APPLICATION_ID_REUSED'],
               person = NULL, card_ref = NULL
        WHERE r.cohort_no = %(cohort)s AND r.submission = %(submission)s AND r.outcome = 'accepted'
          AND r.application_id IN (SELECT application_id FROM reused)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission},
    )


def _mark_repeated_applications(connection: Connection, intake: Intake) -> None:
    """An application that is already a card of this cohort stays that card, whatever its state by now."""
    connection.execute(
        "UPDATE row_outcome r SET outcome = 'duplicate', reasons = ARRAY['DUPLICATE_PERSON'] FROM card c"
        " WHERE (r.cohort_no, r.submission) = (%s, %s) AND r.outcome = 'accepted' AND c.card_ref = r.card_ref",
        intake.key,
    )


def _weigh_earlier_cards(connection: Connection, intake: Intake) -> None:
    """Against the person's acceptance of any cohort: the table of duplicates, by kind and standing.

    Of several rows that would hand out the same card in store again, the first does. What a row was compared with stays
    in the table `earlier`, so that it cannot replace anything else (`_hold_persons`).
    """
    connection.execute(
        "CREATE TEMP TABLE earlier ON COMMIT DROP AS SELECT a.person, a.card_ref FROM acceptance a WHERE a.person IN"
        " (SELECT person FROM row_outcome r WHERE (r.cohort_no, r.submission) = (%s, %s) AND r.outcome = 'accepted')",
        intake.key,
    )
    connection.execute(
        """
        WITH verdict AS (SELECT * FROM unnest(%(kinds)s::text[], %(standings)s::text[], %(verdicts)s::text[],
                         %(outcomes)s::text[]) AS v (kind, standing, verdict, outcome)),
        state AS (SELECT * FROM unnest(%(states)s::text[], %(state_standings)s::text[]) AS s (state, standing)),
        weighed AS (
            SELECT r.file, r.line, a.card_ref, v.verdict, v.outcome,
                   row_number() OVER (PARTITION BY r.person, v.verdict ORDER BY r.part, r.line) AS rank
            FROM row_outcome r JOIN earlier a USING (person)
            LEFT JOIN card c ON c.card_ref = a.card_ref
            LEFT JOIN state ON state.state = c.state
            JOIN verdict v ON v.kind = r.kind AND v.standing = coalesce(state.standing, 'under_way')
            WHERE r.cohort_no = %(cohort)s AND r.submission = %(submission)s AND r.outcome = 'accepted')
        UPDATE row_outcome r SET own_ref = r.card_ref, card_ref = weighed.card_ref, outcome = weighed.outcome,
               reasons = ARRAY[
               CASE WHEN weighed.verdict = 'SECOND_APPLICATION' AND rank > 1 THEN 'DUPLICATE_PERSON'
                    ELSE weighed.verdict END]
        FROM weighed WHERE r.cohort_no = %(cohort)s AND r.submission = %(submission)s
          AND (r.file, r.line) = (weighed.file, weighed.line)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission, **_table()},
    )


def _table() -> dict[str, list[str]]:
    kinds, standings, verdicts, outcomes = zip(*verdict_rows(), strict=True)
    states, state_standings = zip(*state_rows(), strict=True)
    return {
        "kinds": list(kinds), "standings": list(standings), "verdicts": list(verdicts), "outcomes": list(outcomes),
        "states": list(states), "state_standings": list(state_standings),
    }  # fmt: skip


def _mark_duplicates(connection: Connection, intake: Intake) -> None:
    """Of a person's valid rows of this submission the lowest (file, line) is accepted; a part keeps file order."""
    connection.execute(
        """
        WITH own AS (SELECT person, card_ref, part, file, line FROM row_outcome
            WHERE cohort_no = %(cohort)s AND submission = %(submission)s AND outcome = 'accepted'),
        ranked AS (
            SELECT file, line, first_value(card_ref) OVER person AS winner, row_number() OVER person AS rank
            FROM own WHERE person IN (SELECT person FROM own GROUP BY person HAVING count(*) > 1)
            WINDOW person AS (PARTITION BY person ORDER BY part, line))
        UPDATE row_outcome r SET outcome = 'duplicate', reasons = ARRAY['DUPLICATE_PERSON'], own_ref = r.card_ref,
               card_ref = winner
        FROM ranked WHERE rank > 1 AND r.cohort_no = %(cohort)s AND r.submission = %(submission)s
          AND (r.file, r.line) = (ranked.file, ranked.line)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission},
    )


def _hold_persons(connection: Connection, intake: Intake) -> None:
    """Every accepted row becomes its person's acceptance, in place of the one it was compared with.

    The primary key makes a second one impossible, whoever inserts it and with or without the lock above.

    Raises:
        Retryable: another submission has just accepted one of these people; the next try finds a duplicate.
    """
    own = "(r.cohort_no, r.submission) = (%(cohort)s, %(submission)s) AND r.outcome = 'accepted'"
    values = {"cohort": intake.cohort_no, "submission": intake.submission}
    (wanted,) = one(connection, f"SELECT count(*) FROM row_outcome r WHERE {own}", values)
    held = connection.execute(
        "INSERT INTO acceptance AS a (person, card_ref, cohort_no, submission, replaces)"
        " SELECT r.person, r.card_ref, r.cohort_no, r.submission, e.card_ref FROM row_outcome r"
        f" LEFT JOIN earlier e USING (person) WHERE {own} ORDER BY r.person"
        " ON CONFLICT (person) DO UPDATE SET card_ref = excluded.card_ref, cohort_no = excluded.cohort_no,"
        " submission = excluded.submission, replaces = excluded.replaces WHERE a.card_ref = excluded.replaces",
        values,
    )
    if held.rowcount != wanted:
        raise Retryable("PERSONS_TAKEN", f"{wanted - held.rowcount} people were just accepted by another submission")


def _judge(connection: Connection, intake: Intake) -> str:
    """Totals and thresholds: VALIDATED, WAITING_FOR_OPERATOR or REFUSED, written with its reason."""
    declared, read, decided, quarantined, amends = one(
        connection,
        """
        SELECT declared, (SELECT sum(rows) FROM part p WHERE (p.cohort_no, p.submission) = (s.cohort_no, s.number)),
               count(r.line), count(r.line) FILTER (WHERE r.outcome = 'quarantined'), s.amends
        FROM submission s LEFT JOIN row_outcome r ON (r.cohort_no, r.submission) = (s.cohort_no, s.number)
        WHERE (s.cohort_no, s.number) = (%s, %s) GROUP BY s.cohort_no, s.number
        """,
        intake.key,
    )
    ratio = quarantined / decided if decided else 0.0
    counts = {"declared": declared, "read": read, "decided": decided, "quarantined": quarantined}
    if not declared == read == decided:
        return _refuse(connection, intake, "TOTALS_DIFFER", counts)
    if not amends and ratio > intake.city.policy.refuse_ratio:
        return _refuse(connection, intake, "TOO_MANY_QUARANTINED", counts)
    state = "WAITING_FOR_OPERATOR" if not amends and ratio > intake.city.policy.warn_ratio else "VALIDATED"
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
