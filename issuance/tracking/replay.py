"""Dead letters put back on their topic."""

from __future__ import annotations

from datetime import date

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.wire.outbox import Outgoing, write_outbox


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
    headers = {name: value for name, value in row[2].items() if not name.startswith("issuance.dlq.")}
    again = Outgoing(f"replay/{place}/{replays}", topic, row[0], None, bytes(row[1]), headers)
    write_outbox(connection, [again], day)


def _applied(connection: Connection, partner: str | None, report_id: str | None) -> bool:
    row = connection.execute(
        "SELECT FROM report WHERE (partner, report_id) = (%(partner)s, %(id)s)"
        " UNION ALL SELECT FROM holder_event WHERE (source, event_id) = (%(partner)s, %(id)s) LIMIT 1",
        {"partner": partner, "id": report_id},
    ).fetchone()
    return row is not None
