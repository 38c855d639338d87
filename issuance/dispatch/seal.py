"""Sealing and sending the jobs of a released wave; both only read the frozen plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from issuance.dispatch.jobfile import SealingKey, encode_job, header_of, seal_job_file
from issuance.dispatch.partner_keys import sealing_key
from issuance.errors import Refused
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.news import tell_cohort
from issuance.ledger.outbox import Outgoing, write_outbox
from issuance.partners import Registry, load_registry, topic_of
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.keys import KeyService, SigningKey
from issuance.vault.objects import ObjectStore


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


class SealedFile(NamedTuple):
    """A stored job file: the hash of its bytes and the key it is sealed to."""

    sha256: str
    key_id: str
    algorithm: str


class Sealer:
    """Seals jobs for factories."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry: Registry = load_registry(settings.partners_file)
        self._store = ObjectStore.of(settings)
        self._keys = KeyService(settings.keys_dir)
        self._vaults: dict[str, Vault] = {}

    def seal_wave(self, cohort_id: str, wave: int, factory: str | None = None) -> int:
        """Seal and send what is unsealed of a wave, of one factory or all; returns the number of jobs sent."""
        sent = 0
        for job in self._unsealed(cohort_id, wave, factory):
            self.seal_job(job)
            sent += 1
        return sent

    def seal_job(self, job: Job) -> None:
        """Seal one job and write its order to the outbox; its file is stored once, under its own name.

        Raises:
            Refused: no release stands for its wave.
        """
        key, signing = self._keys_for(job)
        sealed = seal_job_file(encode_job(self._records(job), job.job_id, job.hash_total), signing, key)
        # an earlier try may have stored it, sealed to the key of that day: what stands is what counts
        stored = self._store.put_if_absent(job.object, sealed)
        standing = SealedFile(hashlib.sha256(stored).hexdigest(), *header_of(stored))
        with transaction(self._settings.database_url) as connection:
            day = business_day(connection)
            _record_seal(connection, job, standing, day)
            write_outbox(connection, [order_message(job, standing)], day)
            connection.execute(
                "INSERT INTO changed_card SELECT card_ref FROM job_item WHERE job_id = %s", (job.job_id,)
            )

    def _keys_for(self, job: Job) -> tuple[SealingKey, SigningKey]:
        """The factory's key and ours of today; asked before reading any person, and only if the wave is released.

        The foreign key of sealed_job holds even if nobody asks.
        """
        with transaction(self._settings.database_url) as connection:
            row = connection.execute(
                "SELECT FROM release WHERE (cohort_no, wave) = (%s, %s)", (job.cohort_no, job.wave)
            ).fetchone()
            if row is None:
                raise _not_released(job)
            day = business_day(connection)
            key = sealing_key(connection, self._settings, self._registry, job.factory, day)
        return key, self._keys.signing_key(day)

    def _unsealed(self, cohort_id: str, wave: int, factory: str | None) -> list[Job]:
        with transaction(self._settings.database_url) as connection:
            rows = connection.execute(
                "SELECT job_id, cohort_no, cohort_id, wave, bank, factory, due_on, card_count, hash_total"
                " FROM job JOIN cohort USING (cohort_no) LEFT JOIN sealed_job s USING (job_id, cohort_no, wave)"
                " WHERE cohort_id = %s AND wave = %s AND s.job_id IS NULL AND (%s::text IS NULL OR factory = %s)"
                " ORDER BY due_on, job_id",
                (cohort_id, wave, factory, factory),
            ).fetchall()
        return [Job(*row) for row in rows]

    def _records(self, job: Job) -> Iterator[dict[str, Any]]:
        """The job's records in order, with only the fields this partner may see."""
        with transaction(self._settings.database_url) as connection:
            items = connection.execute(
                "SELECT i.card_ref, i.attempt, c.collection_method, c.place, c.block, c.position"
                " FROM job_item i JOIN card c USING (card_ref) WHERE i.job_id = %s ORDER BY i.position",
                (job.job_id,),
            ).fetchall()
        vault = self._vaults.setdefault(job.cohort_id, Vault(self._store, self._keys, job.cohort_id))
        persons = vault.read_persons((block, position) for *_, block, position in items)
        for (card_ref, attempt, method, place, _, _), person in zip(items, persons, strict=True):
            yield self._record(job, card_ref, attempt, method, place, person)

    def _record(
        self, job: Job, card_ref: UUID, attempt: int, method: str, place: str, person: dict[str, Any]
    ) -> dict[str, Any]:
        letter = ("phone", "address", "postcode")
        granted = [n for n in self._registry.factory_fields if method in ("mail", "home_delivery") or n not in letter]
        order = {"card_ref": str(card_ref), "attempt": attempt, "bank": job.bank}
        return {
            **order,
            "collection_method": method,
            "place": place,
            **{name: person[name] or None for name in granted},
        }


def finish_dispatch(settings: Settings, cohort_id: str, wave: int) -> None:
    """The wave is on its way."""
    with transaction(settings.database_url) as connection:
        connection.execute(
            "UPDATE cohort SET state = 'DISPATCHED' WHERE cohort_id = %s AND state = 'ACCEPTED'", (cohort_id,)
        )
        tell_cohort(connection, cohort_id, "DISPATCHED", business_day(connection), wave=wave)


def order_message(job: Job, file: SealedFile, again: int = 0) -> Outgoing:
    """The order of a sealed job; `again` counts how often it was sent anew."""
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
        f"任务 {job.job_id} 尚未由第二人放行。 / job {job.job_id} has no release by a second person.",
        job_id=job.job_id,
    )
