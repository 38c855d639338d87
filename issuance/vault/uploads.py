"""Files of a request, sealed as they come in, under a key that lives as long as the request, in memory alone.

They lie on S3 in chunks of 4 MiB under `uploads/<begin>-<random>/<file>/<chunk>`, until the request ends. What a killed
process leaves nobody can open; retention deletes it.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from issuance.errors import Broken
from issuance.vault.keys import KEY_BYTES, NONCE_BYTES
from issuance.vault.objects import ObjectStore

FOLDER = "uploads/"
CHUNK = 4 << 20
"""Clear bytes in one object; what is held in memory of a file, read or written, is a few of them."""
TAG_BYTES = 16
KEPT_CHUNKS = 2
"""Opened chunks that a reader keeps: a workbook or a Parquet file is read at its end and elsewhere by turns."""
BUFFER = 1 << 18
STAMP = "%Y%m%dT%H%M%SZ"


class Uploads:
    """The files of one request; `discard` is to be called at its end, however it ends."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        # the instant in the name tells how old it is, in the order that objects are listed in
        self._prefix = f"{FOLDER}{datetime.now(UTC):{STAMP}}-{secrets.token_hex(16)}/"
        self._chunks = _Chunks(store, os.urandom(KEY_BYTES))
        self._files = 0

    def writer(self, name: str) -> UploadWriter:
        """Begin the next file."""
        self._files += 1
        return UploadWriter(self._chunks, f"{self._prefix}{self._files}/", name)

    def discard(self) -> None:
        """Delete every object of the request, of unfinished files too. Idempotent.

        Raises:
            Unavailable: S3 does not answer; `forget_uploads` deletes what is left.
        """
        self._store.delete_all(self._store.list(self._prefix))


class UploadWriter:
    """One file on its way in."""

    def __init__(self, chunks: _Chunks, prefix: str, name: str) -> None:
        self._chunks = chunks
        self._prefix = prefix
        self._name = name
        self._pending = bytearray()
        self._size = self._put = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; each full chunk is sealed and put.

        Raises:
            Unavailable: S3 does not answer.
        """
        self._digest.update(data)
        self._size += len(data)
        self._pending += data
        while len(self._pending) >= CHUNK:
            self._put_chunk()

    def finish(self) -> Upload:
        """The file, once all its bytes were written.

        Raises:
            Unavailable: S3 does not answer.
        """
        if self._pending:
            self._put_chunk()
        return Upload(self._name, self._size, self._digest.hexdigest(), self._chunks, self._prefix)

    def _put_chunk(self) -> None:
        self._chunks.put(f"{self._prefix}{self._put}", self._pending[:CHUNK])
        del self._pending[:CHUNK]
        self._put += 1


@dataclass(frozen=True)
class Upload:
    """A whole file of a request, to be read until the request is discarded."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    """Of the clear bytes, in hex."""
    _chunks: _Chunks
    _prefix: str

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on, '' without one."""
        return PurePosixPath(self.name).suffix

    def open(self) -> BinaryIO:
        """A seekable stream of its own from the first byte on; it opens the file chunk by chunk.

        Reading raises:
            Broken: a chunk was altered or removed.
            Unavailable: S3 does not answer.
        """
        return io.BufferedReader(_Reader(self._chunks, self._prefix, self.size), BUFFER)


class _Chunks:
    """Chunks under one request's key, each bound to its object's key: to its request, file and number."""

    def __init__(self, store: ObjectStore, key: bytes) -> None:
        self._store = store
        self._sealer = AESGCM(key)

    def put(self, key: str, clear: bytearray) -> None:
        nonce = os.urandom(NONCE_BYTES)
        self._store.put(key, nonce + self._sealer.encrypt(nonce, clear, key.encode()))

    def get(self, key: str) -> bytes:
        sealed = self._store.get(key, NONCE_BYTES + CHUNK + TAG_BYTES)
        try:
            return self._sealer.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key.encode())
        except (InvalidTag, ValueError) as error:
            raise Broken("OBJECT_ALTERED", f"the sealed object {key} was altered, or is another object") from error


class _Reader(io.RawIOBase):
    """The clear bytes of an upload."""

    def __init__(self, chunks: _Chunks, prefix: str, size: int) -> None:
        super().__init__()
        self._chunks = chunks
        self._prefix = prefix
        self._size = size
        self._at = 0
        self._opened: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        if at < 0:
            raise ValueError(f"negative position {at}")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, CHUNK)
        target = memoryview(buffer).cast("B")
        found = memoryview(self._chunk(number))[start : start + len(target)]
        target[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        self._opened.clear()
        super().close()

    def _chunk(self, number: int) -> bytes:
        chunk = self._opened.pop(number, None) or self._chunks.get(f"{self._prefix}{number}")
        while len(self._opened) >= KEPT_CHUNKS:
            self._opened.pop(next(iter(self._opened)))  # the one that was not read for longest
        self._opened[number] = chunk
        return chunk


def forget_uploads(store: ObjectStore, older_than: datetime) -> int:
    """Delete the uploads of requests that began before an aware instant; returns how many objects they had.

    Raises:
        Unavailable: S3 does not answer.
    """
    bound = f"{FOLDER}{older_than.astimezone(UTC):{STAMP}}"
    return store.delete_all(takewhile(lambda key: key < bound, store.list(FOLDER)))
