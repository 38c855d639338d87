"""Photos submitted with a package: sealed one by one on S3, and checked when their rows are validated.

A photo's object is named by its SHA-256; the file name that a row gives (photo_ref) stays inside the sealed part.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn

import pandas as pd

from issuance.errors import Broken, Refused
from issuance.intake.identifiers import plain
from issuance.intake.photos import MAX_BYTES, judge_photo
from issuance.intake.sources import Named, NameOutside, Photos, Source
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.vault.photos import photo_key

SHA256 = re.compile(r"[0-9a-f]{64}")
THREADS = 8
"""Uploads and sealing would otherwise wait for each other."""


@dataclass(frozen=True)
class Photo:
    """A photo that a row names: the file, and the SHA-256 that the row says it has."""

    source: Source
    sha256: str


class PhotoStore:
    """Writes and checks one cohort's photos."""

    def __init__(self, store: ObjectStore, keys: KeyService, cohort_id: str) -> None:
        self._store = store
        self._keys = keys
        self._cohort_id = cohort_id

    def put_all(self, photos: Sequence[Photo]) -> None:
        """Seal photos and store each under the hash that its row names; a mismatch is reported at validation."""
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(self._put, photos):
                pass

    def findings(self, frame: pd.DataFrame) -> list[str]:
        """What is wrong with the photo of each row of n normalised rows: a code of the photo rules, or ''."""
        rows = zip(plain(frame["photo_ref"]), plain(frame["photo_sha256"]), strict=True)
        named = [sha256 if ref and SHA256.fullmatch(sha256) else "" for ref, sha256 in rows]
        wanted = sorted(set(named) - {""})
        with ThreadPoolExecutor(THREADS) as pool:
            found = dict(zip(wanted, pool.map(self._judge, wanted), strict=True))
        return [found.get(sha256, "") for sha256 in named]

    def _put(self, photo: Photo) -> None:
        key = photo_key(self._cohort_id, photo.sha256)
        with photo.source.open() as file:
            content = file.read()
        sealed = self._keys.seal(self._cohort_id, key, content)
        if hashlib.sha256(content).hexdigest() != photo.sha256:
            self._store.put_if_absent(key, sealed)  # never overwrites the right one
        else:
            self._store.put(key, sealed)

    def _judge(self, sha256: str) -> str:
        key = photo_key(self._cohort_id, sha256)
        try:
            sealed = self._store.get(key)
        except Broken as error:
            if error.code != "OBJECT_MISSING":
                raise
            return "PHOTO_MISSING"
        return judge_photo(self._keys.open(self._cohort_id, key, sealed), sha256)


def photos_named(frame: pd.DataFrame, photos: Photos, file: Named) -> Iterator[Photo]:
    """The photos that rows name, as far as they came along; a missing one is reported when its row is validated.

    Raises:
        Refused: a name points outside of where the photos lie, or a photo is too large; names the row's line.
    """
    named = frame[["line", "photo_ref", "photo_sha256"]][(frame["photo_ref"] != "").to_numpy()]
    for line, ref, given in named.itertuples(index=False):
        sha256 = given.strip().lower()
        source = _find(photos, ref.strip(), file, line)
        if source is None or not SHA256.fullmatch(sha256):
            continue
        if source.size > MAX_BYTES:
            _refuse(
                "PHOTO_TOO_LARGE", file, line, "照片文件超过 1 MB，请重新导出为 358×441 的 JPEG。",
                "the photo is larger than 1 MB: export it as a JPEG of 358×441.",
            )  # fmt: skip
        yield Photo(source, sha256)


def _find(photos: Photos, ref: str, file: Named, line: int) -> Source | None:
    try:
        return photos.find(ref)
    except NameOutside:
        _refuse(
            "PHOTO_PATH", file, line, "照片文件名指向 photos 文件夹之外，请只填写其中的文件名。",
            "photo_ref points outside the photos folder: give the name of a file in it.",
        )  # fmt: skip


def _refuse(code: str, file: Named, line: int, zh: str, en: str) -> NoReturn:
    raise Refused(code, f"{file.name} 第 {line} 行：{zh} / {file.name} line {line}: {en}", file=file.name, line=line)
