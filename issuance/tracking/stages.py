"""The stages behind the four topics of card reports: structure, inbox, merge, and the partner's sequence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from issuance.ledger.connection import Connection
from issuance.tracking.merge import SoundReport, merge_reports
from issuance.tracking.reports import Reporter, check_structure
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context, Stage
from issuance.wire.outbox import Outgoing
from issuance.wire.refusals import Message, Outcome


def apply_reports(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Merge a poll of card reports; idempotent; other content under a known report_id is refused."""
    reports = [_sound(message, context) for message in messages]
    known = _known(connection, [report for report in reports if isinstance(report, SoundReport)])
    fresh: list[SoundReport] = []
    verdicts: list[str | SoundReport | None] = []
    for report in reports:
        verdict = report if isinstance(report, str) else _against_inbox(report, known)
        if isinstance(verdict, SoundReport):
            known[verdict.reporter.id, verdict.value["report_id"]] = verdict.sha256
            fresh.append(verdict)
        verdicts.append(verdict)
    merged = merge_reports(connection, fresh, context.registry, context.now, context.day)
    _note_sequences(connection, [report for report in reports if isinstance(report, SoundReport)])
    refused = {id(report): len(merged.refused[position]) for position, report in enumerate(fresh)}
    outcomes = [
        Outcome(m, refusal=v if isinstance(v, str) else None, items=_size(m), refused=refused.get(id(v), 0))
        for m, v in zip(messages, verdicts, strict=True)
    ]
    return outcomes, merged.answers


PRODUCTION = Stage("production", "production", "card_report", apply_reports)
MAIL = Stage("mail", "mail", "card_report", apply_reports)
COLLECTION = Stage("collection", "collection", "card_report", apply_reports)
ACTIVATION = Stage("activation", "activation", "card_report", apply_reports)


def _sound(message: Message, context: Context) -> SoundReport | str:
    """The report with its reporter, or the code for which its structure is refused."""
    partner = context.registry.partners.get(message.partner or "")
    if partner is None or message.value is None:
        return "NOT_YOURS"
    reporter = Reporter(partner.id, partner.kind)
    value: dict[str, Any] = dict(message.value)
    code = check_structure(value, reporter)
    if code:
        return code
    body = hashlib.sha256(message.raw[FRAME.size :]).digest()
    return SoundReport(value, reporter, body, message.topic, message.partition, message.offset)


def _known(connection: Connection, reports: Sequence[SoundReport]) -> dict[tuple[str, str], bytes]:
    """What the inbox holds under these reports' identities."""
    rows = connection.execute(
        "SELECT partner, report_id, sha256 FROM report JOIN unnest(%s::text[], %s::text[])"
        " AS asked (partner, report_id)"
        " USING (partner, report_id)",
        ([report.reporter.id for report in reports], [report.value["report_id"] for report in reports]),
    )
    return {(partner, report_id): bytes(sha256) for partner, report_id, sha256 in rows}


def _against_inbox(report: SoundReport, known: dict[tuple[str, str], bytes]) -> SoundReport | str | None:
    """The report itself if it is new, None if it is a repeat, a code if its id is known with other content."""
    applied = known.get((report.reporter.id, report.value["report_id"]))
    if applied is None:
        return report
    return None if applied == report.sha256 else "ID_REUSED"


def _size(message: Message) -> int:
    return len(message.value["items"]) if message.value else 1


def _note_sequences(connection: Connection, reports: Sequence[SoundReport]) -> None:
    """Record which sequences of each stream were seen; the clocks request the gaps."""
    rows = sorted((r.reporter.id, r.value["stream"], r.value["sequence"]) for r in reports)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO partner_stream (partner, stream, seen)"
            " VALUES (%s, %s, int8multirange(int8range(%s::bigint, %s::bigint + 1)))"
            " ON CONFLICT (partner, stream) DO UPDATE SET seen = partner_stream.seen + excluded.seen",
            [(partner, stream, sequence, sequence) for partner, stream, sequence in rows],
        )
