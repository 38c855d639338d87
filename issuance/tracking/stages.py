"""The stages behind the four topics of card reports: structure, inbox, merge, and the partner's sequence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from issuance.clock import milliseconds
from issuance.ledger.connection import Connection
from issuance.tracking.merge import SoundReport, merge_reports
from issuance.tracking.reports import RECORD, ItemRefusal, Reporter, check_structure, instants
from issuance.wire.bounds import invalid_items, seconds_ahead
from issuance.wire.consumer import Context, Stage
from issuance.wire.outbox import Outgoing
from issuance.wire.refusals import NOT_COUNTED, Message, Outcome


def apply_reports(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Merge a batch of card reports; idempotent; other content under a known report_id is refused."""
    now = milliseconds(context.now)
    reports = note_givers(connection, [_sound(message, context, now) for message in messages])
    known = _known(connection, [report for report in reports if isinstance(report, SoundReport)])
    fresh: list[SoundReport] = []
    verdicts: list[str | SoundReport | None] = []
    for report in reports:
        verdict = report if isinstance(report, str) else _against_inbox(report, known)
        if isinstance(verdict, SoundReport):
            known[verdict.reporter.id, verdict.value["report_id"]] = verdict.sha256
            fresh.append(verdict)
        verdicts.append(verdict)
    merged = merge_reports(connection, fresh, context.registry, now, context.day)
    _note_sequences(connection, [_sequence(m) for m, r in zip(messages, reports, strict=True) if _is_seen(r)])
    counted = {id(report): _counted(report, merged.refused[n]) for n, report in enumerate(fresh)}
    outcomes = [_outcome(m, v, counted.get(id(v), (_size(m), 0)), now) for m, v in zip(messages, verdicts, strict=True)]
    return outcomes, merged.answers


def _outcome(message: Message, verdict: str | SoundReport | None, counted: tuple[int, int], now: int) -> Outcome:
    if not isinstance(verdict, str):
        return Outcome(message, None, *counted)
    ahead = seconds_ahead(instants(message.value or {}), now) if verdict == "TIME_AHEAD" else 0
    return Outcome(message, verdict, _size(message), 0, ahead)


def _counted(report: SoundReport, refusals: Sequence[ItemRefusal]) -> tuple[int, int]:
    """(items, refused ones) that count towards a pause: other people's cards don't."""
    foreign = sum(refusal.code in NOT_COUNTED for refusal in refusals)
    return len(report.value["items"]) - foreign, len(refusals) - foreign


PRODUCTION = Stage("production", "production", "card_report", apply_reports)
MAIL = Stage("mail", "mail", "card_report", apply_reports)
COLLECTION = Stage("collection", "collection", "card_report", apply_reports)
ACTIVATION = Stage("activation", "activation", "card_report", apply_reports)


def _sound(message: Message, context: Context, now: int) -> SoundReport | str:
    """The report with its reporter, or the code for which its structure is refused."""
    partner = context.registry.partners.get(message.partner or "")
    if partner is None or message.value is None:
        return "NOT_YOURS"
    reporter = Reporter(partner.id, partner.kind)
    value: dict[str, Any] = dict(message.value)
    code = check_structure(value, reporter, now)
    if code:
        return code
    body = hashlib.sha256(message.body).digest()
    return SoundReport(value, reporter, body, message.topic, message.partition, message.offset)


def note_givers(connection: Connection, reports: Sequence[SoundReport | str]) -> list[SoundReport | str]:
    """The reports, each receipt of a hand-over with its giver: as it says, else the factory of its plastics' plan.

    One whose plastics come from two factories, or from its own reporter, is HANDOVER_GIVER_NEEDED.
    """
    asking = [r for r in reports if isinstance(r, SoundReport) and _receives(r) and not r.value["handover_giver"]]
    if not asking:
        return list(reports)
    factory = _factories(connection, sorted({plastic for report in asking for plastic in _plastics(report)}))
    needed = {id(report) for report in asking}
    return [_with_giver(r, factory) if isinstance(r, SoundReport) and id(r) in needed else r for r in reports]


def _receives(report: SoundReport) -> bool:
    value = report.value
    return bool(value["handover_id"]) and any(item["milestone"] == "RECEIVED_AT_PLACE" for item in value["items"])


def _plastics(report: SoundReport) -> Iterator[tuple[str, int]]:
    """The plastics that a report receives, as it writes them, as far as they are within their bounds."""
    invalid = invalid_items(RECORD, report.value["items"])
    for number, item in enumerate(report.value["items"]):
        named = item["card_ref"] is not None and item["attempt"] is not None
        if named and item["milestone"] == "RECEIVED_AT_PLACE" and number not in invalid:
            yield item["card_ref"], item["attempt"]


def _factories(connection: Connection, plastics: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The factory of each plastic's plan, by (card_ref, attempt) as asked; unknown ones are left out."""
    rows = connection.execute(
        "SELECT asked.ref, asked.attempt, p.factory FROM unnest(%s::text[], %s::int[]) AS asked (ref, attempt)"
        " JOIN plastic p ON (p.card_ref, p.attempt) = (asked.ref::uuid, asked.attempt::smallint)"
        " WHERE p.factory IS NOT NULL",
        ([ref for ref, _ in plastics], [attempt for _, attempt in plastics]),
    )
    return {(ref, attempt): factory for ref, attempt, factory in rows}


def _with_giver(report: SoundReport, factory: Mapping[tuple[str, int], str]) -> SoundReport | str:
    givers = {factory[plastic] for plastic in _plastics(report) if plastic in factory}
    if len(givers) > 1 or givers == {report.reporter.id}:
        return "HANDOVER_GIVER_NEEDED"
    # without a factory none of the plastics is known, and each item is refused
    report.value["handover_giver"] = givers.pop() if givers else report.reporter.id
    return report


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


def _is_seen(verdict: SoundReport | str) -> bool:
    """Whether a report's sequence counts as seen: of a sound one, and of one that has only come too early."""
    return verdict == "TIME_AHEAD" or isinstance(verdict, SoundReport)


def _sequence(message: Message) -> tuple[str, str, int]:
    value = message.value or {}
    return str(message.partner), value["stream"], value["sequence"]


def _note_sequences(connection: Connection, sequences: Sequence[tuple[str, str, int]]) -> None:
    """Record which sequences of each stream were seen; the clocks request the gaps. One statement, in key order."""
    connection.execute(
        "INSERT INTO partner_stream AS p (partner, stream, seen)"
        " SELECT partner, stream, range_agg(int8range(sequence, sequence + 1))"
        " FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS came (partner, stream, sequence)"
        " GROUP BY 1, 2 ORDER BY 1, 2"
        " ON CONFLICT (partner, stream) DO UPDATE SET seen = p.seen + excluded.seen",
        [[row[column] for row in sequences] for column in range(3)],
    )
