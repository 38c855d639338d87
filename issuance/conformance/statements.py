"""Cases for partners that owe statements: banks for finance, HRSS for social security."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.common import CLOCKS_APART
from issuance.conformance.watch import Seen
from issuance.conformance.workbench import Bench
from issuance.reconcile.activation import active_at
from issuance.reconcile.statements import is_of_day
from issuance.words.references import hash_total

STATING = frozenset({"bank", "hrss"})
NONE_CAME = (
    "检查期间未见对账单；可在应报时间前后检查，或让客户端提前出单"
    " / no statement came during the check: run it across the hour at which one is due, or have one sent sooner"
)


def revisions(bench: Bench) -> dict[tuple[str, int], dict[int, Seen]]:
    """The chunks that were seen of each (statement_id, revision), by number."""
    found: defaultdict[tuple[str, int], dict[int, Seen]] = defaultdict(dict)
    for seen in bench.watch.of("statements"):
        if seen.value:
            found[seen.value["statement_id"], seen.value["revision"]][seen.value["chunk"]] = seen
    return dict(found)


def _came(bench: Bench) -> bool:
    return _stated(bench, "first", lambda: revisions(bench))


def _stated(bench: Bench, occasion: str, condition: Callable[[], object]) -> bool:
    """Wait for a statement; after a while it is requested like a late one, though none may be due."""
    if bench.until(condition, bench.patience / 3):
        return True
    kinds = bench.registry.statements.items()
    function = next(name for name, rule in kinds if rule["partner_kind"] == bench.partner.kind)
    bench.notify("MISSING", f"statement/{occasion}", None, function=function, business_day=bench.check.day)
    return bench.until(condition)


def check_whole(bench: Bench) -> Verdicts:
    """Chunks 1 to m agree with each other and with count and hash total; an empty list is one chunk with total 0."""
    if not _came(bench):
        yield NotShown(NONE_CAME)
    for (name, revision), chunks in revisions(bench).items():
        values = [seen.value or {} for _, seen in sorted(chunks.items())]
        whole = {(v["chunks"], v["total"], v["hash_total"], v["as_of"], v["business_day"]) for v in values}
        if len(whole) > 1:
            yield Finding("CHUNK_INVALID", f"{name}.{revision} 各分片不一致 / its chunks disagree")
        elif sorted(chunks) != list(range(1, values[0]["chunks"] + 1)):
            said = ", ".join(map(str, sorted(chunks)))
            yield Finding("CHUNK_MISSING", f"{name}.{revision}: {said} / {values[0]['chunks']}")
        else:
            yield from _agrees(f"{name}.{revision}", values)


def _agrees(name: str, values: list[dict[str, Any]]) -> Verdicts:
    refs = [one["card_ref"] for value in values for one in value["items"]]
    if len(refs) != values[0]["total"]:
        yield Finding(
            "COUNT_DIFFERS", f"{name} 列 {len(refs)}，报 {values[0]['total']} / lists {len(refs)}, states another total"
        )
    if hash_total(refs) != values[0]["hash_total"]:
        yield Finding("HASH_DIFFERS", f"{name} 校验和不符 / its hash_total does not match its items")


def check_drawn(bench: Bench) -> Verdicts:
    """Of the right function, drawn up on its business day, not in the future."""
    if not _came(bench):
        yield NotShown(NONE_CAME)
    functions = {name for name, rule in bench.registry.statements.items() if rule["partner_kind"] == bench.partner.kind}
    for seen in bench.watch.of("statements"):
        value = seen.value
        if value and value["function"] not in functions:
            yield Finding("NOT_AUTHORISED", f"{seen.name} {value['function']}")
        if value and value["as_of"] > seen.at + CLOCKS_APART:
            yield Finding("TIME_AHEAD", f"{seen.name} as_of 在未来 / is in the future")
        if value and not is_of_day(value["business_day"], value["as_of"]):
            yield Finding("DAY_DIFFERS", f"{seen.name} as_of 不在 {value['business_day']} / is not on its business day")


def check_true(bench: Bench) -> Verdicts:
    """The newest statement after something was active lists exactly what the partner itself reported as active."""
    if not _stated(bench, "true", lambda: all(_sides(bench))):
        yield NotShown("对账单之前无启用 / nothing was active before a statement" if revisions(bench) else NONE_CAME)
        return
    bench.until(lambda: _applied(bench) and len(set(map(frozenset, _sides(bench)))) == 1, bench.patience / 2)
    bench.until(lambda: _applied(bench))
    theirs, ours = _sides(bench)
    for ref, attempt in sorted(theirs - ours):
        yield Finding("STATEMENT_UNKNOWN", f"{ref}/{attempt} 列入而未报启用 / is listed and was not reported as active")
    for ref, attempt in sorted(ours - theirs):
        yield Finding("STATEMENT_MISSING", f"{ref}/{attempt} 已报启用而未列 / was reported as active and is not listed")


def _applied(bench: Bench) -> bool:
    """Whether all activations seen have been answered: what a statement lists may still be in transit."""
    answered = {answer["report_id"] for kind in ("APPLIED", "REPORT_REFUSED") for answer in bench.answers(kind)}
    return all((seen.value or {}).get("report_id") in answered for seen in bench.watch.of("activation") if seen.value)


SIDES = """
WITH l AS (SELECT partner, function, statement_id, revision, as_of FROM statement WHERE partner = %s
           ORDER BY business_day DESC, revision DESC, as_of DESC LIMIT 1)
SELECT 'theirs', unnest(cards)::text, unnest(attempts) FROM l
JOIN statement_chunk USING (partner, statement_id, revision)
UNION ALL SELECT 'ours', p.card_ref::text, p.attempt FROM l JOIN plastic p ON """


def _sides(bench: Bench) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Of the check's plastics: what the newest whole statement lists, and what facts say was active at its as_of."""
    function = {"bank": "finance", "hrss": "ss"}[bench.partner.kind]
    rows = bench.rows_of(SIDES + active_at(function), bench.partner.id)
    known = set(bench.plastics())
    theirs, ours = ({(ref, n) for side, ref, n in rows if side == name} & known for name in ("theirs", "ours"))
    return theirs, ours


def check_revised(bench: Bench) -> Verdicts:
    """Revisions count 1, 2, 3 … (from the first that was seen), and of a statement the last whole one stands."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for name, revision in revisions(bench):
        found[name].add(revision)
    revised = {name: numbers for name, numbers in found.items() if max(numbers) > 1}
    if not revised:
        yield NotShown("检查期间无修订 / no statement was revised during the check")
    for name, numbers in revised.items():
        if numbers != set(range(min(numbers), max(numbers) + 1)):
            yield Finding("REVISION_GAP", f"{name}: {', '.join(map(str, sorted(numbers)))}")
        if not _stands(bench, name, max(numbers)):
            yield Finding("NOT_REPLACED", f"{name} 第 {max(numbers)} 次修订未生效 / its last revision does not count")


def _stands(bench: Bench, name: str, revision: int) -> bool:
    query = "SELECT FROM statement WHERE (partner, statement_id, revision) = (%s, %s, %s)"
    return bench.until(lambda: bench.rows_of(query, bench.partner.id, name, revision))


def check_chunk_again(bench: Bench) -> Verdicts:
    """A chunk that is requested again is resent unchanged."""
    if not _came(bench):
        yield NotShown(NONE_CAME)
        return
    (name, revision), chunks = max(revisions(bench).items(), key=lambda entry: entry[1][min(entry[1])].at)
    number, first = min(chunks.items())
    bench.notify("MISSING", f"chunk/{number}", name, first=number, last=number)
    if not bench.until(lambda: _repeats(bench, name, revision, number, first.offset)):
        yield Finding("NOT_SENT_AGAIN", f"{name} 第 {number} 片未重发 / its chunk {number} was not sent again")


def _repeats(bench: Bench, name: str, revision: int, number: int, after: int) -> list[Seen]:
    """The chunk sent after an offset once more, or that of a later revision, which stands for it by now.

    Whether the content is the same is checked by the case `report-ids`.
    """
    return [
        seen
        for seen in bench.watch.of("statements")
        if seen.offset > after
        and seen.value
        and (seen.value["statement_id"], seen.value["chunk"]) == (name, number)
        and seen.value["revision"] >= revision
    ]


CHUNKS = (
    "Statements: chunks 1 to m of one `statement_id` and `revision`, each with the same total and hash_total over all"
    " of them"
)
CASES = (
    Case("statement-whole", STATING, "对账单各分片齐全，件数与校验和一致", CHUNKS, check_whole),
    Case(
        "statement-drawn", STATING, "对账单为本方职能、当日、非未来",
        "A statement speaks for the Shanghai day of its `as_of`.", check_drawn,
    ),
    Case(
        "statement-true", STATING, "对账单与自己报送的启用、注销一致",
        "It lists what was active at `as_of` and activated within 400 days.", check_true,
    ),
    Case(
        "statement-revised", STATING, "修订依次编号，以最后完整的一次为准",
        "A revision counts when all its chunks are there and agree; until then the previous one counts.", check_revised,
    ),
    Case(
        "statement-again", STATING, "被索要的分片按原样重发",
        "What is requested again is sent again unchanged, under the same id.", check_chunk_again,
    ),
)  # fmt: skip
