"""The bench: one partner under check, what it has written so far, and the kit's means to provoke it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from issuance.city.partners import Partner, Registry
from issuance.conformance.box import Box
from issuance.conformance.cohort import Check, Wish
from issuance.conformance.orders import Orders
from issuance.conformance.persons import Row
from issuance.conformance.roles import Role, now
from issuance.conformance.watch import REPORTS, Seen, Watch
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings
from issuance.tracking.decide import decide
from issuance.wire.codec import Codec
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.wire.partner_notices import partner_notice

PASS_SECONDS = 0.5
"""How often the kit runs a decision pass while it waits; Airflow does so every few minutes."""


class Told(NamedTuple):
    """One item of a report of the partner."""

    seen: Seen
    report: dict[str, Any]
    item: dict[str, Any]

    @property
    def plastic(self) -> tuple[str, int]:
        """(card_ref, attempt) as written."""
        return str(self.item["card_ref"]), int(self.item["attempt"] or 0)

    @property
    def at(self) -> datetime:
        """When it happened, according to the partner."""
        found: datetime = self.item["occurred_at"]
        return found


@dataclass
class Bench:
    """What a case works with. Times are seconds; nothing here judges."""

    settings: Settings
    registry: Registry
    partner: Partner
    check: Check
    wishes: Sequence[Wish]
    rows: Sequence[Row]
    watch: Watch
    codec: Codec
    orders: Orders
    box: Box
    patience: float
    also: frozenset[str] = frozenset()
    """Partners that the client plays besides the one under check; the kit does not play them."""
    began: float = field(default_factory=time.monotonic)
    notes: dict[str, Any] = field(default_factory=dict)
    """Values that one case passes to another: times, ids."""
    laid: list[Path] = field(default_factory=list)
    """Files to remove at the end."""
    _roles: dict[str, Role] = field(default_factory=dict)
    _decided: float = 0.0

    def elapsed(self) -> float:
        """Seconds since the check began."""
        return time.monotonic() - self.began

    # Waiting

    def until(self, condition: Callable[[], object], patience: float | None = None) -> bool:
        """Read and decide until a condition is true; False when the patience ends first."""
        end = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            self.watch.read()
            if time.monotonic() - self._decided > PASS_SECONDS:
                self.decide()
            if condition():
                return True
            if time.monotonic() > end:
                return False

    def decide(self) -> None:
        """One pass of decisions; requests and notices go to the outbox."""
        decide(self.settings)
        self._decided = time.monotonic()

    # What the check is about

    def plastics(self, *orders: str) -> list[tuple[str, int]]:
        """The plastics of some orders, of all of them where none is named."""
        chosen = [n for n, wish in enumerate(self.wishes) if not orders or wish.order in orders]
        return [(self.check.card_ref(n), 1) for n in chosen]

    def by_method(self, order: str, method: str) -> list[tuple[str, int]]:
        """The plastics of an order that are collected in one way."""
        chosen = [n for n, wish in enumerate(self.wishes) if wish == Wish(order, method)]
        return [(self.check.card_ref(n), 1) for n in chosen]

    # What the partner has written

    def told(self, *milestones: str) -> Iterator[Told]:
        """The items of all its card reports, of some milestones or all, in the order of arrival."""
        for seen in self.watch.of(*REPORTS):
            for item in (seen.value or {}).get("items", ()):
                if not milestones or item["milestone"] in milestones:
                    yield Told(seen, seen.value or {}, item)

    def of_job(self, order: str, *milestones: str) -> list[Told]:
        """Its facts about a whole job."""
        job_id = self.check.job_id(order)
        return [one for one in self.told(*milestones) if one.report["kind"] == "JOB" and one.report["job_id"] == job_id]

    def of_plastics(self, plastics: Sequence[tuple[str, int]], *milestones: str) -> list[Told]:
        """Its facts about some plastics."""
        wanted = set(plastics)
        return [one for one in self.told(*milestones) if one.plastic in wanted and not one.item["corrects"]]

    def await_all(self, plastics: Sequence[tuple[str, int]], *milestones: str) -> list[Told]:
        """Its facts about some plastics, once each has one of the milestones or the patience has ended."""
        wanted = set(plastics)
        self.until(lambda: {one.plastic for one in self.of_plastics(plastics, *milestones)} >= wanted)
        return self.of_plastics(plastics, *milestones)

    def answers(self, kind: str) -> list[dict[str, Any]]:
        """Our answers and requests to it."""
        return [s.value for s in self.watch.of("partner-notices") if s.value and s.value["kind"] == kind]

    # The kit's actions

    def role(self, partner: str) -> Role:
        """Another partner, played by the kit."""
        if partner not in self._roles:
            self._roles[partner] = Role(
                self.settings, self.codec, self.registry.partners[partner], f"{self.check.cohort_id}"
            )
        return self._roles[partner]

    def notify(self, kind: str, occasion: str, report_id: str | None = None, **values: Any) -> None:
        """Send the partner a notice by the outbox."""
        notice = partner_notice(self.partner.id, kind, report_id, values, f"{self.check.cohort_id}/{occasion}")
        self.write(notice)

    def write(self, *messages: Outgoing) -> None:
        """Write messages to the outbox."""
        with transaction(self.settings.database_url) as connection:
            write_outbox(connection, messages, business_day(connection))

    def withdraw(self, plastic: tuple[str, int]) -> None:
        """Withdraw the application of a plastic, as a platform reports it, or HRSS where a platform is under check."""
        source = self.hrss if self.partner.kind == "platform" else self.registry.of_kind("platform")[0].id
        number = [self.check.card_ref(n) for n in range(len(self.wishes))].index(plastic[0])
        application = self.check.application(number)
        value = {
            "event_id": f"{application}.WITHDRAWN",
            "source": source,
            "event": "WITHDRAWN",
            "cohort_id": self.check.cohort_id,
            "card_ref": None,
            "application_id": application,
            "occurred_at": now(),
            "sealed": None,
        }
        self.role(source).send("holder-events", "holder_event", application, value)

    @property
    def hrss(self) -> str:
        """The HRSS of the city."""
        return self.registry.hrss

    def rows_of(self, query: str, *values: Any) -> list[Any]:
        """Rows of the ledger."""
        with transaction(self.settings.database_url) as connection:
            return connection.execute(query, values).fetchall()

    def key_folder(self) -> Path:
        """Where the partner's private keys lie on the local stack."""
        return self.settings.partner_credentials_dir / self.partner.id

    def close(self) -> None:
        """Close everything, and remove what was written."""
        for path in self.laid:
            path.unlink(missing_ok=True)
        self.watch.close()
        for role in self._roles.values():
            role.close()
        self.codec.close()
