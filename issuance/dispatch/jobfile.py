"""The job file: an Avro container of PersonalizationRecord, signed by us inside, sealed to the factory outside.

JWS (compact) in JWE (compact), content encryption A256GCM; the key management algorithm is the registry's entry.
"""

from __future__ import annotations

import io
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import fastavro
from joserfc import jwe, jws
from joserfc.errors import InvalidKeyTypeError
from joserfc.jwk import ECKey, RSAKey

from issuance.errors import Misconfigured
from issuance.vault.keys import SigningKey
from issuance.wire.avro import schema_of

ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES+A256KW")
JWE = jwe.JWERegistry(algorithms=[*ALGORITHMS, "A256GCM"])
JWS = jws.JWSRegistry(algorithms=["PS256", "ES256"])
# At most 5,000 plastics a file: about 3 MB; the library's defaults are made for tokens.
JWE.max_ciphertext_length = JWS.max_payload_length = 64 * 1024 * 1024


class SealingKey(NamedTuple):
    """The key of a partner that a file is sealed to."""

    key_id: str
    algorithm: str
    pem: bytes


@lru_cache(maxsize=64)
def key_of(pem: bytes) -> RSAKey | ECKey:
    """The RSA or EC key of a PEM; reading a private one costs a seventh of a second, so it is kept."""
    try:
        return RSAKey.import_key(pem)
    except InvalidKeyTypeError:
        return ECKey.import_key(pem)


def encode_job(records: Iterable[Mapping[str, Any]], job_id: str, hash_total: str) -> bytes:
    """The clear container; its metadata name the job, so that a file cannot stand for another job."""
    buffer = io.BytesIO()
    fastavro.writer(
        buffer,
        schema_of("personalization_record"),
        records,
        codec="deflate",
        metadata={"issuance.job_id": job_id, "issuance.hash_total": hash_total},
    )
    return buffer.getvalue()


def seal_job_file(clear: bytes, signing: SigningKey, key: SealingKey) -> bytes:
    """Sign and seal a container; both headers name their key.

    Raises:
        Misconfigured: the key's algorithm is none that this version knows.
    """
    ours = key_of(signing.pem)
    header = {"alg": "ES256" if isinstance(ours, ECKey) else "PS256", "kid": signing.key_id}
    signed = jws.serialize_compact(header, clear, ours, registry=JWS)
    return seal_to(key, signed.encode(), cty="JWS")


def seal_to(key: SealingKey, clear: bytes, **header: str) -> bytes:
    """A JWE to a partner's key.

    Raises:
        Misconfigured: the key's algorithm is none that this version knows.
    """
    if key.algorithm not in ALGORITHMS:
        raise Misconfigured(
            "ALGORITHM_UNKNOWN", f"sealing algorithm {key.algorithm} is not known; known are {', '.join(ALGORITHMS)}"
        )
    protected = {"alg": key.algorithm, "enc": "A256GCM", "kid": key.key_id, **header}
    return jwe.encrypt_compact(protected, clear, key_of(key.pem), registry=JWE).encode()


def header_of(sealed: bytes) -> tuple[str, str]:
    """(key id, algorithm) that a sealed file was sealed to."""
    header = json.loads(urlsafe_b64decode(sealed.split(b".", 1)[0] + b"=="))
    return str(header["kid"]), str(header["alg"])


def jwk_set(keys: Iterable[SigningKey]) -> bytes:
    """Our public keys as a JWK set (RFC 7517), by key id: what partners verify our signatures with."""
    return json.dumps({"keys": [{**key_of(key.pem).as_dict(), "kid": key.key_id} for key in keys]}, indent=1).encode()


def open_job_file(sealed: bytes, partner_private_pem: bytes, our_public_pem: bytes) -> tuple[dict[str, str], list[Any]]:
    """What a factory does: open, verify, read. Returns the container's metadata and its records."""
    outer = jwe.decrypt_compact(sealed, key_of(partner_private_pem), registry=JWE)
    inner = jws.deserialize_compact(outer.plaintext or b"", key_of(our_public_pem), registry=JWS)
    reader = fastavro.reader(io.BytesIO(inner.payload))
    metadata = {name: str(value) for name, value in reader.metadata.items() if name.startswith("issuance.")}
    return metadata, list(reader)
