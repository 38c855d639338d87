"""Proving the ledger: rows against a fold of the journal, kept numbers against counts, and the canonical digest."""

from __future__ import annotations

from collections.abc import Iterator

from issuance.city.city import Cities
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import Connection
from issuance.proof.numbers import wrong_numbers
from issuance.proof.rows import wrong_rows, wrong_uses
from issuance.proof.states import wrong_states
from issuance.retention.certificates import wrong_certificates


def verify_ledger(connection: Connection, cities: Cities) -> list[str]:
    """What does not hold: rows unlike the fold of their facts, cards unlike what follows from facts and decisions, kept
    numbers unlike counts, audit and certificates."""
    return [
        *wrong_rows(connection),
        *wrong_uses(connection),
        *wrong_states(connection, cities),
        *wrong_numbers(connection),
        *_wrong_audit(connection),
        *wrong_certificates(connection),
    ]


def _wrong_audit(connection: Connection) -> Iterator[str]:
    for number in verify_audit(connection):
        yield f"audit entry {number} does not follow from the one before"
