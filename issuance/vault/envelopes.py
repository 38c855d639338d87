"""Envelopes between partners and us: JWE to the reader's key, JWS by the writer inside (RFC 7515, 7516).

The key management algorithm comes from the partner's registry entry or from its key; content is A256GCM.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from joserfc import jwe, jws
from joserfc.errors import InvalidKeyTypeError, JoseError
from joserfc.jwk import ECKey, RSAKey

from issuance.errors import Broken, Misconfigured
from issuance.vault.keys import KeyService, NamedKey
from issuance.vault.objects import ObjectStore

OUR_KEYS = "keys/issuance.jwks"
"""Object key of our public keys; every partner may read it."""
ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES+A256KW")
JWE = jwe.JWERegistry(algorithms=[*ALGORITHMS, "A256GCM"])
JWS = jws.JWSRegistry(algorithms=["PS256", "ES256"])
# At most 5,000 plastics a file: about 3 MB; the library's defaults are made for tokens.
JWE.max_ciphertext_length = JWS.max_payload_length = 64 * 1024 * 1024


class SealingKey(NamedTuple):
    """A partner's key, to which files are sealed."""

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


def sign(signing: NamedKey, clear: bytes) -> bytes:
    """A JWS (compact) by our key, which its header names."""
    ours = key_of(signing.pem)
    header = {"alg": "ES256" if isinstance(ours, ECKey) else "PS256", "kid": signing.key_id}
    return jws.serialize_compact(header, clear, ours, registry=JWS).encode()


def seal_to(key: SealingKey, clear: bytes, **header: str) -> bytes:
    """A JWE (compact) to a partner's key, which its header names.

    Raises:
        Misconfigured: unknown algorithm.
    """
    if key.algorithm not in ALGORITHMS:
        raise Misconfigured(
            "ALGORITHM_UNKNOWN", f"unknown sealing algorithm {key.algorithm}; known: {', '.join(ALGORITHMS)}"
        )
    protected = {"alg": key.algorithm, "enc": "A256GCM", "kid": key.key_id, **header}
    return jwe.encrypt_compact(protected, clear, key_of(key.pem), registry=JWE).encode()


def open_sealed(private: NamedKey, sealed: bytes | str) -> bytes:
    """Open what was sealed to one of our keys.

    Raises:
        Broken: not a valid JWE, sealed to another key or with an algorithm that we do not accept, or altered.
    """
    try:
        opened = jwe.decrypt_compact(sealed, key_of(private.pem), registry=JWE)
    except (JoseError, ValueError) as error:
        raise Broken("SEALED_UNREADABLE", f"not sealed to {private.key_id}: {type(error).__name__}") from error
    return opened.plaintext or b""


def header_of(sealed: bytes) -> tuple[str, str]:
    """(key id, algorithm) from a sealed file's header, which is readable without a key.

    Raises:
        Broken: it is not a sealed file.
    """
    try:
        header = json.loads(urlsafe_b64decode(sealed.split(b".", 1)[0] + b"=="))
        return str(header["kid"]), str(header["alg"])
    except (ValueError, KeyError, TypeError) as error:
        raise Broken("OBJECT_ALTERED", "a sealed file has no readable header: it is not what was stored") from error


def jwk_set(signing: Iterable[NamedKey], opening: Iterable[NamedKey]) -> bytes:
    """Our public keys as a JWK set (RFC 7517): those that verify our signatures, and those to seal to us with."""
    uses = (("sig", signing), ("enc", opening))
    keys = [{**key_of(key.pem).as_dict(), "kid": key.key_id, "use": use} for use, keys in uses for key in keys]
    return json.dumps({"keys": keys}, indent=1).encode()


def publish_keys(store: ObjectStore, service: KeyService) -> None:
    """Publish our current public keys to partners; idempotent."""
    store.put(OUR_KEYS, jwk_set(service.verification_keys(), service.opening_public_keys()))
