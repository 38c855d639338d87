"""What the kit sends a factory, and what HRSS does meanwhile: the plastics of a check, orders once and again."""

from __future__ import annotations

from collections.abc import Callable

from issuance.city.partners import topic_of
from issuance.conformance.case import Finding, Verdicts
from issuance.conformance.cohort import Wish
from issuance.conformance.roles import item
from issuance.conformance.watch import Seen
from issuance.conformance.workbench import Bench
from issuance.wire.kafka import make_producer, our_credentials

BAD = ("hash", "count", "signature", "algorithm")
WISHES = (
    Wish("plain"), Wish("plain"), Wish("plain", "mail"), Wish("plain", "mail"),
    Wish("twice"), Wish("resent"), Wish("plastic"), Wish("plastic"), Wish("cancelled"), Wish("cancel-first"),
    Wish("hash"), Wish("count"), Wish("count"), Wish("signature"), Wish("algorithm"), Wish("new-key"), Wish("paused"),
)  # fmt: skip


def prepare(bench: Bench) -> None:
    """Send every order that does not wait for something else, valid and corrupted ones together."""
    plastic = bench.plastics("plastic")[0]
    bench.withdraw(plastic)
    bench.orders.send("plain")
    bench.orders.send("twice")
    bench.orders.send("resent")
    bench.orders.resend("resent")
    bench.orders.send("cancelled")
    bench.orders.cancel("cancelled")
    bench.orders.cancel("cancel-first")
    bench.orders.send("cancel-first")
    for order in BAD:
        bench.orders.send(order)
    # The holder has withdrawn before: CANCEL is requested at the moment the order is sent.
    withdrawn = "SELECT FROM card WHERE card_ref = %s AND withdrawn IS NOT NULL"
    bench.until(lambda: bench.rows_of(withdrawn, plastic[0]))
    bench.orders.send("plastic")
    bench.decide()
    bench.until(lambda: _order_of(bench, "twice"))
    repeat_order(bench, "twice")


def _order_of(bench: Bench, order: str) -> list[Seen]:
    job_id = bench.check.job_id(order)
    found = bench.watch.of("card-jobs")
    return [s for s in found if s.value and (s.value["job_id"], s.value["action"]) == (job_id, "ORDER")]


def repeat_order(bench: Bench, order: str) -> None:
    """Put an order's message on the topic once more, byte by byte and under the same CloudEvents id."""
    first = _order_of(bench, order)[0]
    producer = make_producer(our_credentials(bench.settings))
    topic = topic_of("card-jobs", bench.partner.id)
    producer.send(topic, first.raw, first.key, list(first.headers)).get(timeout=30)
    producer.close()


def key_made(bench: Bench) -> None:
    """As HRSS, load keys into what the factory has made, once."""
    done: set[tuple[str, int]] = bench.notes.setdefault("keyed", set())
    made = {one.plastic for one in bench.of_plastics(bench.plastics(), "MADE")} - done
    if made and bench.hrss not in bench.also:
        bench.role(bench.hrss).report("activation", [item("SS_KEYED", plastic) for plastic in sorted(made)])
    done |= made


def until(bench: Bench, condition: Callable[[], object]) -> bool:
    """Wait as the bench does; meanwhile HRSS loads its keys."""

    def step() -> object:
        key_made(bench)
        return condition()

    return bench.until(step)


def asked(bench: Bench, request: str, plastic: tuple[str, int]) -> list[Seen]:
    """The requests of a kind about a plastic that were sent."""
    return [
        seen
        for seen in bench.watch.of("partner-notices")
        if seen.value
        and seen.value["kind"] == "REQUESTED"
        and seen.value["request"] == request
        and plastic in {(one["card_ref"], one["attempt"]) for one in seen.value["plastics"]}
    ]


def answered_when_asked(bench: Bench, request: str, milestone: str, plastic: tuple[str, int]) -> Verdicts:
    """A request about a plastic is answered by its milestone, which never comes before the request."""
    if not bench.until(lambda: bench.of_plastics([plastic], milestone)):
        yield Finding("UNANSWERED", f"{request} {plastic[0]}/{plastic[1]} 未答复 / is not answered")
    for one in bench.of_plastics(bench.plastics(), milestone):
        requests = asked(bench, request, one.plastic)
        if not requests or one.seen.at < requests[0].at:
            yield Finding("TOO_EARLY", f"{one.seen.name} {milestone} 先于请求 / came before the request")
