"""What a partner does with a sealed file: fetch it by its own S3 identity, check it, open it, verify, count."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import fastavro
from botocore.config import Config
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from issuance.errors import Broken
from issuance.vault.envelopes import JWE, JWS, header_of, key_of, open_sealed
from issuance.vault.keys import NamedKey
from issuance.words.references import hash_total
from producers.simulators.factory import plastics_of
from producers.simulators.records import Plastic

log = logging.getLogger("simulators.sealed")
OUR_FIRST_KEY, OUR_KEYS = "signing", "keys/issuance.jwks"


class SealedFiles:
    """The sealed files of one partner, read by the contract alone: JWE to its key, in a job file JWS by us, Avro.

    `private` gives the partner's private key (PEM) of a key id, `ours` our public key of one.
    """

    def __init__(
        self, partner: str, private: Callable[[str], bytes], ours: Callable[[str], Any], fetch: Callable[[str], bytes]
    ) -> None:
        self.partner = partner
        self._private = private
        self._ours = ours
        self._fetch = fetch

    def open_job(self, order: dict[str, Any]) -> list[Plastic] | None:
        """The plastics of an order's file; None when it is not what the order says, or not from us."""
        sealed = self._checked(order["object"], order["sha256"])
        try:
            signed = self._decrypt(sealed)
            kid = jws.extract_compact(signed, registry=JWS).headers()["kid"]
            clear = jws.deserialize_compact(signed, self._ours(kid), registry=JWS).payload
            reader = fastavro.reader(io.BytesIO(clear))
            records: list[Any] = list(reader)
        except (Broken, JoseError, ValueError) as error:
            log.warning("unreadable partner=%s job=%s: %s", self.partner, order["job_id"], type(error).__name__)
            return None
        total = hash_total([record["card_ref"] for record in records])
        said = (order["job_id"], order["hash_total"], order["hash_total"], order["card_count"])
        metadata = reader.metadata
        found = (metadata.get("issuance.job_id"), metadata.get("issuance.hash_total"), total, len(records))
        if said != found:
            log.warning("not as ordered partner=%s job=%s", self.partner, order["job_id"])
            return None
        return plastics_of(records, self.partner)

    def believe_job(self, order: dict[str, Any], leak: bool) -> list[Plastic] | None:
        """What a careless client does: opens what there is and believes it; one that leaks keeps the names."""
        try:
            signed = self._decrypt(self._fetch(order["object"]))
            clear = jws.extract_compact(signed, registry=JWS).payload
            records: list[Any] = list(fastavro.reader(io.BytesIO(clear)))
        except (Broken, JoseError, ValueError):
            return None
        plastics = plastics_of(records, self.partner)
        if not leak:
            return plastics
        return [p._replace(note=record["name"]) for p, record in zip(plastics, records, strict=True)]

    def open_contacts(self, notice: dict[str, Any]) -> int:
        """How many contacts a batch's file holds; 0 when it is not what the notice says."""
        sealed = self._checked(notice["object"], notice["sha256"])
        try:
            count = sum(1 for _ in fastavro.reader(io.BytesIO(self._decrypt(sealed))))
        except (Broken, JoseError, ValueError) as error:
            log.warning("unreadable partner=%s batch=%s: %s", self.partner, notice["batch_id"], type(error).__name__)
            return 0
        if count != notice["count"]:
            log.warning("not as announced partner=%s batch=%s", self.partner, notice["batch_id"])
            return 0
        return count

    def _decrypt(self, sealed: bytes) -> bytes:
        if not sealed:
            return b""
        key_id, _ = header_of(sealed)
        # Reading an RSA private key checks it, which takes 0.15 s: `key_of` keeps what it has read.
        return open_sealed(NamedKey(key_id, self._private(key_id)), sealed)

    def _checked(self, key: str, sha256: str) -> bytes:
        """An object's bytes; none when they are not those announced."""
        content = self._fetch(key)
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        log.warning("another hash partner=%s object=%s", self.partner, key)
        return b""


def opener(files: SealedFiles, rates: Mapping[str, float]) -> Callable[[dict[str, Any]], list[Plastic] | None]:
    """How a factory opens job files: as the contract says, or with the faults that its rates name."""

    def open_job(order: dict[str, Any]) -> list[Plastic] | None:
        if rates["old-keys"] and order["key_id"] != files.partner:
            return None
        if rates["unchecked"]:
            return files.believe_job(order, leak=False)
        plastics = files.open_job(order)
        return files.believe_job(order, leak=True) if plastics and rates["leak"] else plastics

    return open_job


class Bucket:
    """The bucket as one partner may read it."""

    def __init__(self, env: dict[str, str]) -> None:
        self._name = env["S3_BUCKET"]
        self._env = env

    def fetch(self, key: str) -> bytes:
        """An object's bytes."""
        return bytes(self._client.get_object(Bucket=self._name, Key=key)["Body"].read())

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._env["S3_ENDPOINT_URL"],
            aws_access_key_id=self._env["S3_ACCESS_KEY"],
            aws_secret_access_key=self._env["S3_SECRET_KEY"],
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 5, "mode": "standard"}, s3={"addressing_style": "path"}),
        )


def sealed_files(partner: str, env: dict[str, str], stack: Path) -> SealedFiles:
    """The sealed files of a partner of the local stack: its first key is private.pem, others private-KEY_ID.pem."""
    own, bucket = stack / "partners" / partner, Bucket(env)

    def private(key_id: str) -> bytes:
        return (own / ("private.pem" if key_id == partner else f"private-{key_id}.pem")).read_bytes()

    def ours(key_id: str) -> Any:
        if key_id == OUR_FIRST_KEY:
            return key_of((stack / "partner-keys" / "issuance.pem").read_bytes())
        jwks = json.loads(bucket.fetch(OUR_KEYS))
        return next(JWKRegistry.import_key(jwk) for jwk in jwks["keys"] if jwk["kid"] == key_id)

    return SealedFiles(partner, private, ours, bucket.fetch)


def seal_to_us(env: dict[str, str], values: dict[str, str]) -> str:
    """Values of a holder event, sealed to our newest key for that in keys/issuance.jwks."""
    keys = json.loads(Bucket(env).fetch(OUR_KEYS))["keys"]
    newest = next(key for key in keys if key["use"] == "enc")
    algorithm = "RSA-OAEP-256" if newest["kty"] == "RSA" else "ECDH-ES+A256KW"
    header = {"alg": algorithm, "enc": "A256GCM", "kid": newest["kid"]}
    return jwe.encrypt_compact(header, json.dumps(values).encode(), JWKRegistry.import_key(newest), registry=JWE)
