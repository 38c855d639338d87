"""A package as one multipart request, read from the request's stream: each part is sealed as it comes in.

The first part is the manifest; then come files and photos in any order. Nothing in clear touches a disk, and of a part
no more than a few chunks are in memory. The parser and S3 block, so both run in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from anyio import CancelScope, to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from issuance.errors import Refused
from issuance.intake.sources import NameOutside, Source, UploadedPhotos, relative_name
from issuance.vault.objects import ObjectStore
from issuance.vault.uploads import Uploads, UploadWriter

MOST_BYTES = 4 << 30
"""Bytes of a request."""
MOST_PARTS = 200_000
"""Parts of a request; a package with photos has as many as it has rows."""
MOST_MANIFEST = 64 << 10
MOST_NAME = 255
"""Bytes of a file's name, as on disk."""
QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
EXTENDED = re.compile(r";\s*filename\*\s*=\s*UTF-8'[^']*'([^;\s]+)", re.IGNORECASE)
"""A file name as RFC 5987 writes it; RFC 7578 does without, some clients send it."""


@dataclass(frozen=True)
class Received:
    """A package that came in whole. Its files can be read until it is discarded."""

    manifest: dict[str, Any]
    """The fields as sent, not checked."""
    files: list[Source]
    """In the order sent."""
    photos: UploadedPhotos
    _uploads: Uploads

    def discard(self) -> None:
        """Delete what was stored of the request; to be called at its end, however it ends. Blocks, idempotent.

        Raises:
            Unavailable: S3 does not answer; retention deletes what is left.
        """
        self._uploads.discard()


async def receive(request: Request, store: ObjectStore) -> Received:
    """Read a request of the parts `manifest` (JSON, first), `files` and `photos` (file names may hold '/').

    Who calls it discards what it returns. When it raises, nothing is left on S3.

    Raises:
        Refused: UPLOAD_BROKEN, UPLOAD_TOO_LARGE or MANIFEST_INVALID; the request need not have been read to its end.
        Unavailable: S3 does not answer.
    """
    uploads = Uploads(store)
    parts = _Parts(uploads)
    try:
        await _read(request, MultipartParser(_boundary(request), parts.callbacks()))
        return parts.received()
    except BaseException as error:
        with CancelScope(shield=True):
            await to_thread.run_sync(uploads.discard)
        if isinstance(error, FormParserError | ClientDisconnect):
            raise _broken(parts.number, "请求不完整或格式有误", "the request is incomplete or malformed") from error
        raise


async def _read(request: Request, parser: MultipartParser) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > MOST_BYTES:
        raise _too_large()
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_large()
        await to_thread.run_sync(parser.write, piece)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise _broken(0, "请求不是 multipart/form-data", "the request is not multipart/form-data with a boundary")
    return boundary


class _Parts:
    """What the parser finds, part by part; every call may put a chunk on S3."""

    def __init__(self, uploads: Uploads) -> None:
        self.number = 0
        """Of the part that is being read, from 1 on."""
        self._uploads = uploads
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[str, bytes] = {}
        self._take: Callable[[memoryview], None] = self._take_manifest
        self._end: Callable[[], None] = self._end_manifest
        self._json = bytearray()
        self._manifest: dict[str, Any] | None = None
        self._files: list[Source] = []
        self._photos: dict[str, Source] = {}
        self._whole = False

    def callbacks(self) -> Any:
        """The parser's callbacks, by its names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._choose,
            "on_part_data": lambda data, start, end: self._take(memoryview(data)[start:end]),
            "on_part_end": lambda: self._end(),
            "on_end": self._finish,
        }

    def received(self) -> Received:
        """The package, once the stream has ended.

        Raises:
            Refused: the last boundary is missing, or there was no part at all.
        """
        if not self._whole:
            raise _broken(self.number, "请求在结束之前中断", "the request ends before its last boundary")
        if self._manifest is None:
            raise _no_manifest("第一部分须为 manifest", "the first part has to be `manifest`")
        return Received(self._manifest, self._files, UploadedPhotos(self._photos), self._uploads)

    def _begin(self) -> None:
        self.number += 1
        if self.number > MOST_PARTS:
            raise _too_large()
        self._headers = {}

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _choose(self) -> None:
        """Where the bytes of a part go, by its name."""
        disposition = self._headers.get("content-disposition", b"")
        name = parse_options_header(disposition)[1].get(b"name", b"")
        if (name == b"manifest") != (self.number == 1):
            raise _no_manifest("第一部分须为 manifest，且只有一个", "the first part, and only it, is `manifest`")
        if name == b"manifest":
            return
        given = self._file_name(disposition)
        if name == b"files":
            self._keep(PurePosixPath(given).name, self._files.append)
        elif name == b"photos":
            photo_name = self._photo_name(given)
            self._keep(PurePosixPath(given).name, lambda photo: self._photos.update({photo_name: photo}))
        else:
            raise _broken(
                self.number, "字段只能是 manifest、files、photos", "a field is `manifest`, `files` or `photos`"
            )

    def _file_name(self, disposition: bytes) -> str:
        name = file_name(disposition)
        if not name or not PurePosixPath(name).name or len(PurePosixPath(name).name.encode()) > MOST_NAME:
            raise _broken(
                self.number,
                f"文件名缺失、不是 UTF-8、含控制字符或超过 {MOST_NAME} 字节",
                f"its file name is missing, not UTF-8, has a control character or more than {MOST_NAME} bytes",
            )
        return name

    def _photo_name(self, given: str) -> str:
        try:
            name = relative_name(given)
        except NameOutside:
            name = ""
        # the name itself is not repeated: it may hold a person's number
        if not name or name in self._photos:
            raise _broken(
                self.number,
                "照片文件名须为相对路径且不重复",
                "a photo's file name has to be relative, and its only one",
            )
        return name

    def _keep(self, name: str, keep: Callable[[Source], None]) -> None:
        writer: UploadWriter = self._uploads.writer(name)
        self._take = writer.write
        self._end = lambda: keep(writer.finish())

    def _take_manifest(self, data: memoryview) -> None:
        self._json += data
        if len(self._json) > MOST_MANIFEST:
            raise _no_manifest(f"超过 {MOST_MANIFEST} 字节", f"it has more than {MOST_MANIFEST} bytes")

    def _end_manifest(self) -> None:
        try:
            found = orjson.loads(self._json)
        except orjson.JSONDecodeError:
            found = None  # and nothing of it is quoted
        if not isinstance(found, dict):
            raise _no_manifest("须为 JSON 对象", "it has to be a JSON object")
        self._manifest = found

    def _finish(self) -> None:
        self._whole = True


def file_name(disposition: bytes) -> str:
    """The file name of a Content-Disposition, '' if it has none that is UTF-8 and without control characters.

    It stands there as raw UTF-8 with %22 for '"' (as browsers write it), or as RFC 5987 has it, which then holds.
    """
    given = parse_options_header(disposition)[1].get(b"filename", b"").replace(b"%22", b'"')
    if extended := EXTENDED.search(QUOTED.sub('""', disposition.decode("latin-1"))):
        given = unquote_to_bytes(extended[1])
    try:
        name = given.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if any(ord(character) < 32 or ord(character) == 127 for character in name) else name


def _broken(part: int, zh: str, en: str) -> Refused:
    return Refused(
        "UPLOAD_BROKEN",
        f"上传有误（第 {part} 部分）：{zh}；请重新提交。 / the upload is not usable (part {part}): {en}; submit again.",
        part=part,
    )


def _too_large() -> Refused:
    return Refused(
        "UPLOAD_TOO_LARGE",
        f"一次上传最多 {MOST_BYTES >> 20} MB、{MOST_PARTS} 个部分：请分成几个批次。"
        f" / an upload has at most {MOST_BYTES >> 20} MB and {MOST_PARTS} parts: make several cohorts of it.",
        most_bytes=MOST_BYTES,
        most_parts=MOST_PARTS,
    )


def _no_manifest(zh: str, en: str) -> Refused:
    return Refused("MANIFEST_INVALID", f"清单无法使用：{zh}。 / the manifest cannot be used: {en}.")
