"""The partner registry: who takes part, of which kind, with which topics, capacity and fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from issuance.city.marked_yaml import Marked, read_marked
from issuance.errors import Misconfigured, Refused

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

SECTIONS = {
    "factory": "factories", "bank": "banks", "hrss": "hrss", "carrier": "carriers", "platform": "platforms",
    "notifier": "notifiers",
}  # fmt: skip
"""Kind of partner: the section of the registry file that names those of the kind."""

GRANTABLE = (
    "name", "id_number", "social_security_number", "phone", "address", "postcode", "old_card_number", "photo_ref",
)  # fmt: skip
"""Personal fields of a PersonalizationRecord that the registry can grant a factory."""


@dataclass(frozen=True)
class Partner:
    """One partner; its Kafka user, S3 identity and key name are its id."""

    id: str
    kind: str
    banks: tuple[str, ...] = ()
    """Whose cards it makes first of all; factories only."""
    capacity: int = 0
    """Cards per working day; factories only."""
    maintenance: frozenset[date] = frozenset()
    """Days on which nothing is made; factories only."""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Personal fields that it may see in job files, and why each; factories only."""
    suspended: bool = False
    """It may neither read nor write, and gets no new jobs."""

    def topics(self) -> list[tuple[str, str]]:
        """(topic, read|write) of every topic this partner may touch."""
        own = [(topic_of(entry["family"], self.id), entry["may"]) for entry in PARTNER_TOPICS[self.kind]]
        return [*own, (topic_of("partner-notices", self.id), "read")]


def topic_of(family: str, partner: str | None = None) -> str:
    """The full topic name of a family, of one partner where the family has one topic each."""
    return f"issuance.{family}.{partner}.v1" if partner else f"issuance.{family}.v1"


@dataclass(frozen=True)
class Limits:
    """When a partner is paused: by the share of refused items once there are enough, or refused messages in a row."""

    enough: int = 200
    ratio: float = 0.5
    run: int = 10
    window: int = 20_000
    """Items after which what came before weighs half."""


@dataclass(frozen=True)
class Registry:
    """All partners of one city, and the settings that they share."""

    city: str
    sealing_algorithm: str
    backup_factory: str
    statements: dict[str, dict[str, Any]]
    partners: dict[str, Partner]
    factory_of_bank: dict[str, str]
    """The factory that makes each bank's cards: its primary one, the backup while that is suspended."""
    backup_of_bank: dict[str, str]
    """The backup factory of banks that name one of their own."""
    suspended: Mapping[str, str] = field(default_factory=dict)
    """Partners that are suspended, and why."""
    limits: Limits = Limits()
    own_limits: Mapping[str, Limits] = field(default_factory=dict)
    """Limits of partners that have their own."""

    def limits_of(self, partner_id: str) -> Limits:
        """When this partner is paused."""
        return self.own_limits.get(partner_id, self.limits)

    def partner(self, partner_id: str) -> Partner:
        """One partner.

        Raises:
            Refused: there is no such partner.
        """
        if partner_id not in self.partners:
            raise Refused("PARTNER_UNKNOWN", f"没有合作方 {partner_id}。 / no such partner: {partner_id}.")
        return self.partners[partner_id]

    def of_kind(self, kind: str) -> list[Partner]:
        """The partners of a kind, in registry order."""
        return [partner for partner in self.partners.values() if partner.kind == kind]

    def backup_of(self, bank: str) -> str:
        """The factory that makes a bank's cards when its own cannot; its own while the backup is suspended."""
        backup = self.backup_of_bank.get(bank, self.backup_factory)
        return self.factory_of_bank[bank] if backup in self.suspended else backup

    def spare_of(self, bank: str) -> str | None:
        """The factory to which a bank's cards may be moved instead of the one that makes them, if there is one."""
        backup = self.backup_of(bank)
        return None if backup == self.factory_of_bank[bank] else backup

    @cached_property
    def hrss(self) -> str:
        """The HRSS of the registry's city."""
        return self.of_kind("hrss")[0].id


def load_registry(path: Path) -> Registry:
    """The registry of a YAML file.

    Raises:
        Misconfigured: the file is missing, or its entries are wrong; names every line and error at once.
    """
    try:
        return _read_registry(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise Misconfigured("REGISTRY_UNREADABLE", f"the partner registry {path} cannot be read: {error}") from error


@lru_cache(maxsize=4)
def _read_registry(path: Path, changed: int) -> Registry:
    """The same, reloaded when the file has changed."""
    try:
        marked = read_marked(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Misconfigured("REGISTRY_UNREADABLE", f"the partner registry {path} cannot be read: {error}") from error
    data = marked.data
    if mistakes := sorted(_mistakes(marked)):
        listed = "\n".join(f"  {path.name}:{line} {text}" for line, text in mistakes)
        raise Misconfigured(
            "REGISTRY_INVALID",
            f"{path} 有 {len(mistakes)} 处错误。 / {path} has {len(mistakes)} errors:\n{listed}",
            file=str(path),
            lines=[line for line, _ in mistakes],
        )
    primary = {bank: entry["primary"] for bank, entry in data["banks"].items()}
    suspended: dict[str, str] = data.get("suspended") or {}
    factories = [
        Partner(
            name,
            "factory",
            banks=tuple(bank for bank, factory in primary.items() if factory == name),
            capacity=entry["capacity"],
            maintenance=frozenset(day for text in entry.get("maintenance", ()) for day in days_of(text)),
            fields=entry.get("fields", data["factory_fields"]),
            suspended=name in suspended,
        )
        for name, entry in data["factories"].items()
    ]
    others = [
        Partner(name, kind, suspended=name in suspended)
        for kind, key in SECTIONS.items()
        if kind != "factory"
        for name in data[key]
    ]
    backup = {bank: entry["backup"] for bank, entry in data["banks"].items() if "backup" in entry}
    standby = data["backup_factory"]
    return Registry(
        city=data["city"],
        sealing_algorithm=data["sealing_algorithm"],
        backup_factory=standby,
        statements=data["statements"],
        partners={partner.id: partner for partner in [*factories, *others]},
        factory_of_bank={
            bank: backup.get(bank, standby) if factory in suspended else factory for bank, factory in primary.items()
        },
        backup_of_bank=backup,
        suspended=suspended,
        limits=Limits(**data.get("limits", {})),
        own_limits={
            name: Limits(**{**data.get("limits", {}), **own}) for name, own in data.get("partner_limits", {}).items()
        },
    )


def days_of(text: str) -> list[date]:
    """The days of a registry entry: a day, or a first and a last one, as 2026-02-09..2026-02-13.

    Raises:
        ValueError: the text is neither.
    """
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?", text):
        raise ValueError(text)
    first, _, last = text.partition("..")
    start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    if end < start:
        raise ValueError(text)
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def _mistakes(marked: Marked) -> Iterator[tuple[int, str]]:
    """(line, error) of everything wrong in the entries of factories and banks."""
    factories: Mapping[str, Any] = marked.data["factories"]
    for name, entry in factories.items():
        line = marked.line_of(("factories", name))
        if not isinstance(entry.get("capacity"), int) or entry["capacity"] < 1:
            yield line, f"{name}: capacity 须是不小于 1 的整数（每工作日卡数） / must be 1 or more cards a working day"
        for text in entry.get("maintenance", ()):
            try:
                days_of(str(text))
            except ValueError:
                yield line, f"{name}: 检修日 {text} 不是日期 / maintenance {text} is neither a day nor first..last"
        if "fields" in entry:
            yield from ((line, f"{name}: {text}") for text in _wrong_fields(entry["fields"]))
    yield from ((marked.line_of(("factory_fields",)), text) for text in _wrong_fields(marked.data["factory_fields"]))
    for bank, entry in marked.data["banks"].items():
        line = marked.line_of(("banks", bank))
        named = {"primary": (entry or {}).get("primary"), "backup": (entry or {}).get("backup")}
        if named["primary"] not in factories:
            yield line, f"{bank}: 主厂 {named['primary']} 不是制卡厂 / its primary {named['primary']} is not a factory"
        if named["backup"] is not None and named["backup"] not in factories:
            yield line, f"{bank}: 备用厂 {named['backup']} 不是制卡厂 / its backup {named['backup']} is not a factory"
        if named["primary"] == (named["backup"] or marked.data["backup_factory"]):
            yield line, f"{bank}: 主厂与备用厂相同 / its primary and its backup are the same factory"
    yield from _wrong_suspensions(marked)
    yield from _wrong_limits(marked)
    if marked.data["backup_factory"] not in factories:
        yield marked.line_of(("backup_factory",)), "backup_factory 不是制卡厂 / backup_factory is not a factory"


def _wrong_suspensions(marked: Marked) -> Iterator[tuple[int, str]]:
    """What is wrong in `suspended`: each entry must be a partner with a reason, and every bank keeps one factory."""
    data = marked.data
    suspended: Mapping[str, Any] = data.get("suspended") or {}
    names = {name for section in SECTIONS.values() for name in data[section]}
    for name, note in suspended.items():
        line = marked.line_of(("suspended", name))
        if name not in names:
            yield line, f"{name} 不是合作方 / suspended, but not a partner"
        if not str(note or "").strip():
            yield line, f"{name}: 暂停须写明原因 / is suspended without a reason"
    for bank, entry in data["banks"].items():
        both = {(entry or {}).get("primary"), (entry or {}).get("backup", data["backup_factory"])}
        if both <= set(suspended):
            line = marked.line_of(("suspended", min(map(str, both))))
            yield line, f"{bank}: 主厂与备用厂均已暂停 / its primary and its backup are both suspended"


def _wrong_limits(marked: Marked) -> Iterator[tuple[int, str]]:
    """What is wrong in `limits` and `partner_limits`: known names, positive figures, a ratio up to 1."""
    entries = [("limits", None, marked.data.get("limits") or {})]
    entries += [("partner_limits", name, own or {}) for name, own in (marked.data.get("partner_limits") or {}).items()]
    for section, partner, figures in entries:
        line = marked.line_of((section, partner) if partner else (section,))
        for name, figure in figures.items():
            known = name in Limits.__dataclass_fields__
            number = isinstance(figure, int | float) and not isinstance(figure, bool) and figure > 0
            shaped = number and (figure <= 1 if name == "ratio" else figure == int(figure))
            if not known or not shaped:
                yield line, f"{section}: {name}: {figure} 无效 / not a limit: enough, run, window > 0, ratio in (0, 1]"


def _wrong_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong in the personal fields granted to a factory: each must be grantable and state its purpose."""
    for name, why in fields.items():
        if name not in GRANTABLE:
            yield f"{name} 不是可授予的字段 / not a field that can be granted; choose from {', '.join(GRANTABLE)}"
        elif not str(why or "").strip():
            yield f"{name} 缺少用途 / is granted without a purpose"
