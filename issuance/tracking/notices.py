"""Notices to holders: decided per card, sent in batches, the contacts sealed to the notifier. No links in any text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import fastavro
from joserfc import jwe

from issuance.dispatch.jobfile import JWE, key_of
from issuance.dispatch.seal import partner_key
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.outbox import Outgoing, write_outbox
from issuance.lifecycle import TEMPLATES
from issuance.partners import load_registry, topic_of
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import schema_of


def send_notices(settings: Settings) -> int:
    """Send every decided notice that is in no batch yet; returns how many.

    A batch's id derives from cohort, template and day; the file is stored first, and a repeat replaces it.
    """
    registry = load_registry(settings.partners_file)
    notifier = registry.of_kind("notifier")[0].id
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.notices'))")
        day = business_day(connection)
        sent = 0
        for cohort_id, template, number in _open_batches(connection):
            batch_id = f"{cohort_id}.{template}.{day}.{number}"
            sent += _send(settings, connection, notifier, cohort_id, template, batch_id, day)
    return sent


def _open_batches(connection: Connection) -> list[Any]:
    """(cohort, template, how many batches stand already) of everything unsent."""
    return connection.execute(
        """
        SELECT cohort_id, d.reason, (SELECT count(DISTINCT b.batch_id) FROM decision b JOIN card USING (card_ref)
            WHERE b.kind = 'NOTICE' AND b.reason = d.reason AND card.cohort_no = o.cohort_no AND b.batch_id IS NOT NULL)
        FROM decision d JOIN card c USING (card_ref) JOIN cohort o USING (cohort_no)
        WHERE d.kind = 'NOTICE' AND d.batch_id IS NULL GROUP BY cohort_id, o.cohort_no, d.reason ORDER BY 1, 2
        """
    ).fetchall()


def _send(
    settings: Settings,
    connection: Connection,
    notifier: str,
    cohort_id: str,
    template: str,
    batch_id: str,
    day: date,
) -> int:
    rows = connection.execute(
        "UPDATE decision d SET batch_id = %s FROM card c JOIN cohort o USING (cohort_no)"
        " WHERE d.card_ref = c.card_ref AND d.kind = 'NOTICE' AND d.batch_id IS NULL AND d.reason = %s"
        " AND o.cohort_id = %s RETURNING c.card_ref, c.block, c.position",
        (batch_id, template, cohort_id),
    ).fetchall()
    store = ObjectStore.of(settings)
    vault = Vault(store, KeyService(settings.keys_dir), cohort_id)
    rows.sort(key=lambda row: (row[1], row[2]))
    sealed = seal_contacts(_contacts(vault, template, rows), partner_key(settings, notifier), notifier)
    key = f"notices/{notifier}/{batch_id}.jwe"
    value = {
        "batch_id": batch_id,
        "notifier": notifier,
        "cohort_id": cohort_id,
        "template": template,
        "count": len(rows),
        "object": key,
        "sha256": store.put(key, sealed),
        "business_day": day,
    }
    write_outbox(connection, [Outgoing(batch_id, topic_of("notices", notifier), cohort_id, "notice", value)], day)
    return len(rows)


def _contacts(vault: Vault, template: str, rows: list[Any]) -> Iterator[dict[str, str]]:
    persons = vault.read_persons((block, position) for _, block, position in rows)
    for (card_ref, _, _), person in zip(rows, persons, strict=True):
        yield {"card_ref": str(card_ref), "phone": person["phone"], "text": TEMPLATES[template][0]}


def seal_contacts(contacts: Iterator[dict[str, str]], notifier_pem: bytes, key_id: str) -> bytes:
    """An Avro container of contacts in a JWE to the notifier's key."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema_of("contact"), contacts, codec="deflate")
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key_id}
    return jwe.encrypt_compact(header, buffer.getvalue(), key_of(notifier_pem), registry=JWE).encode()
