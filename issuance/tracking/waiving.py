"""Waiving a request: a person says that nobody will answer it, and the card ends without that proof."""

from __future__ import annotations

from typing import Any

from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import card_ref_of_text, rows_of
from issuance.tracking.requests import OF_PLASTIC, OPEN, withdraw_requests
from issuance.words.lifecycle import REQUESTS

LISTED = f"""
SELECT q.card_ref, q.attempt, q.kind, q.reason, q.partner, cohort_id, city, q.asked_on, q.due_on,
    q.due_on < %(day)s AS late
FROM {OF_PLASTIC} JOIN card c USING (card_ref) JOIN cohort USING (cohort_no)
WHERE {OPEN} AND (%(cohort)s::text IS NULL OR cohort_id = %(cohort)s)
  AND (%(partner)s::text IS NULL OR q.partner = %(partner)s)
ORDER BY q.due_on NULLS LAST, q.partner, q.card_ref, q.attempt
"""


def list_requests(
    connection: Connection, cohort_id: str | None = None, partner: str | None = None
) -> list[dict[str, Any]]:
    """Open requests, those first that are due first."""
    values = {"day": business_day(connection), "cohort": cohort_id, "partner": partner}
    rows = rows_of(connection, LISTED, values)
    return [row | {"what": " / ".join(REQUESTS[row["kind"]][1:])} for row in rows]


def waive_request(
    connection: Connection, card_ref: str, attempt: int, kind: str, note: str, user: str
) -> dict[str, Any]:
    """Waive the open request of a kind about a plastic. Waiving a step of the cancel order voids the later ones: the
    plastic is cancelled, unproven. Locks the request.

    Raises:
        Refused: there is no such open request, or no note.
    """
    require_note(note)
    ref, day = card_ref_of_text(card_ref), business_day(connection)
    row = connection.execute(
        "UPDATE request q SET ending = 'waived', ended_on = %s, why = %s, ended_by = %s"
        " WHERE (card_ref, attempt, kind) = (%s, %s, %s) AND ended_on IS NULL RETURNING partner, batch_id",
        (day, note, user, ref, attempt, kind),
    ).fetchone()
    if row is None:
        raise Refused(
            "REQUEST_UNKNOWN",
            f"卡 {ref}/{attempt} 没有待回应的请求 {kind}。 / there is no open request {kind} about {ref}/{attempt}.",
        )
    partner, batch_id = row
    withdraw_requests(connection, [(ref, attempt, partner, batch_id)], day)
    connection.execute("INSERT INTO changed_card VALUES (%s)", (ref,))
    audit(connection, user, "waive", f"{ref}/{attempt}", day, {"request": kind, "partner": partner, "note": note})
    return {"card_ref": str(ref), "attempt": attempt, "request": kind, "partner": partner, "state": "waived"}
