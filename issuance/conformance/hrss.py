"""Cases for HRSS: keys loaded, bundles received, social security activated and cancelled, statements."""

from __future__ import annotations

from issuance.conformance import hands
from issuance.conformance.bank import bring, received
from issuance.conformance.case import Case, Finding, NotShown, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.factory_hands import answered_when_asked, asked
from issuance.conformance.statements import CASES as STATEMENTS
from issuance.conformance.workbench import Bench

HRSS = frozenset({"hrss"})
WISHES = (Wish("bundle", "service_point"), Wish("bundle", "service_point"), Wish("leaving", "service_point"))


def prepare(bench: Bench) -> None:
    """Have everything made, and write slips for what waits for its keys and what is handed over."""
    hands.order(bench, "bundle", "leaving")
    hands.make(bench, bench.plastics())
    hands.slip(bench, "to key", "keys", bench.plastics())
    for name in ("bundle", "leaving"):
        place = hands.facts_of(bench, bench.plastics(name)[0])["place"]
        hands.hand_over(bench, bench.plastics(name), place, name)
    bring(bench, bench.plastics("bundle"))


def check_keyed(bench: Bench) -> Verdicts:
    """What is delivered to be keyed is reported as keyed."""
    plastics = bench.plastics()
    told = {one.plastic for one in bench.await_all(plastics, "SS_KEYED")}
    for ref, attempt in sorted(set(plastics) - told):
        yield Finding("NOT_KEYED", f"{ref}/{attempt} 未写入社保应用 / was delivered, but not reported as SS_KEYED")


def check_received(bench: Bench) -> Verdicts:
    """Every plastic of a bundle is received under its hand-over id, with the count that was signed."""
    yield from received(bench, bench.plastics("bundle"))


def check_activated(bench: Bench) -> Verdicts:
    """Social security is activated for collected plastics."""
    plastics = bench.plastics("bundle")
    if not bench.until(lambda: bench.of_plastics(plastics, "COLLECTED")):
        yield NotShown("无人领卡 / nobody collected")
    elif not bench.until(lambda: bench.of_plastics(plastics, "SS_ACTIVATED")):
        yield NotShown("领卡后无启用 / nothing was activated")
    collected = {one.plastic for one in bench.of_plastics(plastics, "COLLECTED")}
    for one in bench.of_plastics(plastics, "SS_ACTIVATED"):
        if one.plastic not in collected:
            yield Finding("OUT_OF_ORDER", f"{one.seen.name} 未领卡即启用 / is activated but was never collected")


def check_cancelled(bench: Bench) -> Verdicts:
    """Social security is cancelled on request, and not before."""
    plastic = bench.plastics("leaving")[0]
    bench.withdraw(plastic)
    if not bench.until(lambda: asked(bench, "CANCEL_SS", plastic)):
        yield NotShown("未能提出注销 / no CANCEL_SS could be requested")
        return
    yield from answered_when_asked(bench, "CANCEL_SS", "SS_CANCELLED", plastic)


FIELDS = "Which milestone you may report, about what, and the fields it needs"
ASK = "A request is answered by a milestone, not by a message"
CASES = (
    Case("keyed", HRSS, "送来的卡写入社保应用并报送", FIELDS, check_keyed),
    Case(
        "received", HRSS, "按交接编号和签收数签收",
        "the receiver reports RECEIVED_AT_PLACE under the same `handover_id` with the count it signed.", check_received,
    ),
    Case("activated", HRSS, "领卡之后启用社保功能", FIELDS, check_activated),
    Case("cancelled", HRSS, "按请求注销社保功能", ASK, check_cancelled),
    *STATEMENTS,
)  # fmt: skip
