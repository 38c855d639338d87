"""Operators' queries; every function returns plain records for the command line and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow, dict_row

from issuance.errors import Broken, Refused, unknown_cohort
from issuance.ledger.connection import Connection


def one(connection: Connection, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> TupleRow:
    """The single row of a query that always returns one.

    Raises:
        Broken: it returned none.
    """
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise Broken("ROW_MISSING", f"the query returned no row: {query.split('FROM')[0].strip()[:80]}")
    return row


def rows_of(connection: Connection, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """A query's rows as records."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(query, values))


def cohort_number(connection: Connection, cohort_id: str) -> int:
    """The number of a cohort.

    Raises:
        Refused: there is no such cohort.
    """
    row = connection.execute("SELECT cohort_no FROM cohort WHERE cohort_id = %s", (cohort_id,)).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    return int(row[0])


def city_of(connection: Connection, cohort_no: int) -> str:
    """The code of a cohort's city."""
    return str(one(connection, "SELECT city FROM cohort WHERE cohort_no = %s", (cohort_no,))[0])


def list_cohorts(connection: Connection) -> list[dict[str, Any]]:
    """Every cohort with its counts by state, newest opening day first."""
    return rows_of(
        connection,
        "SELECT cohort_id, city, category, opens_on, lower(c.state) AS state, coalesce(sum(t.cards), 0) AS cards,"
        " (SELECT count(*) FROM break b WHERE b.cohort_no = c.cohort_no AND b.closed_on IS NULL) AS breaks"
        " FROM cohort c LEFT JOIN tally t USING (cohort_no) GROUP BY c.cohort_no, cohort_id"
        " ORDER BY opens_on DESC, cohort_id",
    )


def show_cohort(connection: Connection, cohort_id: str) -> dict[str, Any]:
    """One cohort: its submissions, waves and counts.

    Raises:
        Refused: there is no such cohort.
    """
    found = [row for row in list_cohorts(connection) if row["cohort_id"] == cohort_id]
    if not found:
        raise unknown_cohort(cohort_id)
    of = "cohort_no = (SELECT cohort_no FROM cohort WHERE cohort_id = %s)"
    return found[0] | {
        "states": rows_of(
            connection, f"SELECT state, cards FROM tally WHERE {of} AND cards > 0 ORDER BY 1", (cohort_id,)
        ),
        "submissions": rows_of(
            connection,
            "SELECT number AS submission, lower(state) AS state, declared, user_name(submitted_by) AS submitted_by,"
            f" refusal FROM submission WHERE {of} ORDER BY number",
            (cohort_id,),
        ),
        "withdrawal": rows_of(connection, f"SELECT withdrawal FROM cohort WHERE {of}", (cohort_id,))[0]["withdrawal"],
        "changes": rows_of(
            connection,
            'SELECT business_day, user_name("user") AS "user", act, details FROM audit WHERE subject = %s'
            " AND act IN ('postpone', 'withdraw') ORDER BY number",
            (cohort_id,),
        ),
        "waves": rows_of(
            connection,
            "SELECT w.wave, user_name(w.planned_by) AS planned_by, w.planned_on, w.plastics, w.forecast, w.refused,"
            " user_name(r.released_by) AS released_by, r.released_on"
            f" FROM wave w LEFT JOIN release r USING (cohort_no, wave) WHERE w.{of} ORDER BY wave",
            (cohort_id,),
        ),
    }


def card_ref_of_text(text: str) -> UUID:
    """A card_ref from user input.

    Raises:
        Refused: it is not a UUID.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise Refused("CARD_UNKNOWN", f"{text} 不是卡编号。 / {text} is not a valid card_ref.") from error


def unknown_card(card_ref: str) -> Refused:
    """The error for an unknown card."""
    return Refused("CARD_UNKNOWN", f"没有卡 {card_ref}。 / no such card: {card_ref}.")


OF_CARD = {
    "decisions": (
        "SELECT attempt, kind, occasion, reason, business_day FROM decision WHERE card_ref = %s"
        " ORDER BY business_day, kind, occasion"
    ),
    "remakes": (
        "SELECT attempt, made, ground, reason, begun_on, user_name(decided_by) AS decided_by, ending, ended_on"
        " FROM remake WHERE card_ref = %s ORDER BY made"
    ),
    "requests": (
        "SELECT attempt, kind, n, reason, partner, consignment_id, asked_on, due_on,"
        " coalesce(ending, 'open') AS state, ended_on, why, user_name(ended_by) AS ended_by"
        " FROM request WHERE card_ref = %s ORDER BY asked_on, attempt, kind, n"
    ),
    "events": (
        "SELECT source, event_id, e.event, occurred_at, followed_on, annulled, (SELECT source || '/' || event_id"
        " FROM holder_event n WHERE n.event_no = e.annuls) AS annuls FROM holder_event e WHERE card_ref = %s"
        " ORDER BY event_no"
    ),
    "breaks": (
        "SELECT break_id, kind, expected, actual, opened_on, closed_on, closed_by, note FROM break"
        " WHERE card_ref = %s"
        " ORDER BY opened_on"
    ),
}
"""What is shown of a card beside its facts, each from the oldest."""


def show_card(connection: Connection, card_ref: str) -> dict[str, Any]:
    """One card: its plastics' facts, decisions, holder events and breaks, in the order they came. No personal data.

    Raises:
        Refused: there is no such card.
    """
    ref = card_ref_of_text(card_ref)
    found = rows_of(
        connection,
        "SELECT card_ref, cohort_id, application_id, state_of.state, since, effective AS plastic, bank, factory,"
        " due_on,"
        " collection_method, place, withdrawn FROM card state_of JOIN cohort USING (cohort_no) WHERE card_ref = %s",
        (ref,),
    )
    if not found:
        raise unknown_card(card_ref)
    facts = (
        "SELECT attempt, milestone, mark_at(mark) AS occurred_at, nullif(mark_reason(mark), '') AS reason,"
        " consignment_id,"
        " corrects, partner, report_id FROM fact JOIN report USING (report_no)"
    )
    mail = "SELECT consignment_id FROM plastic_in_consignment WHERE card_ref = %s"
    own_facts = (
        f"{facts} WHERE card_ref = %s OR (subject = 'mail' AND consignment_id IN ({mail})) ORDER BY mark, milestone"
    )
    others = {name: rows_of(connection, query, (ref,)) for name, query in OF_CARD.items()}
    return found[0] | {"facts": rows_of(connection, own_facts, (ref, ref))} | others


def find_cards(connection: Connection, words: str) -> list[dict[str, Any]]:
    """Cards by an application id, a tracking number, a hand-over id, a job id, or a plastic's serial number."""
    return rows_of(
        connection,
        "SELECT card_ref, cohort_id, city, application_id, card.state, since, bank, due_on FROM card"
        " JOIN cohort USING (cohort_no) WHERE application_id = %(w)s"
        " OR card_ref IN (SELECT card_ref FROM plastic_in_consignment WHERE consignment_id IN ("
        " SELECT hand_over_id(partner, %(w)s) FROM partner_state UNION SELECT mail_item_id(partner, %(w)s)"
        " FROM partner_state)"
        " UNION SELECT card_ref FROM job_item WHERE job_id = %(w)s"
        " UNION SELECT card_ref FROM plastic WHERE mark_content(made) ->> 'serial' = %(w)s) ORDER BY 2, 4",
        {"w": words},
    )


def list_partners(connection: Connection) -> list[dict[str, Any]]:
    """Partners that have reported: counts, refusals, pauses, gaps."""
    return rows_of(
        connection,
        "SELECT partner, received, refused, paused_on, reason, (SELECT count(*) FROM partner_stream g WHERE"
        " g.partner = s.partner AND NOT isempty(sequence_gaps(seen))) AS streams_with_gaps"
        " FROM partner_state s ORDER BY partner",
    )


def list_dead_letters(connection: Connection) -> list[dict[str, Any]]:
    """Dead-lettered messages, newest first."""
    return rows_of(
        connection,
        "SELECT topic, topic_partition, topic_offset, partner, report_id, code, arrived_on, replayed_on"
        " FROM dead_letter"
        " ORDER BY arrived_on DESC, topic, topic_partition, topic_offset DESC",
    )
