"""What a partner does with a sealed file: fetch it by its own S3 identity, check it, open it, verify, count."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import boto3
import fastavro
from botocore.config import Config
from joserfc import jwe
from joserfc.errors import JoseError

from issuance.dispatch.jobfile import JWE, key_of, open_job_file
from issuance.tracking.reports import hash_total
from producers.simulators.factory import plastics_of
from producers.simulators.records import Plastic

log = logging.getLogger("simulators.sealed")


class SealedFiles:
    """The sealed files of one partner."""

    def __init__(self, partner: str, env: dict[str, str], private_pem: bytes, our_public_pem: bytes) -> None:
        self._partner = partner
        self._env = env
        self._private = private_pem
        self._ours = our_public_pem
        self._client: Any = None

    def open_job(self, order: dict[str, Any]) -> list[Plastic] | None:
        """The plastics of an order's file; None when it is not what the order says, or not from us."""
        sealed = self._fetch(order["object"], order["sha256"])
        try:
            metadata, records = open_job_file(sealed or b"", self._private, self._ours)
        except (JoseError, ValueError) as error:
            log.warning("unreadable partner=%s job=%s: %s", self._partner, order["job_id"], type(error).__name__)
            return None
        total = hash_total([record["card_ref"] for record in records])
        said = (order["job_id"], order["hash_total"], order["hash_total"], order["card_count"])
        found = (metadata.get("issuance.job_id"), metadata.get("issuance.hash_total"), total, len(records))
        if said != found:
            log.warning("not as ordered partner=%s job=%s", self._partner, order["job_id"])
            return None
        return plastics_of(records, self._partner)

    def open_contacts(self, notice: dict[str, Any]) -> int:
        """How many contacts a batch's file holds; 0 when it is not what the notice says."""
        sealed = self._fetch(notice["object"], notice["sha256"])
        try:
            clear = jwe.decrypt_compact(sealed or b"", key_of(self._private), registry=JWE).plaintext or b""
            count = sum(1 for _ in fastavro.reader(io.BytesIO(clear)))
        except (JoseError, ValueError) as error:
            log.warning("unreadable partner=%s batch=%s: %s", self._partner, notice["batch_id"], type(error).__name__)
            return 0
        if count != notice["count"]:
            log.warning("not as announced partner=%s batch=%s", self._partner, notice["batch_id"])
            return 0
        return count

    def _fetch(self, key: str, sha256: str) -> bytes | None:
        """An object's bytes; None when they are not those announced."""
        if self._client is None:
            self._client = boto3.client(
                "s3",
                endpoint_url=self._env["S3_ENDPOINT_URL"],
                aws_access_key_id=self._env["S3_ACCESS_KEY"],
                aws_secret_access_key=self._env["S3_SECRET_KEY"],
                region_name="us-east-1",
                config=Config(retries={"max_attempts": 5, "mode": "standard"}, s3={"addressing_style": "path"}),
            )
        content = bytes(self._client.get_object(Bucket=self._env["S3_BUCKET"], Key=key)["Body"].read())
        if hashlib.sha256(content).hexdigest() != sha256:
            log.warning("another hash partner=%s object=%s", self._partner, key)
            return None
        return content


def sealed_files(partner: str, env: dict[str, str], stack: Path) -> SealedFiles:
    """The sealed files of a partner of the local stack."""
    private = (stack / "partners" / partner / "private.pem").read_bytes()
    return SealedFiles(partner, env, private, (stack / "partner-keys" / "issuance.pem").read_bytes())
