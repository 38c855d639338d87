"""The key service: cohort keys, the person-hash key and our signing key, in a store of their own.

The local one is a directory of files (mode 0600) outside the ledger, its dumps and S3. Destroying a cohort's key
makes every block, part and overlay of the cohort unreadable for ever, backups included.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from datetime import date
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from issuance.errors import Broken, Permanent, Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
WRAPPED_BYTES = KEY_BYTES + 8
MAGIC = b"ISV1"
OPENING = "opening"
"""Id of the key that partners seal to."""


class KeyDestroyed(Permanent):
    """The key was destroyed deliberately: nobody can open what it sealed."""


class NamedKey(NamedTuple):
    """A private or public key (PEM) and the id under which others know it."""

    key_id: str
    pem: bytes


class KeyService:
    """Keys by name; only this class reads the store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create_cohort_key(self, cohort_id: str) -> None:
        """Make a cohort's key unless it exists; a destroyed one is never made again.

        Raises:
            KeyDestroyed: the cohort was erased.
        """
        self.require_cohort_key(cohort_id)
        self._create(self._cohort_path(cohort_id))

    def destroy_cohort_key(self, cohort_id: str) -> None:
        """Erase a cohort: its key is destroyed, the record of that remains. Drafts of a killed process go too."""
        tombstone, path = self._tombstone(cohort_id), self._cohort_path(cohort_id)
        tombstone.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        tombstone.touch(mode=0o600)
        draft = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{16}")
        for entry in [path, *(entry for entry in path.parent.iterdir() if draft.fullmatch(entry.name))]:
            entry.unlink(missing_ok=True)

    def require_cohort_key(self, cohort_id: str) -> None:
        """Check before fetching what a cohort's key sealed: for an erased cohort it may no longer exist.

        Raises:
            KeyDestroyed: the cohort was erased.
        """
        if self._tombstone(cohort_id).exists():
            raise _destroyed(cohort_id)

    def seal(self, cohort_id: str, name: str, clear: bytes) -> bytes:
        """AES-256-GCM under a fresh data key, wrapped (RFC 3394) by the cohort's key and bound to the object's name."""
        data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        wrapped = aes_key_wrap(self._cohort_key(cohort_id), data_key)
        return MAGIC + wrapped + nonce + AESGCM(data_key).encrypt(nonce, clear, name.encode())

    def open(self, cohort_id: str, name: str, sealed: bytes) -> bytes:
        """What `seal` sealed under the same name.

        Raises:
            KeyDestroyed: the cohort was erased.
            Broken: the bytes are not that object, or were altered.
        """
        start = len(MAGIC)
        wrapped, rest = sealed[start : start + WRAPPED_BYTES], sealed[start + WRAPPED_BYTES :]
        key = self._cohort_key(cohort_id)
        try:
            data_key = aes_key_unwrap(key, wrapped)
            return AESGCM(data_key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], name.encode())
        except (InvalidUnwrap, InvalidTag, ValueError) as error:
            raise Broken("OBJECT_ALTERED", f"the sealed object {name} was altered, or is another object") from error

    def person_hash(self, id_type: str, id_number: str) -> bytes:
        """Keyed hash of a person's identity (HMAC-SHA-256): key version in the first byte, then 15 bytes."""
        return self.person_hasher()(id_type, id_number)

    def person_hasher(self) -> PersonHasher:
        """The keyed hash as a function that reads the key once."""
        path = self._directory / "person-hash-1.key"
        self._create(path)
        return PersonHasher(path.read_bytes(), 1)

    def signing_key(self, day: date) -> NamedKey:
        """The newest of our private signing keys in use on a day."""
        path = [path for first_day, path in self._signing_paths() if first_day <= str(day)][-1]
        return NamedKey(path.stem, self._read(path))

    def rotate_signing_key(self, first_day: date) -> NamedKey:
        """Make our next signing key, in use from a day on; idempotent for a day. Older keys still verify."""
        path = self._directory / f"signing-{first_day}.pem"
        private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self._create(path, private)
        return NamedKey(path.stem, self._read(path))

    def opening_key(self) -> NamedKey:
        """Our private key that partners seal to."""
        return NamedKey(OPENING, self._read(self._directory / f"{OPENING}.pem"))

    def opening_public_keys(self) -> list[NamedKey]:
        """The public half (PEM) of what partners seal to."""
        return [_public(self.opening_key())]

    def verification_keys(self) -> list[NamedKey]:
        """The public halves (PEM) of all our signing keys, the oldest first."""
        return [_public(NamedKey(path.stem, self._read(path))) for _, path in self._signing_paths()]

    def _signing_paths(self) -> list[tuple[str, Path]]:
        """(first day in use, file) of our signing keys; the first one has always been in use."""
        later = sorted(self._directory.glob("signing-*.pem"))
        return [("", self._directory / "signing.pem"), *((path.stem.removeprefix("signing-"), path) for path in later)]

    def _cohort_key(self, cohort_id: str) -> bytes:
        self.require_cohort_key(cohort_id)
        return self._read(self._cohort_path(cohort_id))

    def _cohort_path(self, cohort_id: str) -> Path:
        return self._directory / "cohorts" / f"{cohort_id}.key"

    def _tombstone(self, cohort_id: str) -> Path:
        return self._directory / "cohorts" / f"{cohort_id}.destroyed"

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise Unavailable("KEY_UNAVAILABLE", f"the key service has no key {path.name}") from error

    def _create(self, path: Path, key: bytes | None = None) -> None:
        """Write a new key, by default random, unless one exists; atomic, also when two processes try at once."""
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key or secrets.token_bytes(KEY_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            draft.unlink()


def _destroyed(cohort_id: str) -> KeyDestroyed:
    return KeyDestroyed(
        "KEY_DESTROYED",
        f"批次 {cohort_id} 的个人数据已清除、密钥已销毁，不能再打开、密封或接收；确需制卡，请由数据来源提交到新的批次。"
        f" / the personal data of cohort {cohort_id} was erased and its key destroyed: nothing of it can be opened,"
        " sealed or taken in; people who still need a card must be submitted anew, in another cohort.",
        cohort_id=cohort_id,
    )


def _public(private: NamedKey) -> NamedKey:
    key = load_pem_private_key(private.pem, None).public_key()
    return NamedKey(private.key_id, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


class PersonHasher:
    """Hashes identities with one version of the key."""

    def __init__(self, key: bytes, version: int) -> None:
        self._key = key
        self._version = bytes([version])

    def __call__(self, id_type: str, id_number: str) -> bytes:
        digest = hmac.digest(self._key, f"{id_type}|{id_number}".encode(), "sha256")
        return self._version + digest[:15]
