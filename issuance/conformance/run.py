"""Running a check: refuse where it must not run, set up the bench, judge case after case, clean up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from issuance.city.partners import Partner, Registry, load_registry
from issuance.clock import day_of
from issuance.conformance import bank, carrier, factory_hands, factory_later, hrss, notifier, platform
from issuance.conformance.box import Box
from issuance.conformance.case import Case, Result, judge
from issuance.conformance.cohort import Check, Wish, put_away, release, take_in
from issuance.conformance.common import ALWAYS, ASKED
from issuance.conformance.orders import Orders
from issuance.conformance.watch import Watch
from issuance.conformance.workbench import Bench
from issuance.errors import Refused
from issuance.ledger.audit import audit
from issuance.ledger.checks import CHECKS
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.waiting import wait_for
from issuance.wire.codec import Codec
from issuance.wire.pauses import paused_partners

LOOPBACK = ("127.0.0.1", "localhost", "::1", "")


@dataclass(frozen=True)
class Play:
    """How a kind of partner is checked: the plastics it needs, what is sent at once, and its cases in order."""

    wishes: Sequence[Wish]
    prepare: Callable[[Bench], None]
    cases: Sequence[Case]


PLAYS: dict[str, Play] = {
    "factory": Play(factory_hands.WISHES, factory_hands.prepare, factory_later.CASES),
    "bank": Play(bank.WISHES, bank.prepare, bank.CASES),
    "hrss": Play(hrss.WISHES, hrss.prepare, hrss.CASES),
    "carrier": Play(carrier.WISHES, carrier.prepare, carrier.CASES),
    "platform": Play(platform.WISHES, platform.prepare, platform.CASES),
    "notifier": Play(notifier.WISHES, notifier.prepare, notifier.CASES),
}


@dataclass(frozen=True)
class Options:
    """The caller's options."""

    patience: float = 60.0
    """Seconds to wait for each thing that a case expects of the client."""
    also: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """Names of cases; none: all."""
    on_this_ledger: bool = False


def cases_of(kind: str) -> list[Case]:
    """Every case of a kind of partner, in the order in which they are judged."""
    return [case for case in (*PLAYS[kind].cases, *ASKED, *ALWAYS) if kind in case.kinds]


def check_partner(
    settings: Settings,
    partner_id: str,
    user: str,
    options: Options,
    box: Box,
    tell: Callable[[Result], None] = lambda _: None,
) -> tuple[Check, list[Result]]:
    """Check one partner's client; returns the check and what came of each case.

    What is delivered by hand goes into the box, each result to `tell` as it comes.

    Raises:
        Refused: no such partner or case, the ledger is not a local one, its clock is stepped, the partner is paused.
        Broken: the stack does not accept the check's cohort.
    """
    registry = load_registry(settings.partners_file)
    partner = registry.partner(partner_id)
    cases = _chosen(partner.kind, options.only)
    check = _begin(settings, registry, partner, user, options)
    try:
        with _bench(settings, registry, partner, check, options, box) as bench:
            PLAYS[partner.kind].prepare(bench)
            results = []
            for case in cases:
                results.append(judge(case, bench))
                tell(results[-1])
    finally:
        put_away(settings, check)
    return check, results


def _chosen(kind: str, only: Sequence[str]) -> list[Case]:
    known = cases_of(kind)
    unknown = sorted(set(only) - {case.name for case in known})
    if unknown:
        names = ", ".join(case.name for case in known)
        raise Refused("CASE_UNKNOWN", f"没有用例 {', '.join(unknown)}。 / unknown case; known: {names}.")
    return [case for case in known if not only or case.name in only]


def _begin(settings: Settings, registry: Registry, partner: Partner, user: str, options: Options) -> Check:
    """Refuse where it must not run, and audit who checks whom."""
    if not options.on_this_ledger and not is_local(settings.database_url):
        raise Refused(
            "LEDGER_NOT_LOCAL",
            "账本不在本机：检查会写入虚构的批次；确要如此请加 --on-this-ledger。"
            " / the ledger is not on this machine, and a check writes a synthetic cohort into it: --on-this-ledger.",
        )
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        _refuse_stepped(connection)
        _refuse_paused(connection, partner)
        stamp = f"{datetime.now(UTC):%m%d%H%M%S}{secrets.token_hex(1)}"
        ours = _bank_and_factory(registry, partner)
        check = Check(f"{CHECKS}{partner.id}-{stamp}", *ours, registry.city, day, user)
        audit(connection, user, "check partner", partner.id, day, {"cohort_id": check.cohort_id})
    return check


def is_local(database_url: str) -> bool:
    """Whether a ledger is on this machine: a loopback address or a Unix socket."""
    parts = urlsplit(database_url)
    hosts = [parts.hostname or "", *parse_qs(parts.query).get("host", [])]
    return all(host in LOOPBACK or host.startswith("/") for host in hosts)


def _refuse_stepped(connection: Connection) -> None:
    """A client uses real time; on a ledger whose days are stepped all its reports would be in the future."""
    row = connection.execute("SELECT day FROM business_clock").fetchone()
    if row and row[0] != day_of(datetime.now(UTC)):
        raise Refused(
            "CLOCK_STEPPED",
            f"账本的业务日停在 {row[0]}（演示步进），检查须用实际日期：请用新的本地环境。"
            f" / the ledger's business day was stepped to {row[0]}; a check needs the real day: use a fresh stack.",
        )


def _refuse_paused(connection: Connection, partner: Partner) -> None:
    if partner.id in paused_partners(connection):
        raise Refused(
            "PARTNER_PAUSED",
            f"{partner.id} 已被暂停：issuance partner resume {partner.id}。"
            f" / {partner.id} is paused: issuance partner resume {partner.id}.",
        )


def _bank_and_factory(registry: Registry, partner: Partner) -> tuple[str, str]:
    """The bank whose cards the check is about, and the factory that makes them."""
    banks = [bank.id for bank in registry.of_kind("bank")]
    if partner.kind == "factory":
        backed = [bank for bank in banks if registry.backup_of(bank) == partner.id]
        return [*partner.banks, *backed, *banks][0], partner.id
    chosen = partner.id if partner.kind == "bank" else banks[0]
    return chosen, registry.factory_of_bank[chosen]


@contextmanager
def _bench(
    settings: Settings, registry: Registry, partner: Partner, check: Check, options: Options, box: Box
) -> Iterator[Bench]:
    """The bench with its cohort released and nothing sent yet."""
    wishes = PLAYS[partner.kind].wishes
    codec = Codec(settings.schema_registry_url)
    watch = Watch(settings, codec, partner)
    fields: dict[str, Any] = {
        "settings": settings, "registry": registry, "partner": partner, "check": check, "wishes": wishes,
        "watch": watch, "codec": codec, "box": box, "patience": options.patience, "also": frozenset(options.also),
    }  # fmt: skip
    rows = take_in(settings, check, wishes, lambda condition: wait_for(condition, options.patience))
    release(settings, check, wishes)
    bench = Bench(rows=rows, orders=Orders(settings, check), **fields)
    bench.notes["began"] = datetime.now(UTC)
    try:
        yield bench
    finally:
        bench.close()
