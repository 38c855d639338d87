"""Cases for banks: bundles received under their count, collection, accounts in the enforced order, statements."""

from __future__ import annotations

from collections.abc import Sequence

from issuance.conformance import hands
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.factory_hands import answered_when_asked, asked
from issuance.conformance.factory_later import destroyed_rightly
from issuance.conformance.roles import item
from issuance.conformance.statements import CASES as STATEMENTS
from issuance.conformance.workbench import Bench
from issuance.ledger.connection import transaction
from issuance.tracking.resuming import resume_partner
from issuance.wire.pauses import pause_partner

BANK = frozenset({"bank"})
HEARD_SECONDS = 2.0
"""The time a client may take to notice that it is paused, which cannot be observed."""
WISHES = (Wish("bundle"), Wish("bundle"), Wish("bundle"), Wish("leaving"), Wish("paused"))


def prepare(bench: Bench) -> None:
    """Have a bundle made, handed over and delivered."""
    hand_over(bench, "bundle")
    bring(bench, bench.plastics("bundle"))


def hand_over(bench: Bench, order: str) -> None:
    """Order plastics, have them made and handed over to the bank's outlet; nothing is delivered yet."""
    hands.order(bench, order)
    hands.make(bench, bench.plastics(order))
    hands.hand_over(bench, bench.plastics(order), f"{bench.check.bank}-0001", order)


def leaving(bench: Bench) -> tuple[str, int]:
    """The plastic whose holder withdraws."""
    return bench.plastics("leaving")[0]


def bring(bench: Bench, plastics: Sequence[tuple[str, int]]) -> None:
    """Put the slips of the hand-overs of some plastics into the box."""
    for handover_id, place, listed in hands.handovers(bench, plastics):
        name = handover_id.replace("/", "_")
        hands.slip(bench, "plastics", name, listed, handover_id=handover_id, to_place=place)


def check_received(bench: Bench) -> Verdicts:
    """Every plastic of a bundle is received under its hand-over id, with the count that was signed."""
    yield from received(bench, bench.plastics("bundle"))


def received(bench: Bench, plastics: Sequence[tuple[str, int]]) -> Verdicts:
    """The same for any plastics."""
    bundles = hands.handovers(bench, plastics)
    if not bundles:
        yield NotShown("无交接 / nothing was handed over")
    for handover_id, _, listed in bundles:
        wanted = set(listed)
        told = bench.await_all(listed, "RECEIVED_AT_PLACE")
        for ref, attempt in sorted(wanted - {one.plastic for one in told}):
            yield Finding("NOT_RECEIVED", f"{ref}/{attempt} 未签收 / of {handover_id} is not received")
        for one in told:
            if one.report["handover_id"] != handover_id:
                yield Finding("HANDOVER_DIFFERS", f"{one.seen.name} {one.report['handover_id']} ≠ {handover_id}")
            elif one.report["handover_count"] != len(listed):
                shown = f"{one.report['handover_count']}, {len(listed)}"
                yield Finding("COUNT_DIFFERS", f"{one.seen.name} 签 / signed {shown}")


def check_collected(bench: Bench) -> Verdicts:
    """A holder's visit is reported with place and actors, once; what is refused has a reason."""
    staying = bench.plastics("bundle")
    if not bench.until(lambda: bench.of_plastics(staying, "COLLECTED", "REFUSED_BY_HOLDER")):
        yield Finding("NOT_COLLECTED", "无人领卡 / nobody collected or refused: let the client play visits")
    for one in bench.of_plastics(staying, "COLLECTED"):
        if not one.item["place"] or not one.item["actors"]:
            yield Finding("FIELD_MISSING", f"{one.seen.name} COLLECTED 缺少地点或参与人 / lacks place or actors")


def check_finance(bench: Bench) -> Verdicts:
    """Finance is reported for received plastics only; it is voluntary, so none at all is not a finding."""
    told = bench.plastics("bundle", "paused")
    if not bench.until(lambda: bench.of_plastics(told, "FINANCE_ACTIVATED")):
        yield NotShown("无金融激活（自愿） / no FINANCE_ACTIVATED, which is voluntary")
    for one in bench.of_plastics(told, "FINANCE_ACTIVATED"):
        if one.plastic not in {other.plastic for other in bench.of_plastics(told, "RECEIVED_AT_PLACE")}:
            yield Finding("OUT_OF_ORDER", f"{one.seen.name} 未签收即激活 / is activated but was never received")


def check_account(bench: Bench) -> Verdicts:
    """An account is cancelled on request, which comes only after social security was cancelled."""
    plastic = leaving(bench)
    hand_over(bench, "leaving")
    bench.withdraw(plastic)
    hands.await_request(bench, "CANCEL_SS", plastic)
    if bench.hrss not in bench.also:
        bench.role(bench.hrss).report("activation", [item("SS_CANCELLED", plastic)])
    if not bench.until(lambda: asked(bench, "CANCEL_ACCOUNT", plastic)):
        yield NotShown("未能提出注销账户 / no CANCEL_ACCOUNT could be requested")
        return
    bring(bench, [plastic])
    yield from answered_when_asked(bench, "CANCEL_ACCOUNT", "ACCOUNT_CANCELLED", plastic)


def check_destroyed(bench: Bench) -> Verdicts:
    """Then the plastic is destroyed on request, before two witnesses."""
    plastic = leaving(bench)
    if not bench.until(lambda: asked(bench, "DESTROY", plastic)):
        yield NotShown("账户未注销，未请求销毁 / not requested, since the account still exists")
        return
    request = asked(bench, "DESTROY", plastic)[0]
    if not bench.until(lambda: bench.of_plastics([plastic], "DESTROYED")):
        yield Finding("UNANSWERED", f"DESTROY {plastic[0]}/{plastic[1]} 未答复 / is not answered")
    yield from destroyed_rightly(bench.of_plastics([plastic], "DESTROYED"), request.at)


def check_pause(bench: Bench) -> Verdicts:
    """What it reports while paused is read when it is resumed."""
    plastics = bench.plastics("paused")
    with transaction(bench.settings.database_url) as connection:
        pause_partner(connection, bench.partner.id, "RUN", bench.check.day)
    bench.notify("PAUSED", "pause", None, code="RUN")
    bench.until(lambda: [answer for answer in bench.answers("PAUSED") if not answer["report_id"]])
    bench.until(lambda: False, HEARD_SECONDS)
    try:
        hand_over(bench, "paused")
        bring(bench, plastics)
        bench.until(lambda: bench.of_plastics(plastics, "RECEIVED_AT_PLACE"))
    finally:
        with transaction(bench.settings.database_url) as connection:
            resume_partner(connection, bench.partner.id, bench.check.day)
    if not bench.until(lambda: bench.of_plastics(plastics, "RECEIVED_AT_PLACE")):
        yield Finding("SILENT_AFTER_PAUSE", "恢复后未签收 / nothing is received after the resume")
    elif not bench.until(lambda: _received(bench, plastics)):
        yield Finding("LOST_IN_PAUSE", "暂停期间的签收未被采用 / what it reported while paused was not applied")


def _received(bench: Bench, plastics: Sequence[tuple[str, int]]) -> bool:
    query = "SELECT FROM plastic_in_consignment WHERE card_ref = ANY (%s::uuid[]) AND received_at_place IS NOT NULL"
    return bool(bench.rows_of(query, [ref for ref, _ in plastics]))


ORDERED = "The next step of an enforced order (social security, then the account, then the plastic) is asked only when"
CASES = (
    Case(
        "received", BANK, "按交接编号和签收数签收",
        "the receiver reports RECEIVED_AT_PLACE under the same `handover_id` with the count it signed.", check_received,
    ),
    Case(
        "collected", BANK, "领卡有地点和参与人",
        "Which milestone you may report, about what, and the fields it needs", check_collected,
    ),
    Case(
        "finance", BANK, "金融激活只报已签收的卡",
        "Which milestone you may report, about what, and the fields it needs", check_finance,
    ),
    Case("account-cancelled", BANK, "社保功能注销之后，按请求注销账户", ORDERED, check_account),
    Case(
        "destroyed", BANK, "按请求销毁，两名监销人",
        "DESTROYED names two different actors of role WITNESS.", check_destroyed,
    ),
    Case(
        "pause", BANK, "暂停期间的报告恢复后均被读取",
        "an operator resumes reading your messages from where it stopped", check_pause,
    ),
    *STATEMENTS,
)  # fmt: skip
