"""The partner registry: who takes part, of which kind, with which topics, capacity and fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from issuance.errors import Misconfigured

PARTNER_TOPICS: dict[str, tuple[dict[str, str], ...]] = {
    # kind: topic families of a partner of this kind; direction as the partner sees it
    "factory": ({"family": "card-jobs", "may": "read"}, {"family": "production", "may": "write"}),
    "bank": (
        {"family": "collection", "may": "write"},
        {"family": "activation", "may": "write"},
        {"family": "statements", "may": "write"},
    ),
    "hrss": (
        {"family": "collection", "may": "write"},
        {"family": "activation", "may": "write"},
        {"family": "statements", "may": "write"},
        {"family": "holder-events", "may": "write"},
    ),
    "carrier": ({"family": "mail", "may": "write"},),
    "platform": ({"family": "holder-events", "may": "write"},),
    "notifier": ({"family": "notices", "may": "read"},),
}
"""Every partner also reads its own partner-notices topic."""

GRANTABLE = ("name", "id_number", "social_security_number", "phone", "address", "postcode", "photo_ref")
"""Personal fields of a PersonalizationRecord that the registry can grant a factory."""


@dataclass(frozen=True)
class Partner:
    """One partner; its Kafka user, S3 identity and key name are its id."""

    id: str
    kind: str
    banks: tuple[str, ...] = ()
    capacity: int = 0
    """Cards per working day; factories only."""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Personal fields that it may see in job files, and why each; factories only."""

    def topics(self) -> list[tuple[str, str]]:
        """(topic, read|write) of every topic this partner may touch."""
        own = [(topic_of(entry["family"], self.id), entry["may"]) for entry in PARTNER_TOPICS[self.kind]]
        return [*own, (topic_of("partner-notices", self.id), "read")]


def topic_of(family: str, partner: str | None = None) -> str:
    """The full topic name of a family, of one partner where the family has one topic each."""
    return f"issuance.{family}.{partner}.v1" if partner else f"issuance.{family}.v1"


@dataclass(frozen=True)
class Registry:
    """All partners of one city and what the registry says of them together."""

    city: str
    sealing_algorithm: str
    backup_factory: str
    statements: dict[str, dict[str, Any]]
    partners: dict[str, Partner]

    def of_kind(self, kind: str) -> list[Partner]:
        """The partners of a kind, in registry order."""
        return [partner for partner in self.partners.values() if partner.kind == kind]

    @cached_property
    def factory_of_bank(self) -> dict[str, str]:
        """The factory that makes each bank's cards."""
        return {bank: factory.id for factory in self.of_kind("factory") for bank in factory.banks}

    def backup_of(self, bank: str) -> str:
        """The factory that makes a bank's cards when its own cannot."""
        return self.backup_factory

    @cached_property
    def hrss(self) -> str:
        """The HRSS of the registry's city."""
        return self.of_kind("hrss")[0].id


def load_registry(path: Path) -> Registry:
    """The registry of a YAML file.

    Raises:
        Misconfigured: the file is missing, or a bank has no factory.
    """
    try:
        return _read_registry(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise Misconfigured("REGISTRY_UNREADABLE", f"the partner registry {path} cannot be read: {error}") from error


@lru_cache(maxsize=4)
def _read_registry(path: Path, changed: int) -> Registry:
    """The same, read again when the file has changed."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Misconfigured("REGISTRY_UNREADABLE", f"the partner registry {path} cannot be read: {error}") from error
    factories = [
        Partner(name, "factory", tuple(entry["banks"]), entry["capacity"], entry.get("fields", data["factory_fields"]))
        for name, entry in data["factories"].items()
    ]
    _check_fields(factories)
    kinds = {"bank": "banks", "hrss": "hrss", "carrier": "carriers", "platform": "platforms", "notifier": "notifiers"}
    others = [Partner(name, kind) for kind, key in kinds.items() for name in data[key]]
    registry = Registry(
        city=data["city"],
        sealing_algorithm=data["sealing_algorithm"],
        backup_factory=data["backup_factory"],
        statements=data["statements"],
        partners={partner.id: partner for partner in [*factories, *others]},
    )
    homeless = sorted({bank.id for bank in registry.of_kind("bank")} - set(registry.factory_of_bank))
    if homeless:
        raise Misconfigured("BANK_WITHOUT_FACTORY", f"no factory makes cards for {', '.join(homeless)}", banks=homeless)
    return registry


def _check_fields(factories: Iterable[Partner]) -> None:
    wrong = {f"{factory.id}: {name}" for factory in factories for name in set(factory.fields) - set(GRANTABLE)}
    silent = {f"{f.id}: {name}" for f in factories for name, why in f.fields.items() if not str(why).strip()}
    if wrong:
        raise Misconfigured("FIELD_UNKNOWN", f"no such personal field: {', '.join(sorted(wrong))}", known=GRANTABLE)
    if silent:
        raise Misconfigured("PURPOSE_MISSING", f"a personal field without a purpose: {', '.join(sorted(silent))}")
