"""The job file: an Avro container of PersonalizationRecord, signed by us inside, sealed to the factory outside.

JWS (compact) in JWE (compact), content encryption A256GCM; the key management algorithm is the registry's entry.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import fastavro
from joserfc import jwe, jws
from joserfc.errors import InvalidKeyTypeError
from joserfc.jwk import ECKey, RSAKey

from issuance.errors import Misconfigured
from issuance.wire.avro import schema_of

ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES+A256KW")
JWE = jwe.JWERegistry(algorithms=[*ALGORITHMS, "A256GCM"])
JWS = jws.JWSRegistry(algorithms=["PS256", "ES256"])
# At most 5,000 plastics a file: about 3 MB; the library's defaults are made for tokens.
JWE.max_ciphertext_length = JWS.max_payload_length = 64 * 1024 * 1024


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


def seal_job_file(clear: bytes, signing_pem: bytes, partner_pem: bytes, key_id: str, algorithm: str) -> bytes:
    """Sign and seal a container.

    Raises:
        Misconfigured: the registry names an algorithm that this version does not know.
    """
    if algorithm not in ALGORITHMS:
        raise Misconfigured(
            "ALGORITHM_UNKNOWN", f"sealing algorithm {algorithm} is not known; known are {', '.join(ALGORITHMS)}"
        )
    signing = key_of(signing_pem)
    signature = "ES256" if isinstance(signing, ECKey) else "PS256"
    signed = jws.serialize_compact({"alg": signature}, clear, signing, registry=JWS)
    header = {"alg": algorithm, "enc": "A256GCM", "cty": "JWS", "kid": key_id}
    return jwe.encrypt_compact(header, signed, key_of(partner_pem), registry=JWE).encode()


def open_job_file(sealed: bytes, partner_private_pem: bytes, our_public_pem: bytes) -> tuple[dict[str, str], list[Any]]:
    """What a factory does: open, verify, read. Returns the container's metadata and its records."""
    outer = jwe.decrypt_compact(sealed, key_of(partner_private_pem), registry=JWE)
    inner = jws.deserialize_compact(outer.plaintext or b"", key_of(our_public_pem), registry=JWS)
    reader = fastavro.reader(io.BytesIO(inner.payload))
    metadata = {name: str(value) for name, value in reader.metadata.items() if name.startswith("issuance.")}
    return metadata, list(reader)
