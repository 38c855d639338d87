"""Notices to holders: decided per card, sent in batches, the contacts sealed to the notifier. No links in any text."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import fastavro

from issuance.city.city import served_city
from issuance.city.partners import topic_of
from issuance.clock import day_of
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.erased import erased
from issuance.ledger.overlays import overlays
from issuance.ledger.queries import one
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import seal_to
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.vault.partner_keys import sealing_key
from issuance.wire.avro import schema_of
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.words.codes import TEMPLATES


def send_notices(settings: Settings) -> int:
    """Send every decided notice that is not in a batch yet; returns how many.

    A batch's id derives from cohort, template and day; the file is stored first, and a repeat replaces it.
    """
    city = served_city(settings)
    notifier = city.partners.of_kind("notifier")[0].id
    keep = timedelta(days=city.policy.keep_days)
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.notices'))")
        day = business_day(connection)
        batches = _unsent(connection)
        if not batches:
            return 0
        key = sealing_key(connection, settings, city.partners, notifier, day)
        vaults = {cohort_id: Vault(store, keys, cohort_id) for cohort_id, _ in batches}
        for (cohort_id, template), rows in batches.items():
            batch = Batch(cohort_id, template, day, notifier)
            batch_id = _claim(connection, batch, rows)
            contacts = _contacts(vaults[cohort_id], template, rows, keep)
            sealed = seal_to(key, encode_contacts(contacts))
            sha256 = store.put(f"notices/{notifier}/{batch_id}.jwe", sealed)
            write_outbox(connection, [_message(batch, batch_id, len(rows), sha256)], day)
    return sum(len(rows) for rows in batches.values())


class Told(NamedTuple):
    """One holder to be notified: the values of the text, and where the person is in the vault."""

    card_ref: UUID
    carrier: str | None
    number: str | None
    place: str
    since: datetime
    person: tuple[int, int, list[str]]

    def text(self, template: str, keep: timedelta) -> str:
        """The template in Chinese, filled in; `keep` is how long a plastic waits at its place."""
        until = day_of(self.since) + keep
        return TEMPLATES[template][0].format(place=self.place, carrier=self.carrier, number=self.number, until=until)


class Batch(NamedTuple):
    """What a batch of notices has in common."""

    cohort_id: str
    template: str
    day: date
    notifier: str


def _unsent(connection: Connection) -> dict[tuple[str, str], list[Told]]:
    """Every unsent notice by (cohort, template), sorted by block.

    A holder whose contact was erased cannot be notified: such a notice stays decided and unsent.
    """
    rows = connection.execute(
        "SELECT cohort_id, d.reason, d.card_ref, carrier_of(d.consignment_id), tracking_no_of(d.consignment_id),"
        " c.place, c.since, c.block, c.position, o.overlays"
        " FROM decision d"
        f" JOIN card c USING (card_ref) JOIN cohort USING (cohort_no){overlays()}"
        f" WHERE d.kind = 'NOTICE' AND d.batch_id IS NULL AND NOT {erased()}"
        " ORDER BY cohort_id, d.reason, block, position"
    ).fetchall()
    batches: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for cohort_id, template, card_ref, carrier, number, place, since, *person in rows:
        batches[cohort_id, template].append(Told(card_ref, carrier, number, place, since, tuple(person)))
    return batches


def _claim(connection: Connection, batch: Batch, rows: list[Told]) -> str:
    """Put the notices into the day's next batch of their template; returns its id."""
    (earlier,) = one(
        connection,
        "SELECT count(*) FROM outbox WHERE topic = %s AND ce_id LIKE %s",
        (topic_of("notices", batch.notifier), f"{batch.cohort_id}.{batch.template}.{batch.day}.%"),
    )
    batch_id = f"{batch.cohort_id}.{batch.template}.{batch.day}.{earlier}"
    connection.execute(
        "UPDATE decision SET batch_id = %s WHERE kind = 'NOTICE' AND batch_id IS NULL AND reason = %s"
        " AND card_ref = ANY (%s)",
        (batch_id, batch.template, [told.card_ref for told in rows]),
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


def _contacts(vault: Vault, template: str, rows: list[Told], keep: timedelta) -> Iterator[dict[str, str]]:
    persons = vault.read_persons(told.person for told in rows)
    for told, person in zip(rows, persons, strict=True):
        yield {"card_ref": str(told.card_ref), "phone": person["phone"], "text": told.text(template, keep)}


def encode_contacts(contacts: Iterator[dict[str, str]]) -> bytes:
    """An Avro container of contacts."""
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema_of("contact"), contacts, codec="deflate")
    return buffer.getvalue()
