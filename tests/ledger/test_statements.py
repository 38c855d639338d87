"""Statements: a day counts when all chunks of one revision are there and agree; what is refused can be sent again."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import CITY, OPENS, REGISTRY, make_cohort

from issuance.clock import end_of, instant_on
from issuance.ledger.connection import Connection
from issuance.reconcile.activation import LATEST
from issuance.reconcile.lateness import last_due, watch_statements
from issuance.reconcile.statements import apply_statements, ask_missing_chunks
from issuance.tracking.resuming import resume_partner
from issuance.wire.avro import decode_body, encode_body, read_inbound
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context
from issuance.wire.pauses import pause_partner
from issuance.wire.refusals import Message
from issuance.words.references import hash_total

DAY = OPENS + timedelta(days=8)
CONTEXT = Context(None, REGISTRY, end_of(DAY), DAY)  # type: ignore[arg-type]  # statements need no settings


def chunks(refs: list[UUID], size: int, statement_id: str = "S1", revision: int = 1, **values: Any) -> list[Message]:
    """A statement of HRSS-BJ in chunks; `values` are written into every one."""
    parts = [refs[start : start + size] for start in range(0, len(refs), size)] or [[]]
    return [
        chunk(
            {
                "statement_id": statement_id,
                "partner": "HRSS-BJ",
                "function": "ss",
                "business_day": DAY,
                "as_of": instant_on(DAY, 20),
                "revision": revision,
                "chunk": number,
                "chunks": len(parts),
                "total": len(refs),
                "hash_total": hash_total(refs),
                "items": [{"card_ref": str(ref), "attempt": 1} for ref in part],
                **values,
            }
        )
        for number, part in enumerate(parts, 1)
    ]


def chunk(value: dict[str, Any]) -> Message:
    """One chunk as the consumer hands it on."""
    body = encode_body("statement", value)
    return Message("t", 0, 0, "HRSS-BJ", None, bytes(FRAME.size) + body, (), read_inbound("statement", body))


def altered(message: Message, **values: Any) -> Message:
    """The same chunk with other values."""
    return chunk({**(message.value or {}), **values})


def say(connection: Connection, *messages: Message) -> list[str | None]:
    """What each chunk is refused with, None where it is not."""
    return [outcome.refusal for outcome in apply_statements(connection, messages, CONTEXT)[0]]


def latest(connection: Connection) -> list[tuple[str, int]]:
    """The complete statement that counts."""
    return connection.execute(f"SELECT statement_id, revision FROM ({LATEST}) l").fetchall()


def asked(connection: Connection) -> list[tuple[Any, ...]]:
    """The chunks asked for: statement, first, last."""
    found = ask_missing_chunks(connection, DAY)
    return [(m.value["report_id"], m.value["first"], m.value["last"]) for m in found]


def test_equal_content_again_does_nothing_and_other_content_is_refused(ledger: Connection) -> None:
    refs = make_cohort(ledger, 4)
    first, last = chunks(refs, 2)
    assert say(ledger, first, first, altered(first, items=[]), last, last) == [None, None, "ID_REUSED", None, None]
    assert latest(ledger) == [("S1", 1)]
    assert ledger.execute("SELECT cohorts FROM statement").fetchall() == [({"1": 4},)]


def test_cards_that_are_none_of_ours_count_in_no_cohort(ledger: Connection) -> None:
    refs = [*make_cohort(ledger, 2), UUID(int=1)]
    assert say(ledger, *chunks(refs, 2)) == [None, None]
    assert ledger.execute("SELECT cohorts FROM statement").fetchall() == [({"0": 1, "1": 2},)]


@pytest.mark.parametrize("wrong", ["COUNT_DIFFERS", "HASH_DIFFERS"])
def test_a_refused_last_chunk_can_be_sent_again(ledger: Connection, wrong: str) -> None:
    refs = make_cohort(ledger, 4)
    first, last = chunks(refs, 2)
    items = (last.value or {})["items"]
    bad = altered(last, items=items[:1] if wrong == "COUNT_DIFFERS" else [items[0], items[0]])
    assert say(ledger, first, bad, bad) == [None, wrong, wrong]
    assert latest(ledger) == []
    assert asked(ledger) == [("S1", 2, 2)]
    assert say(ledger, last) == [None]
    assert latest(ledger) == [("S1", 1)]


def test_a_refused_statement_can_be_sent_as_the_next_revision_or_under_another_id(ledger: Connection) -> None:
    refs = make_cohort(ledger, 4)
    first, last = chunks(refs, 2, total=9)
    assert say(ledger, first, last) == [None, "COUNT_DIFFERS"]
    assert say(ledger, *chunks(refs, 2, revision=2)) == [None, None]
    assert latest(ledger) == [("S1", 2)]
    assert say(ledger, *chunks(refs, 2, "S2", revision=3)) == [None, None]
    assert latest(ledger) == [("S2", 3)]
    assert asked(ledger) == []


def test_the_complete_revision_stands_until_the_next_is_complete(ledger: Connection) -> None:
    refs = make_cohort(ledger, 6)
    assert say(ledger, *chunks(refs, 2)) == [None, None, None]
    later = chunks(refs[1:], 2, revision=2)
    assert say(ledger, later[1]) == [None]
    assert latest(ledger) == [("S1", 1)]
    assert asked(ledger) == [("S1", 1, 1), ("S1", 3, 3)]
    assert say(ledger, later[2], later[0]) == [None, None]
    assert latest(ledger) == [("S1", 2)]
    assert asked(ledger) == []


def test_chunks_of_a_revision_agree_with_each_other(ledger: Connection) -> None:
    refs = make_cohort(ledger, 4)
    first, last = chunks(refs, 2)
    assert say(ledger, first, altered(last, total=5), last) == [None, "CHUNK_INVALID", None]


def test_a_paused_partner_is_not_asked(ledger: Connection) -> None:
    say(ledger, chunks(make_cohort(ledger, 4), 2)[0])
    ledger.execute("INSERT INTO partner_state (partner, paused_on) VALUES ('HRSS-BJ', %s)", (DAY,))
    assert asked(ledger) == []


def test_an_empty_statement_is_a_chunk_with_total_0(ledger: Connection) -> None:
    assert say(ledger, *chunks([], 2)) == [None]
    assert latest(ledger) == [("S1", 1)]


def test_a_lower_revision_that_comes_late_does_nothing(ledger: Connection) -> None:
    refs = make_cohort(ledger, 4)
    assert say(ledger, *chunks(refs[1:], 2, revision=2)) == [None, None]
    first, last = chunks(refs, 2)
    assert say(ledger, first) == [None]
    assert asked(ledger) == [], "what is overtaken is not asked for"
    assert say(ledger, last) == [None]
    assert latest(ledger) == [("S1", 2)]


def test_a_statement_of_an_earlier_day_that_comes_late_does_not_count(ledger: Connection) -> None:
    refs = make_cohort(ledger, 4)
    before = DAY - timedelta(days=7)
    assert say(ledger, *chunks(refs, 4, "S2")) == [None]
    earlier = chunks(refs[:1], 4, "S1", business_day=before, as_of=instant_on(before, 20))
    assert say(ledger, *earlier) == [None]
    assert latest(ledger) == [("S2", 1)]


# Late statements


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (instant_on(DAY, 20), DAY - timedelta(days=7)),
        (instant_on(DAY, 20, 0, 1), DAY),
        (instant_on(DAY, 23), DAY),
        (instant_on(DAY + timedelta(days=6), 23), DAY),
        (instant_on(DAY + timedelta(days=7), 1), DAY),
    ],
)
def test_a_statement_is_due_on_its_weekday_and_hour_in_shanghai(now: datetime, due: date) -> None:
    assert DAY.weekday() == 4
    assert last_due(4, 20, now) == due


def under_way(connection: Connection) -> list[UUID]:
    """A cohort whose only job is ICBC's."""
    refs = make_cohort(connection, 4)
    connection.execute("UPDATE cohort SET state = 'DISPATCHED'")
    return refs


def look(connection: Connection, day: date) -> list[tuple[str, str]]:
    """The late statements after a look at the end of a day."""
    watch_statements(connection, CITY, end_of(day), day)
    return connection.execute(
        "SELECT reference, actual FROM break WHERE kind = 'STATEMENT_LATE' AND closed_on IS NULL ORDER BY 1"
    ).fetchall()


def told(connection: Connection) -> list[tuple[str, str, date]]:
    """Partner, function and day of the statements asked for as a whole, in order."""
    rows = connection.execute("SELECT body FROM outbox WHERE ce_id LIKE '%/MISSING/%' ORDER BY id").fetchall()
    values = [decode_body("partner_notice", bytes(body)) for (body,) in rows]
    return [(v["partner"], v["function"], v["business_day"]) for v in values]


def test_every_partner_with_cards_under_way_owes_its_statement_and_is_asked_once_a_day(ledger: Connection) -> None:
    under_way(ledger)
    assert look(ledger, DAY - timedelta(days=8)) == [], "the first job was sent on the day before it would be due"
    for day in (DAY, DAY, DAY + timedelta(days=1)):
        assert look(ledger, day) == [("HRSS-BJ/ss", "nothing"), ("ICBC/finance", "nothing")]
    once = [("HRSS-BJ", "ss", DAY), ("ICBC", "finance", DAY)]
    assert told(ledger) == once * 2


def test_nobody_owes_anything_when_no_cohort_is_under_way(ledger: Connection) -> None:
    make_cohort(ledger, 1)
    assert look(ledger, DAY) == []


def test_of_a_statement_in_part_the_chunks_are_asked_for_by_number(ledger: Connection) -> None:
    first, last = chunks(under_way(ledger), 2)
    assert say(ledger, last) == [None]
    assert look(ledger, DAY) == [("HRSS-BJ/ss", "1 of 2 chunks"), ("ICBC/finance", "nothing")]
    assert told(ledger) == [("ICBC", "finance", DAY)]
    assert asked(ledger) == [("S1", 1, 1)]
    assert say(ledger, first) == [None]
    assert look(ledger, DAY) == [("ICBC/finance", "nothing")]


def test_the_clock_of_a_partner_that_is_paused_stands_still(ledger: Connection) -> None:
    under_way(ledger)
    pause_partner(ledger, "HRSS-BJ", "RUN", DAY)
    assert look(ledger, DAY) == [("ICBC/finance", "nothing")]
    resume_partner(ledger, "HRSS-BJ", DAY)
    assert len(look(ledger, DAY)) == 2
    pause_partner(ledger, "HRSS-BJ", "RUN", DAY)
    assert len(look(ledger, DAY + timedelta(days=1))) == 2, "what is open stays open"
    assert ("HRSS-BJ", "ss", DAY) not in told(ledger)[3:], "and is not asked for"


def test_a_statement_that_is_late_twice_is_one_break(ledger: Connection) -> None:
    under_way(ledger)
    look(ledger, DAY)
    look(ledger, DAY + timedelta(days=7))
    rows = ledger.execute(
        "SELECT reference, expected FROM break WHERE kind = 'STATEMENT_LATE' AND reference = 'HRSS-BJ/ss'"
    ).fetchall()
    assert rows == [("HRSS-BJ/ss", f"a statement for {DAY + timedelta(days=7)}")]
