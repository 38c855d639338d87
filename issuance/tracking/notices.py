"""Notices to holders: decided per card, sent in batches, the contacts sealed to the notifier. No links in any text."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import fastavro

from issuance.dispatch.partner_keys import sealing_key
from issuance.ledger.changes import overlays
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.erased import erased
from issuance.ledger.outbox import Outgoing, write_outbox
from issuance.lifecycle import TEMPLATES
from issuance.partners import load_registry, topic_of
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import seal_to
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import schema_of


def send_notices(settings: Settings) -> int:
    """Send every decided notice that is in no batch yet; returns how many.

    A batch's id derives from cohort, template and day; the file is stored first, and a repeat replaces it.
    """
    registry = load_registry(settings.partners_file)
    notifier = registry.of_kind("notifier")[0].id
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.notices'))")
        day = business_day(connection)
        batches = _unsent(connection)
        if not batches:
            return 0
        key = sealing_key(connection, settings, registry, notifier, day)
        vaults = {cohort_id: Vault(store, keys, cohort_id) for cohort_id, _ in batches}
        for (cohort_id, template), rows in batches.items():
            batch = Batch(cohort_id, template, day, notifier)
            batch_id = _claim(connection, batch, rows)
            contacts = _contacts(vaults[cohort_id], template, rows)
            sealed = seal_to(key, encode_contacts(contacts))
            sha256 = store.put(f"notices/{notifier}/{batch_id}.jwe", sealed)
            write_outbox(connection, [_message(batch, batch_id, len(rows), sha256)], day)
    return sum(len(rows) for rows in batches.values())


class Batch(NamedTuple):
    """What a batch of notices has in common."""

    cohort_id: str
    template: str
    day: date
    notifier: str


def _unsent(connection: Connection) -> dict[tuple[str, str], list[Any]]:
    """(card_ref, block, position, overlays) of every unsent notice by (cohort, template), sorted by block.

    Nobody can be told whose contact was erased: such a notice stays decided and unsent.
    """
    rows = connection.execute(
        "SELECT cohort_id, d.reason, d.card_ref, c.block, c.position, o.overlays FROM decision d"
        f" JOIN card c USING (card_ref) JOIN cohort USING (cohort_no){overlays()}"
        f" WHERE d.kind = 'NOTICE' AND d.batch_id IS NULL AND NOT {erased()}"
        " ORDER BY cohort_id, d.reason, block, position"
    ).fetchall()
    batches: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for cohort_id, template, *place in rows:
        batches[cohort_id, template].append(place)
    return batches


def _claim(connection: Connection, batch: Batch, rows: list[Any]) -> str:
    """Put the notices into the day's next batch of their template; returns its id."""
    (standing,) = connection.execute(
        "SELECT count(*) FROM outbox WHERE topic = %s AND ce_id LIKE %s",
        (topic_of("notices", batch.notifier), f"{batch.cohort_id}.{batch.template}.{batch.day}.%"),
    ).fetchone() or (0,)
    batch_id = f"{batch.cohort_id}.{batch.template}.{batch.day}.{standing}"
    connection.execute(
        "UPDATE decision SET batch_id = %s WHERE kind = 'NOTICE' AND batch_id IS NULL AND reason = %s"
        " AND card_ref = ANY (%s)",
        (batch_id, batch.template, [row[0] for row in rows]),
    )
    return batch_id


def _message(batch: Batch, batch_id: str, count: int, sha256: str) -> Outgoing:
    value = {
        "batch_id": batch_id,
        "notifier": batch.notifier,
        "cohort_id": batch.cohort_id,
        "template": batch.template,
        "count": count,
        "object": f"notices/{batch.notifier}/{batch_id}.jwe",
        "sha256": sha256,
        "business_day": batch.day,
    }
    return Outgoing(batch_id, topic_of("notices", batch.notifier), batch.cohort_id, "notice", value)


def _contacts(vault: Vault, template: str, rows: list[Any]) -> Iterator[dict[str, str]]:
    persons = vault.read_persons(place for _, *place in rows)
    for (card_ref, *_), person in zip(rows, persons, strict=True):
        yield {"card_ref": str(card_ref), "phone": person["phone"], "text": TEMPLATES[template][0]}


def encode_contacts(contacts: Iterator[dict[str, str]]) -> bytes:
    """An Avro container of contacts."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema_of("contact"), contacts, codec="deflate")
    return buffer.getvalue()
