"""The world of a run: a ledger with plastics of every bank and factory, their persons in the vault, one registry."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import yaml
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from ledger_fixture import COHORT, OPENS, PERSON, fresh_database, make_cohort, new_ledger

from issuance.city.partners import Partner, load_registry, topic_of
from issuance.ledger.connection import connect, set_business_day
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import SealingKey
from issuance.vault.keys import OPENING, KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import plain, schema_text
from issuance.wire.codec import FRAME, Codec

DAY = OPENS + timedelta(days=60)
PHONE = "15400000000"
CARDS_OF_A_BANK = 12
RUN = 5
"""Refused messages in a row that pause a partner: one in four is refused, so about every 500 messages."""


@dataclass
class World:
    """What messages are made of."""

    settings: Settings
    refs: list[UUID]
    by_owner: dict[str, list[UUID]]
    """Plastics by their bank and by their factory."""
    partners: list[Partner]
    opening: SealingKey
    foreign: bytes
    """The frame of a schema of another kind."""
    person: dict[str, str]
    codec: Codec
    sequences: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    frames: dict[str, bytes] = field(default_factory=dict)

    def plastics_of(self, owner: str | None, kind: str) -> Sequence[UUID]:
        """The plastics that a partner may report about."""
        return self.by_owner[owner] if owner and kind in ("bank", "factory") else self.refs

    def next_of(self, maker: Any) -> int:
        """The next sequence of a sender."""
        self.sequences[maker.owner] += 1
        return self.sequences[maker.owner]

    def frame(self, record: str, value: dict[str, Any], owner: str | None, family: str) -> bytes:
        """A value as it is sent, written without logical types."""
        import io

        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, fastavro.parse_schema(plain(json.loads(schema_text(record)))), value)
        topic = topic_of(family, owner)
        if topic not in self.frames:
            self.frames[topic] = self.codec.frame(topic, b"")
        return self.frames[topic] + buffer.getvalue()


def make_world(stack: Settings, directory: Path, name: str) -> World:
    """A fresh ledger on a running stack; its registry pauses partners early."""
    file = directory / "partners.yaml"
    data = yaml.safe_load(stack.partners_file.read_text(encoding="utf-8"))
    file.write_text(
        yaml.safe_dump(json.loads(json.dumps(data | {"limits": {"run": RUN, "ratio": 1.0}}, default=str))),
        encoding="utf-8",
    )
    url = fresh_database(stack.database_url, name)
    new_ledger(url)
    settings = replace(stack, database_url=url, partners_file=file)
    registry = load_registry(file)
    banks = [*registry.factory_of_bank.items(), ("ICBC", registry.backup_factory)]
    with connect(url) as connection:
        refs = make_cohort(connection, CARDS_OF_A_BANK * len(banks))
        by_owner: dict[str, list[UUID]] = defaultdict(list)
        for number, (bank, factory) in enumerate(banks):
            own = refs[number * CARDS_OF_A_BANK : (number + 1) * CARDS_OF_A_BANK]
            for table in ("card", "plastic"):
                change = f"UPDATE {table} SET bank = %s, factory = %s WHERE card_ref = ANY (%s)"
                connection.execute(change, (bank, factory, own))
            by_owner[bank] += own
            by_owner[factory] += own
        set_business_day(connection, DAY)
    keys = KeyService(stack.keys_dir)
    keys.create_cohort_key(COHORT)
    Vault(ObjectStore.of(stack), keys, COHORT).write_block(1, [PERSON] * len(refs))
    client = SchemaRegistryClient({"url": stack.schema_registry_url})
    foreign = client.register_schema(
        "fuzz-foreign", Schema('{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {}}', "JSON")
    )
    client.close()
    opening = SealingKey(OPENING, "RSA-OAEP-256", keys.opening_public_keys()[0].pem)
    codec = Codec(stack.schema_registry_url)
    return World(
        settings, refs, by_owner, list(registry.partners.values()), opening, FRAME.pack(0, foreign), PERSON, codec
    )
