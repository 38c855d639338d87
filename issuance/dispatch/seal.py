"""Sealing and sending the jobs of a released wave; both only read the frozen plan."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from issuance.city.city import City, load_cities
from issuance.city.partners import Registry, topic_of
from issuance.dispatch.jobfile import encode_job, seal_signed
from issuance.dispatch.packs import encode_packs, pack_of
from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.overlays import HOLDS, overlays
from issuance.ledger.queries import city_of, one
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import SealingKey, header_of, seal_to
from issuance.vault.keys import KeyService, NamedKey
from issuance.vault.objects import ObjectStore
from issuance.vault.partner_keys import sealing_key
from issuance.vault.photos import read_photo
from issuance.wire.news import tell_cohort
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.words.collection import METHODS


class Job(NamedTuple):
    """A frozen job."""

    job_id: str
    cohort_no: int
    cohort_id: str
    wave: int
    bank: str
    factory: str
    due_on: date
    card_count: int
    hash_total: str

    @property
    def object(self) -> str:
        """The object key of its sealed file."""
        return f"factories/{self.factory}/jobs/{self.job_id}.jwe"

    @property
    def packs_object(self) -> str:
        """The object key of the signed lists of its employer packs."""
        return f"factories/{self.factory}/jobs/{self.job_id}.packs.jwe"

    def photo_object(self, card_ref: UUID) -> str:
        """The object key of a photo that came with an application."""
        return f"factories/{self.factory}/jobs/{self.job_id}.photos/{card_ref}.jwe"


class SealedFile(NamedTuple):
    """A stored job file: the hash of its bytes and the key it is sealed to."""

    sha256: str
    key_id: str
    algorithm: str


LETTER_FIELDS = frozenset({"phone", "address", "postcode"})
"""Personal fields that only a plastic delivered to its holder's address needs."""


ACCOUNT_KEEPING = frozenset({"replacement", "exchange"})
"""Kinds of application whose card may keep the account of the old one."""


class Order(NamedTuple):
    """One plastic of a job, with its person as the vault has it."""

    card_ref: UUID
    attempt: int
    method: str
    place: str
    kind: str
    person: dict[str, Any]

    @property
    def by_letter(self) -> bool:
        """Whether it goes to the holder's address."""
        return METHODS[self.method].to_holder


class Contents(NamedTuple):
    """What a job's files are made of: records and pack lists in the clear, the factory's and our current keys."""

    records: list[dict[str, Any]]
    packs: bytes
    key: SealingKey
    signing: NamedKey


class Sealer:
    """Seals jobs for factories."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cities = load_cities(settings)
        self._registry: Registry = self._cities.partners
        self._store = ObjectStore.of(settings)
        self._keys = KeyService(settings.keys_dir)
        self._vaults: dict[str, Vault] = {}
        self._city_of: dict[int, City] = {}

    def seal_wave(self, cohort_id: str, wave: int, factory: str | None = None) -> int:
        """Seal and send what is unsealed of a wave, of one factory or all; returns the number of jobs sent."""
        sent = 0
        for job in self.unsealed(cohort_id, wave, factory):
            self.seal_job(job)
            sent += 1
        return sent

    def seal_job(self, job: Job) -> None:
        """Seal one job and write its order to the outbox; its file is stored once, under its own name.

        Photos and pack lists are stored first, so that whoever reads the order finds them.

        Raises:
            Refused: its wave is not released, or its factory is suspended.
        """
        contents = self.contents(job)
        key, signing = contents.key, contents.signing
        if contents.packs:
            self._store.put_if_absent(job.packs_object, seal_signed(contents.packs, signing, key))
        sealed = seal_signed(encode_job(contents.records, job.job_id, job.hash_total), signing, key)
        # an earlier try may have stored it, sealed to the key of that day: the stored one counts
        stored = self._store.put_if_absent(job.object, sealed)
        file = SealedFile(hashlib.sha256(stored).hexdigest(), *header_of(stored))
        with transaction(self._settings.database_url) as connection:
            send_order(connection, job, file)

    def contents(self, job: Job) -> Contents:
        """What a job's file is made of; photos are sealed and stored.

        Raises:
            Refused: its wave is not released.
        """
        key, signing = self._prepare(job)
        orders = self._orders(job)
        city = self._city(job)
        records = [self._record(city, job, order, key) for order in orders]
        packs = encode_packs(job.job_id, zip(records, (order.person["masked"] for order in orders), strict=True))
        return Contents(records, packs, key, signing)

    def _prepare(self, job: Job) -> tuple[SealingKey, NamedKey]:
        """The factory's and our current keys; also freezes which holder events the file will carry.

        Called before any person is read, and only if the wave is released; the foreign key of sealed_job guarantees it
        even without this check.
        """
        if job.factory in self._registry.suspended:
            raise Refused(
                "PARTNER_SUSPENDED",
                f"{job.factory} 已停用，不密封任务 {job.job_id}；恢复后重跑，或拒绝该计划。"
                f" / {job.factory} is suspended: job {job.job_id} is not sealed; resume and retry, or refuse the plan.",
                job_id=job.job_id,
            )
        with transaction(self._settings.database_url) as connection:
            row = connection.execute(
                "SELECT FROM release WHERE (cohort_no, wave) = (%s, %s)", (job.cohort_no, job.wave)
            ).fetchone()
            if row is None:
                raise _not_released(job)
            connection.execute(
                "UPDATE job SET carries = ARRAY(SELECT event_no FROM job_item i JOIN holder_event e USING (card_ref)"
                f" WHERE i.job_id = job.job_id AND {HOLDS}) WHERE job_id = %s AND carries IS NULL",
                (job.job_id,),
            )
            day = business_day(connection)
            key = sealing_key(connection, self._settings, self._registry, job.factory, day)
        return key, self._keys.signing_key(day)

    def unsealed(self, cohort_id: str, wave: int, factory: str | None = None) -> list[Job]:
        """The jobs of a wave that have no file yet, of one factory or all."""
        with transaction(self._settings.database_url) as connection:
            rows = connection.execute(
                "SELECT job_id, cohort_no, cohort_id, wave, bank, factory, due_on, card_count, hash_total"
                " FROM job JOIN cohort USING (cohort_no) LEFT JOIN sealed_job s USING (job_id, cohort_no, wave)"
                " WHERE cohort_id = %s AND wave = %s AND s.job_id IS NULL AND (%s::text IS NULL OR factory = %s)"
                " ORDER BY due_on, job_id",
                (cohort_id, wave, factory, factory),
            ).fetchall()
        return [Job(*row) for row in rows]

    def _orders(self, job: Job) -> list[Order]:
        """What is ordered, in the job's order, with each person as it was when `carries` was frozen."""
        with transaction(self._settings.database_url) as connection:
            items = connection.execute(
                "SELECT i.card_ref, i.attempt, c.collection_method, c.place, c.kind, c.block, c.position, o.overlays"
                f" FROM job_item i JOIN job j USING (job_id) JOIN card c USING (card_ref)"
                f"{overlays('e.event_no = ANY (j.carries)')} WHERE i.job_id = %s ORDER BY i.position",
                (job.job_id,),
            ).fetchall()
        vault = self._vaults.setdefault(job.cohort_id, Vault(self._store, self._keys, job.cohort_id))
        persons = vault.read_persons((item[5], item[6], item[7]) for item in items)
        return [
            Order(card_ref, attempt, method, place, kind, person)
            for (card_ref, attempt, method, place, kind, *_), person in zip(items, persons, strict=True)
        ]

    def _city(self, job: Job) -> City:
        if job.cohort_no not in self._city_of:
            with transaction(self._settings.database_url) as connection:
                self._city_of[job.cohort_no] = self._cities[city_of(connection, job.cohort_no)]
        return self._city_of[job.cohort_no]

    def _record(self, city: City, job: Job, order: Order, key: SealingKey) -> dict[str, Any]:
        """A PersonalizationRecord with only the fields that the registry grants this partner."""
        granted = self._registry.partners[job.factory].fields
        wanted = [n for n in granted if order.by_letter or n not in LETTER_FIELDS]
        if order.kind not in ACCOUNT_KEEPING or not city.policy.keep_account:
            wanted = [n for n in wanted if n != "old_card_number"]
        record = {
            "card_ref": str(order.card_ref),
            "attempt": order.attempt,
            "bank": job.bank,
            "collection_method": order.method,
            "place": order.place,
            "pack": pack_of(job.job_id, order.method, order.place),
            "postage": city.policy.postage_of(order.method),
            **{name: order.person[name] or None for name in wanted},
        }
        if record.get("photo_ref"):
            record["photo_ref"] = self._seal_photo(job, order, key)
        return record

    def _seal_photo(self, job: Job, order: Order, key: SealingKey) -> str | None:
        """Seal a photo that came with the application to the same key; None: HRSS's photo on file is used."""
        sha256 = order.person["photo_sha256"]
        if not sha256:
            return None
        photo = read_photo(self._store, self._keys, job.cohort_id, sha256)
        name = job.photo_object(order.card_ref)
        self._store.put_if_absent(name, seal_to(key, photo, cty="image/jpeg"))
        return name


def finish_dispatch(settings: Settings, cohort_id: str, wave: int) -> None:
    """Mark the wave as dispatched, on the day on which its last job was sealed: run again later, it says the same."""
    with transaction(settings.database_url) as connection:
        connection.execute(
            "UPDATE cohort SET state = 'DISPATCHED' WHERE cohort_id = %s AND state = 'ACCEPTED'", (cohort_id,)
        )
        (sealed_on,) = one(
            connection,
            "SELECT max(sealed_on) FROM sealed_job JOIN job j USING (job_id) JOIN cohort c ON c.cohort_no = j.cohort_no"
            " WHERE cohort_id = %s AND j.wave = %s AND NOT remake",
            (cohort_id, wave),
        )
        tell_cohort(connection, cohort_id, "DISPATCHED", sealed_on or business_day(connection), wave=wave)


def order_message(job: Job, file: SealedFile, again: int = 0) -> Outgoing:
    """The order of a sealed job; `again` counts how often it was resent."""
    value = {
        "job_id": job.job_id,
        "action": "ORDER",
        "cohort_id": job.cohort_id,
        "bank": job.bank,
        "wave": job.wave,
        "card_count": job.card_count,
        "hash_total": job.hash_total,
        "object": job.object,
        **file._asdict(),
        "due_on": job.due_on,
    }
    ce_id = f"{job.job_id}/ORDER" + (f"/{again}" if again else "")
    return Outgoing(ce_id, topic_of("card-jobs", job.factory), job.job_id, "card_job", value)


def send_order(connection: Connection, job: Job, file: SealedFile) -> None:
    """Record a job's stored file and write its order to the outbox, in the open transaction."""
    day = business_day(connection)
    _record_seal(connection, job, file, day)
    write_outbox(connection, [order_message(job, file)], day)
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM job_item WHERE job_id = %s", (job.job_id,))


def _record_seal(connection: Connection, job: Job, file: SealedFile, day: date) -> None:
    try:
        connection.execute(
            "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (job_id) DO NOTHING",
            (job.job_id, job.cohort_no, job.wave, job.object, *file, day, day),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise _not_released(job) from error


def _not_released(job: Job) -> Refused:
    return Refused(
        "NOT_RELEASED",
        f"任务 {job.job_id} 尚未由第二人放行。 / job {job.job_id} has not been released by a second person.",
        job_id=job.job_id,
    )
