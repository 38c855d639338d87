"""What prevents a partner's removal: unfinished jobs, plastics, requests and breaks."""

from __future__ import annotations

from typing import NamedTuple

from issuance.city.partners import Partner
from issuance.dispatch.jobs import ENDED, list_jobs
from issuance.ledger.connection import Connection
from issuance.tracking.requests import OF_PLASTIC, OPEN, REFERENCE
from issuance.words.lifecycle import ENDED_STATES


class Obstacle(NamedTuple):
    """One unfinished thing of a partner."""

    kind: str
    """job, plastic, request or break."""
    reference: str


def obstacles(connection: Connection, partner: Partner) -> list[Obstacle]:
    """All unfinished business of a partner, by kind and reference."""
    jobs = [Obstacle("job", job["job_id"]) for job in list_jobs(connection)
            if job["factory"] == partner.id and job["state"] not in ENDED]  # fmt: skip
    return [
        *jobs,
        *_plastics(connection, partner),
        *_requests(connection, partner),
        *_breaks(connection, partner),
    ]


MINE = {
    "factory": "(c.factory = %(partner)s OR p.factory = %(partner)s)",
    "bank": "(c.bank = %(partner)s OR p.bank = %(partner)s)",
    "hrss": "true",
    "carrier": "EXISTS (SELECT FROM plastic_in_consignment a WHERE a.card_ref = c.card_ref"
    " AND carrier_of(a.consignment_id) = %(partner)s)",
}
"""SQL: whether a card c with its newest plastic p concerns a partner."""


def _plastics(connection: Connection, partner: Partner) -> list[Obstacle]:
    """Cards that have not ended and wait for this partner, or are in its custody."""
    mine = MINE.get(partner.kind)
    if mine is None:
        return []
    rows = connection.execute(
        "SELECT c.card_ref, coalesce(p.attempt, 0), c.state FROM card c JOIN cohort USING (cohort_no)"
        " LEFT JOIN plastic p ON (p.card_ref, p.attempt) = (c.card_ref, c.last_attempt)"
        f" WHERE {mine} AND c.state <> ALL (%(ended)s) AND cohort.state NOT IN ('CLOSED', 'WITHDRAWN')"
        " ORDER BY 1, 2",
        {"partner": partner.id, "ended": list(ENDED_STATES)},
    ).fetchall()
    return [Obstacle("plastic", f"{ref}/{attempt} {state}") for ref, attempt, state in rows]


def _requests(connection: Connection, partner: Partner) -> list[Obstacle]:
    rows = connection.execute(
        f"SELECT {REFERENCE} FROM {OF_PLASTIC} WHERE q.partner = %(partner)s AND {OPEN} ORDER BY 1",
        {"partner": partner.id},
    ).fetchall()
    return [Obstacle("request", reference) for (reference,) in rows]


def _breaks(connection: Connection, partner: Partner) -> list[Obstacle]:
    """Open breaks for which the partner is responsible, and those of cards that concern it."""
    mine = MINE[partner.kind] if partner.kind in ("factory", "bank") else "false"
    rows = connection.execute(
        "SELECT b.kind, b.reference FROM break b WHERE b.closed_on IS NULL"
        " AND (b.answers_for = %(partner)s OR b.card_ref IN (SELECT c.card_ref FROM card c"
        f" LEFT JOIN plastic p ON (p.card_ref, p.attempt) = (c.card_ref, c.last_attempt) WHERE {mine})) ORDER BY 1, 2",
        {"partner": partner.id},
    ).fetchall()
    return [Obstacle("break", f"{kind} {reference}") for kind, reference in rows]
