"""Cases for factories: valid and corrupted orders, repeated, cancelled, sealed to a new key; and what is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.common import distinct
from issuance.conformance.factory_hands import asked, until
from issuance.conformance.workbench import Bench, Told
from issuance.words.lifecycle import REASONS

FACTORY = frozenset({"factory"})
GOOD = ("plain", "twice", "resent")
SINGLE = ("JOB_RECEIVED", "JOB_ACCEPTED", "JOB_REFUSED", "ITEM_ACCEPTED", "MADE", "BANK_KEYED", "SPOILED")


def awaited(bench: Bench, order: str, *milestones: str) -> bool:
    """Whether the client reports one of these milestones of a job within the patience."""
    return until(bench, lambda: bench.of_job(order, *milestones))


def check_receipt(bench: Bench) -> Verdicts:
    """The receipt states the file's count, total and hash."""
    for order in GOOD:
        job, (file,) = bench.orders.job(order), _files(bench, order)
        if not awaited(bench, order, "JOB_RECEIVED"):
            yield Finding("NO_RECEIPT", f"{job.job_id} 未回执 / has no JOB_RECEIVED")
            continue
        said = bench.of_job(order, "JOB_RECEIVED")[0].report
        for name, right in (("card_count", job.card_count), ("hash_total", job.hash_total), ("sha256", file)):
            if said[name] != right:
                yield Finding("RECEIPT_DIFFERS", f"{job.job_id} {name}: {said[name]}，应为 / instead of {right}")


def _files(bench: Bench, order: str) -> list[str]:
    query = "SELECT sha256 FROM sealed_job WHERE job_id = %s"
    return [sha256 for (sha256,) in bench.rows_of(query, bench.check.job_id(order))]


def check_answer(bench: Bench) -> Verdicts:
    """Every valid order is accepted, or refused with a reason of the contract; not both."""
    for order in GOOD:
        job_id = bench.check.job_id(order)
        if not awaited(bench, order, "JOB_ACCEPTED", "JOB_REFUSED"):
            yield Finding("NO_ANSWER", f"{job_id} 未答复 / is neither accepted nor refused")
            continue
        said = {one.item["milestone"] for one in bench.of_job(order, "JOB_ACCEPTED", "JOB_REFUSED")}
        if len(said) > 1:
            yield Finding("TWO_ANSWERS", f"{job_id} 既受理又拒绝 / is accepted and refused")
        for one in bench.of_job(order, "JOB_REFUSED"):
            if one.item["reason"] not in REASONS:
                yield Finding("REASON_UNKNOWN", f"{job_id}: {one.item['reason']}")


def accepted(bench: Bench, order: str) -> bool:
    """Whether the client accepts an order within the patience; it may refuse single plastics."""
    return awaited(bench, order, "JOB_ACCEPTED")


def check_made(bench: Bench) -> Verdicts:
    """Every plastic that is accepted is made, spoiled with a reason, or refused with one."""
    if not accepted(bench, "plain"):
        yield NotShown("任务未被受理 / the plain order was not accepted")
        return
    plastics = bench.plastics("plain")
    ends = ("MADE", "SPOILED", "ITEM_REFUSED")
    until(bench, lambda: {one.plastic for one in bench.of_plastics(plastics, *ends)} >= set(plastics))
    ended = bench.of_plastics(plastics, *ends)
    for card_ref, attempt in sorted(set(plastics) - {one.plastic for one in ended}):
        yield Finding("NOT_MADE", f"{card_ref}/{attempt} 已受理而未制 / accepted, but neither made nor refused")
    for one in ended:
        if one.item["milestone"] != "MADE" and one.item["reason"] not in REASONS:
            yield Finding("REASON_UNKNOWN", f"{one.seen.name} {one.item['reason']}")


def check_handed_over(bench: Bench) -> Verdicts:
    """What is made is handed over under a signed count that is right, or by mail under a carrier's number."""
    plastics = [one.plastic for one in bench.of_plastics(bench.plastics("plain"), "MADE")]
    if not plastics:
        yield NotShown("未制卡 / nothing was made")
        return
    until(bench, lambda: {one.plastic for one in bench.of_plastics(plastics, "HANDED_OVER")} >= set(plastics))
    for card_ref, attempt in sorted(set(plastics) - {o.plastic for o in bench.of_plastics(plastics, "HANDED_OVER")}):
        yield Finding("NOT_HANDED_OVER", f"{card_ref}/{attempt} 制成未交接 / made, but not handed over")
    yield from _counts(bench)


def _counts(bench: Bench) -> Verdicts:
    """Compare each signed count with what is listed under its hand-over id."""
    bundles: defaultdict[str, list[Told]] = defaultdict(list)
    for one in bench.of_plastics(bench.plastics(), "HANDED_OVER"):
        if one.report["handover_id"]:
            bundles[one.report["handover_id"]].append(one)
        elif one.report["to_place"] not in {carrier.id for carrier in bench.registry.of_kind("carrier")}:
            yield Finding("CARRIER_UNKNOWN", f"{one.seen.name} to_place {one.report['to_place']}")
    for handover_id, listed in bundles.items():
        count, said = len({one.plastic for one in listed}), {one.report["handover_count"] for one in listed}
        if said != {count}:
            shown = ", ".join(map(str, sorted(said, key=str)))
            yield Finding("COUNT_DIFFERS", f"{handover_id}: 签 {shown}，列 {count} / signed {shown}, listed {count}")


def check_once(order: str) -> Callable[[Bench], Verdicts]:
    """A case: an order that came again was answered once and made once."""

    def check(bench: Bench) -> Verdicts:
        if not accepted(bench, order):
            yield NotShown("任务未被受理 / the order was not accepted")
            return
        plastics = bench.plastics(order)
        until(bench, lambda: bench.of_plastics(plastics, "HANDED_OVER", "SPOILED", "ITEM_REFUSED"))
        yield from _twice(bench.of_job(order, *SINGLE), bench.check.job_id(order))
        for plastic in plastics:
            yield from _twice(bench.of_plastics([plastic], *SINGLE), "/".join(map(str, plastic)))
            trips = distinct([one.report["handover_id"] or one.item["tracking_no"]
                              for one in bench.of_plastics([plastic], "HANDED_OVER")])  # fmt: skip
            if trips > 1:
                yield Finding(
                    "MADE_TWICE", f"{plastic[0]}/{plastic[1]} 交接 {trips} 次 / was handed over {trips} times"
                )

    return check


def _twice(told: Sequence[Told], subject: str) -> Verdicts:
    """A non-repeatable milestone has one value, however often it was reported."""
    for milestone in SINGLE:
        values = [(o.at, o.item["reason"], o.item["serial"]) for o in told if o.item["milestone"] == milestone]
        if distinct(values) > 1:
            yield Finding(
                "MADE_TWICE", f"{subject} {milestone} 有 {distinct(values)} 个值 / has {distinct(values)} values"
            )


def check_cancelled(order: str) -> Callable[[Bench], Verdicts]:
    """A case: a cancelled job is not accepted and nothing of it is made."""

    def check(bench: Bench) -> Verdicts:
        # Once a later order is made, this one would have been made too.
        if not until(bench, lambda: bench.of_plastics(bench.plastics("plain"), "MADE")):
            until(bench, lambda: bench.of_job(order, "JOB_ACCEPTED", "JOB_REFUSED"))
        job_id = bench.check.job_id(order)
        for one in bench.of_job(order, "JOB_ACCEPTED"):
            yield Finding("CANCEL_IGNORED", f"{one.seen.name} {job_id} 取消后受理 / accepted although cancelled")
        for one in bench.of_plastics(bench.plastics(order), "MADE", "HANDED_OVER"):
            name = one.item["milestone"]
            yield Finding("CANCEL_IGNORED", f"{one.seen.name} {name} 取消后仍制 / although the job is cancelled")

    return check


def check_cancel_plastic(bench: Bench) -> Verdicts:
    """A plastic whose cancellation is requested before acceptance is refused as CANCELLED; later it may be made."""
    plastic = bench.plastics("plastic")[0]
    if not bench.until(lambda: asked(bench, "CANCEL", plastic)):
        yield NotShown("未能提出取消 / no CANCEL could be requested: see `issuance stack logs`")
        return
    request = asked(bench, "CANCEL", plastic)[0]
    ends = ("ITEM_REFUSED", "MADE", "SPOILED")
    job = "plastic"
    if not until(bench, lambda: bench.of_plastics([plastic], *ends) or bench.of_job(job, "JOB_REFUSED")):
        yield Finding("UNANSWERED", f"CANCEL {plastic[0]}/{plastic[1]} 未答复 / is not answered")
        return
    taken = [one.seen.at for one in bench.of_job(job, "JOB_ACCEPTED")]
    refused = bench.of_plastics([plastic], "ITEM_REFUSED")
    if refused and refused[0].item["reason"] != "CANCELLED":
        yield Finding(
            "REASON_DIFFERS", f"{refused[0].seen.name} {refused[0].item['reason']}，应为 / instead of CANCELLED"
        )
    if bench.of_plastics([plastic], "MADE") and not (taken and taken[0] < request.at):
        yield Finding("CANCEL_IGNORED", f"{plastic[0]}/{plastic[1]} 受理前已取消仍制 / was cancelled before, but made")
    elif bench.of_plastics([plastic], "MADE"):
        yield NotShown("受理早于取消 / it was accepted before CANCEL was requested")


def check_bent(order: str) -> Callable[[Bench], Verdicts]:
    """A case: a corrupted file is refused as a whole, never accepted, and nothing of it is made."""

    def check(bench: Bench) -> Verdicts:
        answers = ("JOB_ACCEPTED", "JOB_REFUSED")
        plastics, job_id = bench.plastics(order), bench.check.job_id(order)
        if not until(bench, lambda: bench.of_job(order, *answers) or bench.of_plastics(plastics)):
            yield Finding("NO_ANSWER", f"{job_id} 未答复 / is not refused")
        for one in bench.of_job(order, "JOB_ACCEPTED"):
            yield Finding("NOT_CHECKED", f"{one.seen.name} 受理了有误的文件 / accepted a file unlike its order")
        for one in bench.of_plastics(plastics, "MADE"):
            yield Finding("NOT_CHECKED", f"{one.seen.name} 按有误的文件制卡 / made from a file unlike its order")
        for one in bench.of_job(order, "JOB_REFUSED"):
            if one.item["reason"] not in REASONS or one.item["reason"] == "CANCELLED":
                yield Finding(
                    "REASON_DIFFERS", f"{one.seen.name} {one.item['reason']}，应为 / instead of DATA_UNREADABLE"
                )

    return check


RECEIPT = "Its receipt is `JOB_RECEIVED` with the `card_count`, `hash_total` and `sha256` that you found"
ANSWER = "`JOB_ACCEPTED` accepts every plastic that you do not refuse, `JOB_REFUSED` refuses all of them."
HANDED = "A hand-over carries the giver's `handover_id`, `to_place` and `handover_count`"
FINAL = "A CANCEL is final for its job, whichever comes first."
ASK = "A request is answered by a milestone, not by a message"
CHECK = "check hash, signature, count and total before you accept."
FIRST = (
    Case("receipt", FACTORY, "回执中的件数、校验和、哈希与文件一致", RECEIPT, check_receipt),
    Case("answer", FACTORY, "受理，或说明原因地拒绝", ANSWER, check_answer),
    Case("made", FACTORY, "受理的卡均制成，或说明原因", ANSWER, check_made),
    Case("handed-over", FACTORY, "交接签收数与清单一致，邮寄有邮件号", HANDED, check_handed_over),
    Case(
        "order-repeated", FACTORY, "同一事件编号的重复订单不再处理",
        "our headers are CloudEvents 1.0 in binary mode with a derived id: drop what you have seen.",
        check_once("twice"),
    ),
    Case(
        "order-resent", FACTORY, "重发的订单仍是同一任务，只制一次",
        "An order that comes again is the same job with the same bytes.", check_once("resent"),
    ),
    Case("cancel-plastic", FACTORY, "受理前取消的卡以 CANCELLED 拒绝", ASK, check_cancel_plastic),
    Case("cancel-job", FACTORY, "整个任务取消后不再制卡", FINAL, check_cancelled("cancelled")),
    Case("cancel-first", FACTORY, "取消先于订单到达，仍然有效", FINAL, check_cancelled("cancel-first")),
    Case("file-hash", FACTORY, "文件哈希不符则拒绝", CHECK, check_bent("hash")),
    Case("file-count", FACTORY, "文件件数不符则拒绝", CHECK, check_bent("count")),
    Case("file-signature", FACTORY, "签名不是我方的则拒绝", CHECK, check_bent("signature")),
    Case(
        "file-algorithm", FACTORY, "未约定的算法则拒绝",
        "A file in an algorithm that we did not agree on is refused as unreadable.", check_bent("algorithm"),
    ),
)  # fmt: skip
