"""Principle 4: a row deleted, doubled or altered behind either side of a closing equation is named, and only it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import CITIES, COHORT, OPENS, drop_temporary, item, merge, report, tamper
from life_fixture import live, state_list

from issuance.ledger.connection import Connection
from issuance.reconcile.closing import ClosingStatement, read_statement
from issuance.reconcile.equations import Balance

HOLDER = [{"role": "HOLDER", "reference": "seen"}]


def statement_of(connection: Connection) -> ClosingStatement:
    """The closing statement, temporary tables cleared away."""
    drop_temporary(connection)
    return read_statement(connection, COHORT, CITIES)


def differing(connection: Connection) -> dict[str, list[str]]:
    """What each equation that does not hold names."""
    return {b.equation.name: b.differing for b in statement_of(connection).balances if not b.holds}


def test_a_finished_cohort_adds_up(ledger: Connection) -> None:
    live(ledger)
    statement = statement_of(ledger)
    assert [(b.equation.name, b.left, b.right) for b in statement.balances] == [
        (name, 4, 4)
        for name in (
            "intake",
            "order",
            "job",
            "making",
            "hand-over",
            "collection",
            "activation (ss)",
            "activation (finance)",
        )
    ]
    assert statement.holds
    assert statement.ended
    assert statement.counts == {"ACTIVE": 4}
    assert statement.activations == {"social security": 4, "finance": 4, "e-card": 0, "finance alone": 0}


def _of(ref: UUID) -> str:
    return f"{ref}/1"


CASES: dict[str, tuple[str, str, Callable[[UUID], dict[str, list[str]]]]] = {
    # name: (equation, SQL with %(ref)s, what must be named)
    "intake: outcome deleted": (
        "intake",
        "DELETE FROM row_outcome WHERE card_ref = %(ref)s",
        lambda ref: {"intake": ["0 f.csv:2"], "order": [f"{ref} f.csv:2"]},
    ),
    "intake: outcome moved to another line": (
        "intake",
        "UPDATE row_outcome SET line = 900 WHERE card_ref = %(ref)s",
        lambda ref: {"intake": ["0 f.csv:2", "0 f.csv:900"], "order": [f"{ref} f.csv:2", f"{ref} f.csv:900"]},
    ),
    "intake: a line of the package forgotten": (
        "intake",
        "UPDATE part SET lines = lines - '{[2,3)}'::int4multirange",
        lambda ref: {"intake": ["0 f.csv:2"]},
    ),
    "order: card altered to another line": (
        "order",
        "UPDATE card SET line = 77 WHERE card_ref = %(ref)s",
        lambda ref: {"order": [f"{ref} f.csv:2", f"{ref} f.csv:77"]},
    ),
    "order: card in a state of no bucket": (
        "order",
        "UPDATE card SET state = 'NOWHERE' WHERE card_ref = %(ref)s",
        lambda ref: {"order": [f"{ref} f.csv:2"]},
    ),
    "order: accepted row doubled": (
        "order",
        "INSERT INTO row_outcome SELECT cohort_no, submission, file, 900, part, outcome, application_id, person,"
        " card_ref, kind, reasons FROM row_outcome WHERE card_ref = %(ref)s",
        lambda ref: {"intake": ["0 f.csv:900"], "order": [f"{ref} f.csv:900"]},
    ),
    "job: frozen item deleted": (
        "job",
        "DELETE FROM job_item WHERE card_ref = %(ref)s",
        lambda ref: {"job": [f"J1 {_of(ref)}"], "making": [_of(ref)]},
    ),
    "job: plastic moved out of its job": (
        "job",
        "UPDATE plastic SET job_id = NULL WHERE card_ref = %(ref)s",
        lambda ref: {"job": [f"J1 {_of(ref)}"], "making": [_of(ref)]},
    ),
    "making: refused in the row, accepted by the facts": (
        "making",
        "UPDATE plastic SET item_refused = '1760000000000||' WHERE card_ref = %(ref)s",
        lambda ref: {"making": [_of(ref)]},
    ),
    "hand-over: plastic_in_consignment deleted": (
        "hand-over",
        "DELETE FROM plastic_in_consignment WHERE card_ref = %(ref)s",
        lambda ref: {"hand-over": [f"{_of(ref)} H:F-ICBC:H1"], "collection": [f"{_of(ref)} H:F-ICBC:H1"]},
    ),
    "hand-over: the giver's fact deleted": (
        "hand-over",
        "DELETE FROM fact WHERE card_ref = %(ref)s AND milestone = 'HANDED_OVER'",
        lambda ref: {"hand-over": [f"{_of(ref)} H:F-ICBC:H1"]},
    ),
    "collection: receipt altered away": (
        "collection",
        "UPDATE plastic_in_consignment SET received_at_place = NULL WHERE card_ref = %(ref)s",
        lambda ref: {"collection": [f"{_of(ref)} H:F-ICBC:H1"]},
    ),
    "collection: the receiver's fact deleted": (
        "collection",
        "DELETE FROM fact WHERE card_ref = %(ref)s AND milestone = 'RECEIVED_AT_PLACE'",
        lambda ref: {"collection": [f"{_of(ref)} H:F-ICBC:H1"]},
    ),
    "activation: listed twice": (
        "activation (ss)",
        "UPDATE statement_chunk SET cards = cards || %(ref)s::uuid, attempts = attempts || 1::smallint"
        " WHERE function = 'ss'",
        lambda ref: {"activation (ss)": [_of(ref), "HRSS-BJ S1: 5 of 4 listed"]},
    ),
    "activation: gone from the statement": (
        "activation (ss)",
        "UPDATE statement_chunk SET cards = array_remove(cards, %(ref)s::uuid), attempts = attempts[2:]"
        " WHERE function = 'ss'",
        lambda ref: {"activation (ss)": ["HRSS-BJ S1: 3 of 4 listed"]},
    ),
    "activation: altered to a card of nobody": (
        "activation (finance)",
        "UPDATE statement_chunk SET cards = array_replace(cards, %(ref)s::uuid, gen_random_uuid())"
        " WHERE function = 'finance'",
        lambda ref: {"activation (finance)": ["ICBC S1: 3 of 4 listed"]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_disturbed_row_is_named_and_only_it(ledger: Connection, case: str) -> None:
    ref = live(ledger)[0]
    name, disturb, expected = CASES[case]
    tamper(ledger, disturb, {"ref": ref})
    found = differing(ledger)
    assert name in found
    assert found == expected(ref)


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_a_statement_that_differs_twice_is_a_break(ledger: Connection, side: str) -> None:
    from issuance.reconcile.activation import reconcile

    refs = live(ledger)
    listed: list[Any] = refs[1:] if side == "ours" else refs
    if side == "theirs":
        ledger.execute("UPDATE plastic SET ss_activated = NULL WHERE card_ref = %s", (refs[0],))
    for number in (2, 3):
        state_list(ledger, "HRSS-BJ", "ss", listed, number)
        reconcile(ledger, OPENS + timedelta(days=30 + number))
    kind = {"theirs": "STATEMENT_UNKNOWN", "ours": "STATEMENT_MISSING"}[side]
    assert ledger.execute(
        "SELECT kind, card_ref FROM break WHERE closed_on IS NULL AND kind LIKE 'STATEMENT%'"
    ).fetchall() == [(kind, refs[0])]


def activation_of(connection: Connection, function: str) -> Balance:
    """The activation equation of a function."""
    return next(b for b in statement_of(connection).balances if b.equation.name == f"activation ({function})")


def test_ours_missing_from_the_statement_stands_beside_the_equation(ledger: Connection) -> None:
    from issuance.reconcile.activation import reconcile

    refs = live(ledger)
    for number in (2, 3):
        state_list(ledger, "HRSS-BJ", "ss", refs[1:], number)
        reconcile(ledger, OPENS + timedelta(days=30 + number))
    found = activation_of(ledger, "ss")
    shown = found.as_dict()
    assert (shown["left"], shown["right"], shown["holds"]) == (3, 3, False)
    assert shown["buckets"] == {
        "agreed with the ledger": 3,
        "pending": 0,
        "unknown to us": 0,
        "missing from the statement": 1,
    }
    assert found.differing == [_of(refs[0])]
    assert activation_of(ledger, "finance").as_dict()["buckets"]["missing from the statement"] == 0


@pytest.mark.parametrize(("day", "bucket"), [(10, "pending"), (30, "agreed with the ledger")])
def test_a_plastic_cancelled_before_as_of_is_not_agreed(ledger: Connection, day: int, bucket: str) -> None:
    from issuance.reconcile.activation import reconcile

    ref = live(ledger)[0]
    merge(ledger, report("HRSS-BJ", "x", [item("SS_CANCELLED", ref, day)]))
    found = activation_of(ledger, "ss")
    assert found.holds
    assert found.buckets["agreed with the ledger"] == (3 if bucket == "pending" else 4)
    assert reconcile(ledger, OPENS + timedelta(days=31)) == (bucket == "pending")
