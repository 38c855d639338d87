"""Cases for carriers: letters by their numbers alone, posted, and delivered or returned."""

from __future__ import annotations

import secrets

from issuance.conformance import hands
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.roles import item
from issuance.conformance.workbench import Bench, Told
from issuance.words.lifecycle import ACTIONS, REASONS

CARRIER = frozenset({"carrier"})
WISHES = (Wish("letters", "mail"), Wish("letters", "mail"), Wish("letters", "mail"))
ENDS = ("DELIVERED", "RETURNED", "LOST")


def prepare(bench: Bench) -> None:
    """Have letters made and handed to the carrier; the slip lists their numbers, as on the covers."""
    plastics = bench.plastics()
    hands.order(bench, "letters")
    hands.make(bench, plastics)
    numbers = [f"{bench.partner.id[:2]}{secrets.randbelow(10**13):013d}" for _ in plastics]
    bench.notes["numbers"] = numbers
    items = [item("HANDED_OVER", one, tracking_no=number) for one, number in zip(plastics, numbers, strict=True)]
    bench.role(bench.check.factory).report("production", items, to_place=bench.partner.id)
    bench.box.lay(f"{bench.check.cohort_id}-letters", "letters", tracking_nos=numbers)


def _told(bench: Bench, *milestones: str) -> list[Told]:
    numbers = set(bench.notes["numbers"])
    return [one for one in bench.told(*milestones) if one.item["tracking_no"] in numbers]


def check_posted(bench: Bench) -> Verdicts:
    """Every letter is reported as posted, by its number."""
    numbers = set(bench.notes["numbers"])
    bench.until(lambda: {one.item["tracking_no"] for one in _told(bench, "POSTED")} >= numbers)
    for number in sorted(numbers - {one.item["tracking_no"] for one in _told(bench, "POSTED")}):
        yield Finding("NOT_POSTED", f"{number} 未报交寄 / is not reported as posted")


def check_ended(bench: Bench) -> Verdicts:
    """Every letter has one final event."""
    numbers = set(bench.notes["numbers"])
    if not bench.until(lambda: {one.item["tracking_no"] for one in _told(bench, *ENDS)} >= numbers):
        yield NotShown("检查期间邮件未到终点 / a letter had no final event during the check")
    for number in sorted(numbers):
        ends = {one.item["milestone"] for one in _told(bench, *ENDS) if one.item["tracking_no"] == number}
        if len(ends) > 1 and ends != {"LOST", "RETURNED"}:
            yield Finding("TWO_ENDS", f"{number}: {', '.join(sorted(ends))}")


def check_numbers(bench: Bench) -> Verdicts:
    """A carrier knows numbers only: none of its items names a card."""
    told = list(bench.told())
    if not told:
        yield NotShown("对方未发报告 / the client has sent no report")
    for one in told:
        if one.item["card_ref"] is not None or not one.item["tracking_no"]:
            yield Finding("CARD_NAMED", f"{one.seen.name} {one.item['milestone']} 应只有邮件号 / names a card")


def check_reasons(bench: Bench) -> Verdicts:
    """Failed and returned letters have a reason code of the contract."""
    for one in _told(bench, "DELIVERY_FAILED", "RETURNED"):
        action = one.item["action"]
        if one.item["reason"] not in REASONS or (one.item["milestone"] == "DELIVERY_FAILED" and action not in ACTIONS):
            yield Finding("REASON_UNKNOWN", f"{one.seen.name} {one.item['reason']} {action or ''}")
    if not _told(bench, "DELIVERY_FAILED", "RETURNED"):
        yield NotShown("无投递失败或退件 / nothing failed or was returned")


FIELDS = "Which milestone you may report, about what, and the fields it needs"
NUMBERS = "A carrier's items name a tracking number and no card_ref."
CASES = (
    Case("posted", CARRIER, "每件邮件按邮件号报送交寄", NUMBERS, check_posted),
    Case("ended", CARRIER, "每件邮件至多一个终点", FIELDS, check_ended),
    Case("numbers-only", CARRIER, "报告只用邮件号，不含卡编号", NUMBERS, check_numbers),
    Case("reasons", CARRIER, "未妥投和退件有约定的原因与动作", FIELDS, check_reasons),
)
