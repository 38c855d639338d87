"""The facts of a transaction in the temporary table `staged`, written as the rows of a binary COPY.

Most of a row is the same in all facts of its kind, so that is encoded once and not value by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from issuance.ledger.connection import Connection
from issuance.tracking.reports import Kind, StagedFact

STAGED = """
CREATE TEMP TABLE IF NOT EXISTS staged (
    card_ref uuid, item int NOT NULL, mark text COLLATE "C" NOT NULL,
    report int NOT NULL, partner text NOT NULL, relation text NOT NULL, subject text NOT NULL, job_id text,
    attempt smallint, consignment_id text COLLATE "C", milestone text NOT NULL, corrects boolean NOT NULL
) ON COMMIT DELETE ROWS
"""
BEGIN, END = b"PGCOPY\n\xff\r\n" + bytes(9), b"\xff\xff"
"""What stands before and behind the rows (PostgreSQL: COPY, Binary Format)."""
FIELDS = 12
OF_CARD, OF_NONE, TEXT = Struct(">hi16siii"), Struct(">hiiii"), Struct(">i")
"""How a row begins: its fields' number, card_ref, item and the length of its mark, each value behind its length."""
INT, SMALLINT, BOOLEAN = Struct(">ii"), Struct(">ih"), Struct(">i?")
NULL = TEXT.pack(-1)


def stage(connection: Connection, facts: Sequence[StagedFact]) -> list[Kind]:
    """Put facts into the temporary table `staged`, in the order of their keys: rows and indexes are met much faster.
    Returns their kinds."""
    kinds = {id(fact.kind): fact.kind for fact in facts}
    ends = {known: _end(kind) for known, kind in kinds.items()}
    rows = (_row(fact, ends[id(fact.kind)]) for fact in sorted(facts, key=_by_card))
    connection.execute(STAGED)
    connection.execute("TRUNCATE staged")
    with connection.cursor().copy("COPY staged FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"".join((BEGIN, *rows, END)))
    return list(kinds.values())


def _by_card(fact: StagedFact) -> bytes:
    return fact.card_ref or b""


def _row(fact: StagedFact, end: bytes) -> bytes:
    _, item, card_ref, mark = fact
    text = mark.encode()
    if card_ref is None:
        return OF_NONE.pack(FIELDS, -1, 4, item, len(text)) + text + end
    return OF_CARD.pack(FIELDS, 16, card_ref, 4, item, len(text)) + text + end


def _end(kind: Kind) -> bytes:
    """What the rows of a kind have in common: the columns of `Kind`, in its order."""
    return b"".join(
        (
            INT.pack(4, kind.report),
            *map(_text, (kind.partner, kind.relation, kind.subject, kind.job_id)),
            NULL if kind.attempt is None else SMALLINT.pack(2, kind.attempt),
            *map(_text, (kind.consignment_id, kind.milestone)),
            BOOLEAN.pack(1, kind.corrects),
        )
    )


def _text(value: str | None) -> bytes:
    if value is None:
        return NULL
    text = value.encode()
    return TEXT.pack(len(text)) + text
