"""Statements: a partner's full list for a day, in chunks; a day counts when every chunk of a revision is there.

A chunk is kept by (partner, statement_id, revision, chunk); one that completes a revision but does not agree with its
count or hash is refused and not kept, so that the chunk sent again, or the next revision, can complete it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from issuance.clock import SHANGHAI, date_of, instant_of, milliseconds
from issuance.ledger.connection import Connection
from issuance.wire.bounds import head_refusal, invalid_items, seconds_ahead
from issuance.wire.consumer import Context, Stage
from issuance.wire.outbox import Outgoing
from issuance.wire.partner_notices import partner_notice
from issuance.wire.refusals import Message, Outcome
from issuance.words.references import hash_total

RECORD = "statement"
COLUMNS = (
    "partner", "statement_id", "chunk", "function", "business_day", "as_of", "revision", "chunks", "total",
    "hash_total", "sha256", "cards", "attempts",
)  # fmt: skip


def apply_statements(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Keep chunks and complete statements; every chunk is answered with APPLIED or refused whole."""
    outcomes: list[Outcome] = []
    answers: list[Outgoing] = []
    for message in messages:
        code, new = _keep_chunk(connection, message, context)
        value = message.value or {}
        outcomes.append(Outcome(message, code, seconds=_seconds(value, context) if code == "TIME_AHEAD" else 0))
        if code is None and new:
            occasion = f"{value['chunk']}/{value['revision']}"
            counts = {"applied": len(value["items"]), "refused": 0}
            answers.append(partner_notice(message.partner or "", "APPLIED", value["statement_id"], counts, occasion))
    return outcomes, answers


STAGE = Stage("statements", "statements", RECORD, apply_statements)


def _keep_chunk(connection: Connection, message: Message, context: Context) -> tuple[str | None, bool]:
    """(refusal code or None, whether the chunk is new)."""
    value: dict[str, Any] = dict(message.value or {})
    if code := refusal_of(value, message.partner or "", context):
        return code, False
    value |= {"business_day": date_of(value["business_day"]), "as_of": instant_of(value["as_of"])}
    cards = [UUID(item["card_ref"]) for item in value["items"]]
    partner = context.registry.partners[value["partner"]]
    sha256 = hashlib.sha256(message.body).digest()
    known = connection.execute(
        "SELECT sha256 FROM statement_chunk WHERE (partner, statement_id, revision, chunk) = (%s, %s, %s, %s)",
        (partner.id, value["statement_id"], value["revision"], value["chunk"]),
    ).fetchone()
    if known:
        return (None, False) if bytes(known[0]) == sha256 else ("ID_REUSED", False)
    if _disagrees(connection, partner.id, value):
        return "CHUNK_INVALID", False
    code = _complete(connection, value, cards, context.day)
    if code is None:
        row = {**value, "sha256": sha256, "cards": cards, "attempts": [item["attempt"] for item in value["items"]]}
        connection.execute(
            f"INSERT INTO statement_chunk ({', '.join(COLUMNS)})"
            f" VALUES ({', '.join(f'%({name})s' for name in COLUMNS)})",
            row,
        )
    return code, code is None


def refusal_of(value: Mapping[str, Any], owner: str, context: Context) -> str | None:
    """The code for which a chunk on the topic of `owner` is refused by what it says alone, or None."""
    partner = context.registry.partners.get(owner)
    rule = context.registry.statements.get(value.get("function", ""))
    if partner is None or value["partner"] != partner.id:
        return "NOT_YOURS"
    if rule is None or rule["partner_kind"] != partner.kind:
        return "NOT_AUTHORISED"
    if code := head_refusal(RECORD, value, milliseconds(context.now)):
        return code
    if invalid_items(RECORD, value["items"]):
        return "FIELD_INVALID"
    if value["chunk"] > value["chunks"]:
        return "CHUNK_INVALID"
    return None if is_of_day(date_of(value["business_day"]), instant_of(value["as_of"])) else "FIELD_INVALID"


def is_of_day(business_day: date, as_of: datetime) -> bool:
    """Whether a statement drawn at `as_of` may speak for a day: its Shanghai day, or before noon the day before."""
    drawn = as_of.astimezone(SHANGHAI)
    days_before = (drawn.date() - business_day).days
    return days_before == 0 or (days_before == 1 and drawn.hour < 12)


def _seconds(value: Mapping[str, Any], context: Context) -> int:
    return seconds_ahead([value["as_of"]], milliseconds(context.now))


def _disagrees(connection: Connection, partner: str, value: dict[str, Any]) -> bool:
    """Whether another chunk of the revision states different totals."""
    row = connection.execute(
        "SELECT FROM statement_chunk WHERE (partner, statement_id, revision) = (%s, %s, %s) AND (function,"
        " business_day, as_of, chunks, total, hash_total) IS DISTINCT FROM (%s, %s, %s, %s, %s, %s) LIMIT 1",
        (partner, *(value[name] for name in (
            "statement_id", "revision", "function", "business_day", "as_of", "chunks", "total", "hash_total"))),
    ).fetchone()  # fmt: skip
    return row is not None


def _complete(connection: Connection, value: dict[str, Any], chunk: list[UUID], day: date) -> str | None:
    """Put the revision in force if this was its last missing chunk; a code if count or hash do not agree."""
    rows = connection.execute(
        "SELECT cards FROM statement_chunk WHERE (partner, statement_id, revision) = (%s, %s, %s)",
        (value["partner"], value["statement_id"], value["revision"]),
    ).fetchall()
    if len(rows) + 1 < value["chunks"]:
        return None
    cards: list[UUID] = [*chunk, *(card for (batch,) in rows for card in batch)]
    if len(cards) != value["total"]:
        return "COUNT_DIFFERS"
    if hash_total(cards) != value["hash_total"]:
        return "HASH_DIFFERS"
    connection.execute(
        "INSERT INTO statement (partner, statement_id, function, business_day, as_of, revision, total, cohorts,"
        " completed_on) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (*(value[name] for name in (
            "partner", "statement_id", "function", "business_day", "as_of", "revision", "total")),
         Jsonb(count_cohorts(connection, cards)), day),
    )  # fmt: skip
    return None


def count_cohorts(connection: Connection, cards: Sequence[UUID]) -> dict[str, int]:
    """How many of these cards each cohort has, by cohort_no; 0 counts those that are not our cards."""
    rows = connection.execute(
        "SELECT coalesce(cohort_no, 0), count(*) FROM unnest(%s::uuid[]) AS card_ref LEFT JOIN card USING (card_ref)"
        " GROUP BY 1 ORDER BY 1",
        (list(cards),),
    ).fetchall()
    return {str(cohort_no): count for cohort_no, count in rows}


def ask_missing_chunks(connection: Connection, day: date) -> list[Outgoing]:
    """Request the missing chunks of incomplete statements by number; an incomplete statement never counts.

    Not requested: what a later revision or statement has superseded, and anything of a paused partner.
    """
    rows = connection.execute(
        """
        SELECT partner, statement_id, revision,
               int4multirange(int4range(1, max(chunks) + 1)) - range_agg(int4range(chunk, chunk + 1)) AS missing
        FROM statement_chunk c WHERE business_day <= %s
          AND NOT EXISTS (SELECT FROM statement s WHERE (s.partner, s.function) = (c.partner, c.function)
                          AND (s.business_day, s.revision, s.as_of) >= (c.business_day, c.revision, c.as_of))
          AND NOT EXISTS (SELECT FROM statement_chunk n WHERE (n.partner, n.statement_id) =
                          (c.partner, c.statement_id) AND n.revision > c.revision)
          AND partner NOT IN (SELECT partner FROM partner_state WHERE paused_on IS NOT NULL)
        GROUP BY partner, statement_id, revision
        """,
        (day,),
    ).fetchall()
    return [
        partner_notice(
            partner,
            "MISSING",
            statement_id,
            {"first": gap.lower, "last": gap.upper - 1},
            f"{revision}/{gap.lower}/{gap.upper - 1}/{day}",
        )
        for partner, statement_id, revision, missing in rows
        for gap in missing
    ]
