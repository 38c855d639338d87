"""The net behind the checks: the message in which an error lies is found, and what is ours stops (principle 13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg
import pytest

from issuance.errors import Broken, Unavailable
from issuance.ledger.connection import Connection
from issuance.wire.isolation import MOST_OF_A_PARTNER, WITHIN, Applied, Culprits, Recent, isolate, where
from issuance.wire.refusals import Message, Outcome


def messages(count: int, *partners: str) -> list[Message]:
    """Messages of partners by turns."""
    named = partners or ("F-ICBC",)
    return [Message(f"t.{named[n % len(named)]}", 0, n, named[n % len(named)], None, b"", (), {}) for n in range(count)]


def writing(connection: Connection, poison: dict[int, str]) -> Callable[[Sequence[Message]], Applied]:
    """A stage that writes a number a message; `poison`: what it writes instead."""
    connection.execute("CREATE TEMP TABLE written (value int CHECK (value < 1000)) ON COMMIT DROP")

    def apply(some: Sequence[Message]) -> Applied:
        for message in some:
            connection.execute(f"INSERT INTO written VALUES ({poison.get(message.offset, message.offset)})")
        return [Outcome(message) for message in some], []

    return apply


@pytest.mark.parametrize("value", ["1 / 0", "'x'::int", "2000", "99999999999", "length(repeat('x', 1100000000))"])
def test_the_message_in_which_an_error_lies_is_found_and_all_others_are_applied(ledger: Connection, value: str) -> None:
    sent = messages(41)
    outcomes, _ = isolate(ledger, sent, writing(ledger, {17: value}))
    assert [outcome.message for outcome in outcomes] == sent
    assert [o.message.offset for o in outcomes if o.refusal] == [17]
    assert {o.refusal for o in outcomes} == {None, "UNPROCESSABLE"}
    assert ledger.execute("SELECT count(*) FROM written").fetchone() == (40,)


@pytest.mark.parametrize("error", [KeyError("items"), ValueError("x"), RecursionError(), OverflowError(), TypeError()])
def test_an_error_of_the_checks_lies_in_its_message_too(ledger: Connection, error: Exception) -> None:
    def apply(some: Sequence[Message]) -> Applied:
        if any(message.offset == 3 for message in some):
            raise error
        return [Outcome(message) for message in some], []

    outcomes, _ = isolate(ledger, messages(10), apply)
    assert [o.message.offset for o in outcomes if o.refusal == "UNPROCESSABLE"] == [3]


@pytest.mark.parametrize("value", ["(SELECT nothing FROM nowhere)", "no_such_function(1)"])
def test_an_error_of_our_own_is_nobodys(ledger: Connection, value: str) -> None:
    with pytest.raises((psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction)):
        isolate(ledger, messages(5), writing(ledger, {2: value}))


@pytest.mark.parametrize("error", [Unavailable("S3_UNAVAILABLE", ""), Broken("OBJECT_MISSING", ""), OSError()])
def test_a_component_that_does_not_answer_is_no_messages_fault(ledger: Connection, error: Exception) -> None:
    def apply(some: Sequence[Message]) -> Applied:
        raise error

    with pytest.raises(type(error)):
        isolate(ledger, messages(5), apply)


def fates(sent: Sequence[Message], *culprits: int) -> list[Outcome]:
    """What a stage says of these messages."""
    return [Outcome(message, "UNPROCESSABLE" if message.offset in culprits else None) for message in sent]


def test_a_few_culprits_of_a_partner_are_dead_lettered() -> None:
    sent = messages(50)
    Recent().judge(sent, fates(sent, *range(MOST_OF_A_PARTNER)))


def test_more_culprits_of_a_partner_hold_its_partitions() -> None:
    sent = messages(50, "F-ICBC", "F-ABC")
    with pytest.raises(Culprits) as held:
        Recent().judge(sent, fates(sent, *range(0, 2 * MOST_OF_A_PARTNER + 2, 2)))
    assert held.value.partner == "F-ICBC"


def test_culprits_of_three_partners_close_together_are_a_fault_of_ours() -> None:
    recent, sent = Recent(), messages(WITHIN, "F-ICBC", "F-ABC", "F-BOC")
    recent.judge(sent, fates(sent, 0, 1))
    with pytest.raises(Broken, match="CULPRITS_EVERYWHERE"):
        recent.judge(sent, fates(sent, 0, 1, 2))
    recent.add(sent, fates(sent, 90, 91))
    with pytest.raises(Broken, match="CULPRITS_EVERYWHERE"):
        recent.judge(sent[2:3], fates(sent[2:3], 2))


def test_culprits_far_apart_are_their_partners() -> None:
    recent, sent = Recent(), messages(WITHIN, "F-ICBC", "F-ABC", "F-BOC")
    recent.judge(sent, fates(sent, 0))
    recent.add(sent, fates(sent, 0))
    recent.judge(sent, fates(sent, 1))
    recent.add(sent, fates(sent, 1))
    recent.judge(sent, fates(sent, 2))


def test_an_error_is_told_without_its_text() -> None:
    try:
        raise ValueError("王建国 11010519491231002X")
    except ValueError as error:
        assert where(error).startswith("ValueError at tests/ledger/test_isolation.py:")
