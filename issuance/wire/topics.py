"""Topics, users and ACLs as schemas/topics.yaml, the partner registry and the authority table declare them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from issuance.city.partners import Registry, topic_of
from issuance.errors import Misconfigured
from issuance.settings import ROOT, Settings, read_env_file

SCHEMAS = ROOT / "schemas"
MS_PER_DAY = 86_400_000
SERVICE_USER = "issuance"
SERVICE_GROUPS = ("issuance", "airflow")
"""Prefixes of our consumer groups: the consumers' and the triggerer's."""


@dataclass(frozen=True)
class Topic:
    """One topic as declared."""

    name: str
    family: str
    direction: Literal["in", "out"]
    partner: str | None
    key: str
    schema: Path | None
    """Avro file of the value; None: raw bytes (dead letters)."""
    compatibility: str
    partitions: int
    replication: int
    config: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The registry's subject of the value."""
        return f"{self.name}-value"


@dataclass(frozen=True, order=True)
class Grant:
    """One ACL: who may do what on which resources."""

    user: str
    resource: Literal["topic", "group"]
    name: str
    prefixed: bool
    operation: str

    def __str__(self) -> str:
        return f"{self.user}: {self.operation} {self.resource} {self.name}{'*' if self.prefixed else ''}"


def declared_families(path: Path = SCHEMAS / "topics.yaml") -> dict[str, dict[str, Any]]:
    """Family → its entry with the defaults filled in.

    Raises:
        Misconfigured: the file cannot be read.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Misconfigured("TOPICS_UNREADABLE", f"{path} cannot be read: {error}") from error
    dead_letters = {**data["defaults"], **data["dlq"]}
    return {
        name: {"dlq": False, "per": None, **data["defaults"], **entry, "dead_letters": dead_letters}
        for name, entry in data["families"].items()
    }


def declared_topics(registry: Registry, most_copies: int | None = None) -> list[Topic]:
    """Every topic that this partner registry calls for, dead letters included.

    `most_copies`: of a message, where there are fewer brokers than topics.yaml asks for (Settings.kafka_replication).
    """
    topics: list[Topic] = []
    for family, declared in declared_families().items():
        entry, letters = (_at_most(one, most_copies) for one in (declared, {**declared, **declared["dead_letters"]}))
        owners: list[str | None] = [None]
        if entry["per"]:
            owners = [partner.id for partner in registry.partners.values() if partner.kind in entry["per"]]
        for owner in owners:
            topic = _topic(topic_of(family, owner), family, owner, entry, SCHEMAS / entry["schema"])
            topics.append(topic)
            if entry["dlq"]:
                topics.append(_topic(f"{topic.name}.dlq", family, owner, letters, None))
    return topics


def _at_most(entry: dict[str, Any], copies: int | None) -> dict[str, Any]:
    names = ("replication", "min.insync.replicas")
    return {**entry, **{name: min(entry[name], copies or entry[name]) for name in names}}


def _topic(name: str, family: str, owner: str | None, entry: dict[str, Any], schema: Path | None) -> Topic:
    config = {
        "cleanup.policy": entry["cleanup"],
        "retention.ms": str(entry["retention_days"] * MS_PER_DAY),
        # Counted from arrival: a message whose sender writes business time, a year ago, must not vanish at once.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(entry["min.insync.replicas"]),
    }
    if "max_message_bytes" in entry:
        config["max.message.bytes"] = str(entry["max_message_bytes"])
    direction, key, compatibility = entry["direction"], entry["key"], entry["compatibility"]
    return Topic(
        name, family, direction, owner, key, schema, compatibility, entry["partitions"], entry["replication"], config
    )


def declared_grants(registry: Registry) -> set[Grant]:
    """The ACLs: each partner its own topics and groups, the service user everything under our prefix."""
    grants: set[Grant] = set()
    for partner in registry.partners.values():
        if partner.suspended:
            continue
        grants |= {Grant(partner.id, "group", f"{partner.id}.", True, operation) for operation in ("READ", "DESCRIBE")}
        for topic, may in partner.topics():
            grants |= {Grant(partner.id, "topic", topic, False, operation) for operation in (may.upper(), "DESCRIBE")}
    for operation in ("READ", "WRITE", "DESCRIBE"):
        grants.add(Grant(SERVICE_USER, "topic", "issuance.", True, operation))
    for prefix in SERVICE_GROUPS:
        grants |= {Grant(SERVICE_USER, "group", prefix, True, operation) for operation in ("READ", "DESCRIBE")}
    return grants


def declared_passwords(registry: Registry, settings: Settings) -> dict[str, str]:
    """User → password, of partners whose credentials lie in the partners' directory, and our own."""
    passwords = {settings.kafka_user: settings.kafka_password}
    for partner in registry.partners.values():
        password = read_env_file(settings.partner_credentials_dir / partner.id / "partner.env").get("KAFKA_PASSWORD")
        if password:
            passwords[partner.id] = password
    return passwords
