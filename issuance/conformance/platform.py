"""Cases for platforms (and what notifiers can show): holder events, and values that open with our key."""

from __future__ import annotations

import json
from typing import Any

from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.watch import Seen
from issuance.conformance.workbench import Bench
from issuance.errors import Broken
from issuance.vault.envelopes import open_sealed
from issuance.vault.keys import KeyService
from issuance.words.codes import HOLDER_EVENTS

PLATFORM = frozenset({"platform"})
WISHES = (Wish("applications"), Wish("applications", "mail"))
NONE_CAME = "检查期间无持卡人事件 / no holder event about the check's applications arrived"


def prepare(bench: Bench) -> None:
    """Write a slip with the applications that the platform has received."""
    names = [bench.check.application(n) for n in range(len(bench.wishes))]
    bench.box.lay(f"{bench.check.cohort_id}", "applications", cohort_id=bench.check.cohort_id, application_ids=names)


def events(bench: Bench) -> list[Seen]:
    """Its holder events about applications of the check."""
    refs = {ref for ref, _ in bench.plastics()}
    ours = bench.check.cohort_id
    return [
        seen
        for seen in bench.watch.of("holder-events")
        if seen.value and (seen.value["cohort_id"] == ours or seen.value["card_ref"] in refs)
    ]


def check_events(bench: Bench) -> Verdicts:
    """Events name a card of ours and are applied."""
    if not bench.until(lambda: events(bench)):
        yield NotShown(NONE_CAME)
        return
    for seen in events(bench):
        value: dict[str, Any] = seen.value or {}
        if value["event"] not in HOLDER_EVENTS:
            yield Finding("EVENT_UNKNOWN", f"{seen.name} {value['event']}")
        if not _answered(bench, value["event_id"]):
            yield Finding("NOT_ANSWERED", f"{seen.name} 未被采用 / was not applied")


def _answered(bench: Bench, event_id: str) -> bool:
    def answers() -> bool:
        answered = (*bench.answers("APPLIED"), *bench.answers("REPORT_REFUSED"))
        return any(answer["report_id"] == event_id for answer in answered)

    return bench.until(answers)


def check_sealed(bench: Bench) -> Verdicts:
    """New values are a JWE to our key around a JSON object of texts; events without values carry none."""
    bench.until(lambda: any((seen.value or {})["sealed"] for seen in events(bench)))
    for seen in events(bench):
        value: dict[str, Any] = seen.value or {}
        needs = HOLDER_EVENTS[value["event"]].needs if value["event"] in HOLDER_EVENTS else ()
        if value["sealed"]:
            yield from _opens(bench, seen, value["sealed"], needs)
        elif needs:
            yield Finding("FIELD_MISSING", f"{seen.name} 缺少密封内容 / lacks its sealed values")
    if not any((seen.value or {})["sealed"] for seen in events(bench)):
        yield NotShown("无带新值的事件 / no event with new values arrived")


def _opens(bench: Bench, seen: Seen, sealed: str, needs: tuple[str, ...]) -> Verdicts:
    try:
        values = json.loads(open_sealed(KeyService(bench.settings.keys_dir).opening_key(), sealed))
    except (Broken, ValueError):
        yield Finding("SEALED_UNREADABLE", f"{seen.name} 密封内容无法打开 / its sealed values do not open")
        return
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        yield Finding("SEALED_UNREADABLE", f"{seen.name} 密封内容不是文本对象 / is not a JSON object of texts")
    elif lacking := sorted(set(needs) - set(values)):
        yield Finding("FIELD_MISSING", f"{seen.name} 缺少 / lacks {', '.join(lacking)}")


CASES = (
    Case(
        "holder-events", PLATFORM, "持卡人事件指向我方的申请并被采用",
        "HRSS and platforms write them on holder-events.", check_events,
    ),
    Case(
        "sealed-values", PLATFORM, "新值以我方公钥密封，可打开",
        "New values are sealed: a compact JWE to our key", check_sealed,
    ),
)  # fmt: skip
