"""Orders that the kit sends: valid ones by the production sealer, and corrupted ones that a factory has to refuse."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from issuance.conformance.cohort import Check
from issuance.dispatch.job_acts import cancel_message, resend_job
from issuance.dispatch.jobfile import encode_job, seal_signed
from issuance.dispatch.seal import Contents, Job, SealedFile, Sealer, order_message, send_order
from issuance.errors import Refused
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings
from issuance.vault.keys import NamedKey
from issuance.vault.objects import ObjectStore
from issuance.wire.outbox import write_outbox

UNKNOWN_ALGORITHM = "RSA-OAEP-512"
"""An algorithm that is not in the contract."""


class Bent(NamedTuple):
    """A stored file, and what its order says about it."""

    stored: bytes
    said: SealedFile


def _said(stored: bytes, contents: Contents) -> SealedFile:
    return SealedFile(hashlib.sha256(stored).hexdigest(), contents.key.key_id, contents.key.algorithm)


def other_hash(job: Job, contents: Contents) -> Bent:
    """The order has the hash of other bytes."""
    stored = seal_signed(encode_job(contents.records, job.job_id, job.hash_total), contents.signing, contents.key)
    return Bent(stored, _said(stored[::-1], contents))


def other_count(job: Job, contents: Contents) -> Bent:
    """The file holds one record less than the order says."""
    fewer = encode_job(contents.records[:-1], job.job_id, job.hash_total)
    stored = seal_signed(fewer, contents.signing, contents.key)
    return Bent(stored, _said(stored, contents))


def other_signature(job: Job, contents: Contents) -> Bent:
    """Signed by a stranger under the name of our key."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    stranger = NamedKey(contents.signing.key_id, pem)
    stored = seal_signed(encode_job(contents.records, job.job_id, job.hash_total), stranger, contents.key)
    return Bent(stored, _said(stored, contents))


def other_algorithm(job: Job, contents: Contents) -> Bent:
    """Its header names an algorithm that is not in the contract."""
    whole = seal_signed(encode_job(contents.records, job.job_id, job.hash_total), contents.signing, contents.key)
    _, _, rest = whole.partition(b".")
    header = {"alg": UNKNOWN_ALGORITHM, "enc": "A256GCM", "kid": contents.key.key_id, "cty": "JWS"}
    stored = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=") + b"." + rest
    return Bent(stored, _said(stored, contents)._replace(algorithm=UNKNOWN_ALGORITHM))


BENDS: Mapping[str, Callable[[Job, Contents], Bent]] = {
    "hash": other_hash,
    "count": other_count,
    "signature": other_signature,
    "algorithm": other_algorithm,
}
"""Order: how its file is corrupted."""


class Orders:
    """Sends the orders of one check."""

    def __init__(self, settings: Settings, check: Check) -> None:
        self._settings = settings
        self._check = check
        self._sealer = Sealer(settings)
        self._store = ObjectStore.of(settings)
        self.jobs = {job.job_id: job for job in self._sealer.unsealed(check.cohort_id, 1)}

    def job(self, order: str) -> Job:
        """The job of an order."""
        return self.jobs[self._check.job_id(order)]

    def send(self, order: str) -> None:
        """Seal an order's job and send it, corrupted if its name says so."""
        bend = BENDS.get(order)
        if bend is None:
            self._sealer.seal_job(self.job(order))
            return
        job = self.job(order)
        bent = bend(job, self._sealer.contents(job))
        self._store.put_if_absent(job.object, bent.stored)
        with transaction(self._settings.database_url) as connection:
            send_order(connection, job, bent.said)

    def cancel(self, order: str) -> None:
        """Cancel a whole job, whether its order was sent or not."""
        job = self.job(order)
        with transaction(self._settings.database_url) as connection:
            day = business_day(connection)
            connection.execute("UPDATE job SET cancelled_on = %s WHERE job_id = %s", (day, job.job_id))
            write_outbox(connection, [cancel_message(job)], day)

    def resend(self, order: str) -> None:
        """Send an order again as `issuance job resend` does; after a factory's answer, only the message."""
        job = self.job(order)
        try:
            with transaction(self._settings.database_url) as connection:
                resend_job(connection, self._store, job.job_id, self._check.user)
        except Refused:
            with transaction(self._settings.database_url) as connection:
                row = connection.execute(
                    "SELECT sha256, key_id, algorithm FROM sealed_job WHERE job_id = %s", (job.job_id,)
                ).fetchone()
                if row:
                    write_outbox(connection, [order_message(job, SealedFile(*row), 1)], business_day(connection))
