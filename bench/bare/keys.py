"""Keys in files, and what they seal."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

KEY_BYTES = 32
NONCE_BYTES = 12
WRAPPED_BYTES = KEY_BYTES + 8
MAGIC = b"ISV1"


class Keys:
    """A cohort's key and the key of person hashes, made at once; the cohort's is read for each object."""

    def __init__(self, folder: Path) -> None:
        self._cohort = folder / "cohort.key"
        self._cohort.write_bytes(secrets.token_bytes(KEY_BYTES))
        self._person = secrets.token_bytes(KEY_BYTES)

    def seal(self, name: str, clear: bytes) -> bytes:
        """AES-256-GCM under a fresh data key, wrapped (RFC 3394) by the cohort's key and bound to the object's name."""
        data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        wrapped = aes_key_wrap(self._cohort.read_bytes(), data_key)
        return MAGIC + wrapped + nonce + AESGCM(data_key).encrypt(nonce, clear, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """What `seal` sealed under the same name."""
        start = len(MAGIC)
        wrapped, rest = sealed[start : start + WRAPPED_BYTES], sealed[start + WRAPPED_BYTES :]
        data_key = aes_key_unwrap(self._cohort.read_bytes(), wrapped)
        return AESGCM(data_key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], name.encode())

    def hash_person(self, id_type: str, id_number: str) -> bytes:
        """Keyed hash of an identity (HMAC-SHA-256): key version in the first byte, then 15 bytes."""
        return b"\x01" + hmac.digest(self._person, f"{id_type}|{id_number}".encode(), "sha256")[:15]
