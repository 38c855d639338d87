"""Cases for every kind of partner that reports: checks of all its messages, and of its answers to repeat requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from issuance.clock import milliseconds
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.persons import telling_values
from issuance.conformance.watch import REPORTS, Seen
from issuance.conformance.workbench import Bench
from issuance.tracking.reports import MOST_ITEMS, check_structure
from issuance.tracking.reports import Reporter as Partner
from issuance.wire.avro import inbound_form
from issuance.wire.codec import FRAME
from issuance.words.codes import REFUSAL_CODES

WRITERS = frozenset({"factory", "bank", "hrss", "carrier", "platform"})
REPORTERS = WRITERS - {"platform"}
CLOCKS_APART = timedelta(seconds=30)
"""How far two synchronised clocks may differ."""
INBOUND = (*sorted(REPORTS), "statements", "holder-events")


def written(bench: Bench) -> list[Seen]:
    """Everything the partner wrote; if nothing, the case is not shown."""
    return bench.watch.of(*INBOUND)


def nothing_written(bench: Bench) -> Iterator[NotShown]:
    """The result if there is nothing to judge."""
    if not written(bench):
        yield NotShown("对方未写任何报文 / the client has written nothing")


def check_frame(bench: Bench) -> Verdicts:
    """Every message decodes with its topic's schema and is keyed as the topic says."""
    yield from nothing_written(bench)
    for seen in written(bench):
        if seen.value is None:
            yield Finding("UNDECODABLE", f"{seen.name} 无法解码 / cannot be decoded")
            continue
        key = str(seen.value[_key_of(seen.family)])
        if (seen.key or b"").decode(errors="replace") != key:
            yield Finding("KEY_DIFFERS", f"{seen.name} 的键不是 {key} / is not keyed by {key}")


def _key_of(family: str) -> str:
    return {"statements": "statement_id", "holder-events": "application_id"}.get(family, "report_id")


def check_taken(bench: Bench) -> Verdicts:
    """Nothing it wrote was refused."""
    yield from nothing_written(bench)
    for answer in bench.answers("PAUSED"):
        if answer["report_id"]:  # the kit's own pause names no report
            yield Finding("PAUSED", f"{answer['report_id']} 之后被暂停 / tripped the limit {answer['code']}")
    for answer in bench.answers("REPORT_REFUSED"):
        yield Finding(answer["code"], f"{answer['report_id']} 整条被拒 / refused whole: {_said(answer['code'])}")
    for answer in bench.answers("ITEM_REFUSED"):
        for refusal in answer["refusals"]:
            place = f"{answer['report_id']}[{refusal['index']}]"
            yield Finding(refusal["code"], f"{place} 被拒 / refused: {_said(refusal['code'])}")


def _said(code: str) -> str:
    return " / ".join(REFUSAL_CODES.get(code, (code, code)))


def check_ids(bench: Bench) -> Verdicts:
    """One id, one content."""
    yield from nothing_written(bench)
    contents: defaultdict[tuple[str, ...], set[bytes]] = defaultdict(set)
    for seen in written(bench):
        if seen.value:
            contents[_identity(seen)].add(seen.raw[FRAME.size :])
    for identity, bodies in contents.items():
        if len(bodies) > 1:
            yield Finding("ID_REUSED", f"{'/'.join(identity)} 有 {len(bodies)} 种内容 / has {len(bodies)} contents")


def _identity(seen: Seen) -> tuple[str, ...]:
    value = seen.value or {}
    if seen.family == "statements":
        return tuple(str(value[name]) for name in ("statement_id", "revision", "chunk"))
    return (str(value["event_id"] if seen.family == "holder-events" else value["report_id"]),)


def check_sequence(bench: Bench) -> Verdicts:
    """Within a stream, sequences follow each other without a gap, each with one report."""
    ids: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for seen in bench.watch.of(*REPORTS):
        if seen.value:
            stream, sequence, name = (seen.value[n] for n in ("stream", "sequence", "report_id"))
            known = ids[stream].setdefault(sequence, name)
            if known != name:
                yield Finding("SEQUENCE_REUSED", f"{stream} 第 {sequence} 号用了两次 / is used for {known} and {name}")
    if not ids:
        yield NotShown("对方未发报告 / the client has sent no card report")
    for stream, known_ids in ids.items():
        missing = sorted(set(range(min(known_ids), max(known_ids) + 1)) - set(known_ids))
        if missing:
            yield Finding("SEQUENCE_GAP", f"{stream} 缺号 / lacks {', '.join(map(str, missing[:20]))}")


def check_batches(bench: Bench) -> Verdicts:
    """At most 1,000 items, declared as they are, their hash total right."""
    reports = [seen for seen in bench.watch.of(*REPORTS) if seen.value]
    if not reports:
        yield NotShown("对方未发报告 / the client has sent no card report")
    for seen in reports:
        value = seen.value or {}
        read, now = inbound_form("card_report", value), milliseconds(seen.at)
        code = check_structure(read, Partner(bench.partner.id, bench.partner.kind), now)
        if code:
            shown = f"{len(value['items'])}/{value['declared_count']}, {MOST_ITEMS}"
            yield Finding(code, f"{seen.name} {_said(code)} ({shown})")


def check_times(bench: Bench) -> Verdicts:
    """Facts happened after what they answer was sent, and before they were reported, and not in the future."""
    told = list(bench.told())
    if not told:
        yield NotShown("对方未发报告 / the client has sent no card report")
    began = bench.notes["began"] - CLOCKS_APART
    ours = set(bench.plastics())
    for one in told:
        written_at = one.report["reported_at"]
        if written_at > one.seen.at + CLOCKS_APART or one.at > written_at + CLOCKS_APART:
            yield Finding("TIME_AHEAD", f"{one.seen.name} {one.item['milestone']} 的时间在未来 / lies in the future")
        if one.plastic in ours and one.at < began:
            yield Finding(
                "BEFORE_ORDER", f"{one.seen.name} {one.item['milestone']} 早于下单 / lies before it could happen"
            )


def check_persons(bench: Bench) -> Verdicts:
    """None of its bytes contain a value of the check's people."""
    yield from nothing_written(bench)
    values = [value for row in bench.rows for value in telling_values(row)]
    forms = [value.encode(coding) for value in values for coding in ("utf-8", "gb18030", "utf-16-le")]
    for seen in written(bench):
        if any(form in seen.everything for form in forms):
            yield Finding("PERSONAL_DATA", f"{seen.name} 含个人信息 / contains personal data of a holder")


def check_missing(bench: Bench) -> Verdicts:
    """A sequence that is requested again is resent unchanged."""
    reports = [seen for seen in bench.watch.of(*REPORTS) if seen.value]
    if not reports:
        yield NotShown("对方未发报告，无从再索 / the client has sent no card report to ask for")
        return
    asked = reports[0]
    value = asked.value or {}
    about = {"stream": value["stream"], "first": value["sequence"], "last": value["sequence"]}
    bench.notify("MISSING", "sequence", None, **about)
    if not bench.until(lambda: _again(bench, asked)):
        yield Finding("NOT_SENT_AGAIN", f"{asked.name} 被再次索要而未重发 / was requested and not sent again")
    for again in _again(bench, asked):
        if again.raw[FRAME.size :] != asked.raw[FRAME.size :]:
            yield Finding("ID_REUSED", f"{again.name} 重发内容不同 / was sent again with other content")


def _again(bench: Bench, asked: Seen) -> list[Seen]:
    name = (asked.value or {})["report_id"]
    return [
        seen
        for seen in bench.watch.of(asked.family)
        if seen.offset > asked.offset and seen.value and seen.value["report_id"] == name
    ]


def distinct(values: list[Any]) -> int:
    """How many different values there are, of any kind."""
    return len({repr(value) for value in values})


ASKED = (
    Case(
        "missing",
        REPORTERS,
        "被再次索要的报告按原样重发",
        "What is requested again is sent again unchanged, under the same id.",
        check_missing,
    ),
)
"""After the kind's own cases, when there is something to ask for."""

ALWAYS = (
    Case(
        "frame",
        WRITERS,
        "报文按注册的模式编码，键与主题约定一致",
        "Values are framed as by Confluent (a zero byte, the schema's id in four bytes, the Avro body)",
        check_frame,
    ),
    Case(
        "report-ids",
        WRITERS,
        "一个编号只有一种内容",
        "`report_id` is its identity: the same content again does nothing, other content under it is refused",
        check_ids,
    ),
    Case(
        "sequence",
        REPORTERS,
        "流内序号连续，无缺口",
        "`sequence` counts 1, 2, 3 … within `stream`; a gap is requested.",
        check_sequence,
    ),
    Case(
        "batches",
        REPORTERS,
        "每条至多一千项，件数与校验和如实",
        "A CardReport carries up to 1,000 items.",
        check_batches,
    ),
    Case("times", REPORTERS, "发生时间与报送时间合理", "`occurred_at` is when it happened", check_times),
    Case(
        "no-personal-data",
        WRITERS,
        "报文不含任何个人信息",
        "Nothing that you write may contain personal data: no name, number, phone or address, in any field.",
        check_persons,
    ),
    Case(
        "taken",
        WRITERS,
        "报文全部被采用，无一被拒",
        "A message is refused whole if its structure is broken",
        check_taken,
    ),
)
"""At the end: checks of all that was written."""
