"""A cohort in intake, whose application A0 is accepted later, or turns out to be the duplicate of another card's."""

from __future__ import annotations

from uuid import UUID

from cohort_fixture import add_cohort
from findings_fixture import on
from ledger_fixture import OPENS

from issuance.ledger.connection import Connection, set_business_day
from issuance.words.references import card_ref_of

COHORT = "in-work"
REF = card_ref_of(COHORT, "A0")
DAY = 20


def begin_intake(connection: Connection) -> None:
    """A cohort whose submission is not decided yet."""
    set_business_day(connection, on(DAY))
    add_cohort(connection, COHORT, [], state="REGISTERED")
    set_business_day(connection, on(DAY))


def accept(connection: Connection) -> None:
    """A0 is accepted, of ICBC."""
    connection.execute("UPDATE cohort SET state = 'ACCEPTED'")
    connection.execute("UPDATE submission SET state = 'ACCEPTED'")
    connection.execute(
        "INSERT INTO card (card_ref, cohort_no, application_id, submission, file, line, kind, category, bank, factory,"
        " applied_on, due_on, collection_method, place, block, position, state, since)"
        " SELECT %s, cohort_no, 'A0', 0, 'f', 2, 'renewal', 'retiree', 'ICBC', 'F-ICBC', %s, %s, 'outlet', 'ICBC-001',"
        " 1, 1, 'WAITING', now() FROM cohort WHERE cohort_id = %s",
        (REF, OPENS, on(60), COHORT),
    )


def duplicate(connection: Connection) -> UUID:
    """A0 turns out to be the duplicate of a card of an earlier cohort, which is returned."""
    number = add_cohort(connection, "earlier", [("ICBC", OPENS)])
    first = card_ref_of("earlier", "A0")
    connection.execute("UPDATE submission SET state = 'ACCEPTED'")
    connection.execute(
        "INSERT INTO row_outcome (cohort_no, submission, file, line, part, outcome, application_id, card_ref, own_ref,"
        " kind) SELECT cohort_no, 0, 'f.csv', 2, 1, 'duplicate', 'A0', %s, %s, 'renewal' FROM cohort"
        " WHERE cohort_no <> %s",
        (first, REF, number),
    )
    set_business_day(connection, on(DAY))
    return first
