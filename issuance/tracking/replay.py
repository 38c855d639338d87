"""Dead letters put back on their topic."""

from __future__ import annotations

from datetime import date

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.wire.faults import clear_faults
from issuance.wire.outbox import Letter, letter_parts, write_outbox


def replay_message(connection: Connection, topic: str, partition: int, offset: int, day: date) -> None:
    """Put a dead letter's original message back on its topic.

    Raises:
        Refused: no such dead letter, or a report or event with its id is in the inbox, so it was already applied.
    """
    place = f"{topic}/{partition}/{offset}"
    row = connection.execute("SELECT key, body, headers FROM outbox WHERE ce_id = %s", (f"dlq/{place}",)).fetchone()
    if row is None:
        raise Refused("DEAD_LETTER_UNKNOWN", f"没有该死信。 / no such dead letter: {place}.")
    letter = "UPDATE dead_letter SET replayed_on = %s, replays = replays + 1"
    partner, report_id, replays = one(
        connection,
        letter + " WHERE (topic, topic_partition, topic_offset) = (%s, %s, %s) RETURNING partner, report_id, replays",
        (day, topic, partition, offset),
    )
    if _applied(connection, partner, report_id):
        raise Refused(
            "ALREADY_APPLIED",
            f"编号为 {report_id} 的报文已被采用，无需重放。 / {report_id} of {partner} was already applied.",
            report_id=report_id,
        )
    clear_faults(connection, "UNPROCESSABLE", place)
    key, headers = letter_parts(row[0], [header for header in row[2] if not header[0].startswith("issuance.dlq.")])
    again = Letter(f"replay/{place}/{replays}", topic, key, None if row[1] is None else bytes(row[1]), headers)
    write_outbox(connection, [again], day)


def replay_code(connection: Connection, code: str, day: date) -> list[str]:
    """Put back all dead letters of a code that were not replayed yet, in their topics' order; returns their places.

    Those whose report was applied since are left where they are.
    """
    letters = connection.execute(
        "SELECT topic, topic_partition, topic_offset, partner, report_id FROM dead_letter"
        " WHERE code = %s AND replayed_on IS NULL ORDER BY 1, 2, 3",
        (code,),
    ).fetchall()
    places = []
    for topic, partition, offset, partner, report_id in letters:
        if not _applied(connection, partner, report_id):
            replay_message(connection, topic, partition, offset, day)
            places.append(f"{topic}/{partition}/{offset}")
    return places


def _applied(connection: Connection, partner: str | None, report_id: str | None) -> bool:
    row = connection.execute(
        "SELECT FROM report WHERE (partner, report_id) = (%(partner)s, %(id)s)"
        " UNION ALL SELECT FROM holder_event WHERE (source, event_id) = (%(partner)s, %(id)s) LIMIT 1",
        {"partner": partner, "id": report_id},
    ).fetchone()
    return row is not None
