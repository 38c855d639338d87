"""A job's file: a JWS by one key inside a JWE to another, which stands for every factory's (RFC 7515, 7516)."""

from __future__ import annotations

from joserfc import jwe, jws
from joserfc.jwk import RSAKey

JWE = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
JWS = jws.JWSRegistry(algorithms=["PS256"])
JWE.max_ciphertext_length = JWS.max_payload_length = 64 * 1024 * 1024


def make_pair() -> tuple[bytes, bytes]:
    """A private key and its public half (PEM)."""
    key = RSAKey.generate_key(3072)
    return key.as_pem(private=True), key.as_pem(private=False)


def read_key(pem: bytes) -> RSAKey:
    """The key of a PEM."""
    return RSAKey.import_key(pem)


def seal_signed(clear: bytes, signing: RSAKey, reader: RSAKey, name: str) -> bytes:
    """Sign, then seal to the reader."""
    signed = jws.serialize_compact({"alg": "PS256", "kid": "signing"}, clear, signing, registry=JWS)
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": name, "cty": "JWS"}
    return jwe.encrypt_compact(header, signed.encode(), reader, registry=JWE).encode()
