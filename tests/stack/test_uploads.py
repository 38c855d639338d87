"""A package over HTTP: sealed part by part as it comes, read like files on disk, gone when its request has ended."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import socket
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import openpyxl
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import uvicorn
import xlwt  # type: ignore[import-untyped]
from anyio import to_thread
from intake_fixture import SUBMITTER, Intakes, objects, person, picture, sha256
from ledger_fixture import OPENS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from wire_fixture import wait_for

from issuance.desk import uploads
from issuance.desk.uploads import Received, receive
from issuance.errors import Broken, Refused
from issuance.intake.columns import NAMES
from issuance.intake.photos import MAX_BYTES
from issuance.intake.read import read_rows
from issuance.intake.submit import Package, submit_package
from issuance.retention.cohorts import run_retention
from issuance.settings import Settings
from issuance.vault import uploads as sealing
from issuance.vault.objects import ObjectStore
from issuance.vault.uploads import CHUNK, Uploads, forget_uploads

Part = tuple[str, tuple[str | None, bytes | BinaryIO]]
CANARY = "金丝雀"
MIB = 1 << 20


class Server:
    """A real server with one route; what it does with a package is set by each test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore.of(settings)
        self.does: Callable[[Received], Any] = lambda received: None
        self.refused: list[str] = []
        app = Starlette(routes=[Route("/", self.answer, methods=["POST"])])
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_for(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    async def answer(self, request: Request) -> JSONResponse:
        try:
            received = await receive(request, self.store)
            try:
                return JSONResponse(await to_thread.run_sync(lambda: self.does(received)))
            finally:
                await to_thread.run_sync(received.discard)
        except Refused as error:
            self.refused.append(error.code)
            return JSONResponse(error.as_dict(), 409)

    def post(self, parts: Iterable[Part], does: Callable[[Received], Any] = lambda received: None) -> Any:
        """Send parts in their order; returns what `does` returns, or the refusal."""
        self.does = does
        response = httpx.post(f"http://127.0.0.1:{self.port}/", files=list(parts), timeout=120)
        assert response.status_code in (200, 409), response.text
        return response.json()

    def left(self) -> list[str]:
        """Objects of uploads that are there now."""
        return list(self.store.list("uploads/"))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def server(stack: Settings) -> Iterator[Server]:
    made = Server(stack)
    yield made
    made.close()


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own."""
    made = Intakes(stack, "uploads", tmp_path_factory.mktemp("uploads"))
    yield made
    made.close()


def manifest(**values: Any) -> Part:
    return "manifest", (None, json.dumps(values).encode())


def file(name: str, content: bytes | BinaryIO) -> Part:
    return "files", (name, content)


def photo(name: str, content: bytes) -> Part:
    return "photos", (name, content)


# What comes in


def test_a_package_comes_in_as_it_was_sent(server: Server) -> None:
    def does(received: Received) -> Any:
        names = [(source.name, source.suffix, source.size) for source in received.files]
        return [received.manifest, names, sorted(received.photos.by_name)]

    parts = [
        manifest(cohort="批次"), photo("a/甲.jpg", b"1"), file("北京 名单.csv.gz", b"12"), file('a"b.xlsx', b""),
        photo("./a/../乙.jpg", b"2"), file("folder/c", b"123"),
    ]  # fmt: skip
    assert server.post(parts, does) == [
        {"cohort": "批次"},
        [["北京 名单.csv.gz", ".gz", 2], ['a"b.xlsx', ".xlsx", 0], ["c", "", 3]],
        ["a/甲.jpg", "乙.jpg"],
    ]
    assert server.left() == []


def test_a_large_file_passes_in_little_memory_and_touches_no_disk(
    server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path_factory.mktemp("large") / "large.csv"
    rng, digest = random.Random(1), hashlib.sha256()
    with large.open("wb") as out:
        for _ in range(60):
            piece = rng.randbytes(MIB)
            digest.update(piece)
            out.write(piece)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def does(received: Received) -> Any:
        (source,) = received.files
        with source.open() as stream:
            read = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        return [source.size, source.sha256, read, len(server.left())]

    tracemalloc.start()
    try:
        with large.open("rb") as stream:
            found = server.post([manifest(), file("large.csv", stream)], does)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [60 * MIB, digest.hexdigest(), digest.hexdigest(), 60 * MIB // CHUNK]
    assert most < 32 * MIB
    assert list(tmp_path.iterdir()) == []
    assert server.left() == []


def test_reading_goes_to_any_place(server: Server) -> None:
    content = random.Random(2).randbytes(2 * CHUNK + 1000)
    places = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 3, 2 * CHUNK, len(content) - 5, len(content), 5]

    def does(received: Received) -> Any:
        with received.files[0].open() as stream, received.files[0].open() as other:
            for place in places:
                assert stream.seek(place) == stream.tell() == place
                assert stream.read(10) == content[place : place + 10]
            stream.seek(CHUNK - 10)
            assert stream.read(CHUNK + 20) == content[CHUNK - 10 : 2 * CHUNK + 10]
            assert stream.seek(-7, io.SEEK_END) == len(content) - 7
            assert stream.seek(3, io.SEEK_CUR) == len(content) - 4
            assert (stream.read(), stream.read()) == (content[-4:], b"")
            assert stream.seek(len(content) + 9) == len(content) + 9
            assert stream.read(1) == b""
            with pytest.raises(ValueError, match="negative"):
                stream.seek(-1)
            assert other.read() == content
        return "read"

    assert server.post([manifest(), file("a", content)], does) == "read"


def packages(directory: Path) -> list[Path]:
    """The same rows in files of every kind."""
    rows = [person(number % 1000, name=f"{CANARY}{number}") for number in range(3000)]
    texts = [[row.get(name, "") for name in NAMES] for row in rows]
    frame = pd.DataFrame(texts, columns=list(NAMES))
    plain = frame.to_csv(index=False).encode()
    (directory / "a.csv").write_bytes(plain)
    (directory / "b.csv.gz").write_bytes(gzip.compress(plain, 1))
    (directory / "c.txt").write_bytes(plain.decode().encode("gb18030"))
    book, old = openpyxl.Workbook(write_only=True), xlwt.Workbook()
    sheet, old_sheet = book.create_sheet(), old.add_sheet("a")
    for line, cells in enumerate([list(NAMES), *texts]):
        sheet.append(cells)
        for column, cell in enumerate(cells):
            old_sheet.write(line, column, cell)
    book.save(directory / "d.xlsx")
    old.save(str(directory / "e.xls"))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), directory / "f.parquet", row_group_size=700)
    return sorted(directory.iterdir())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes of a chunk, so few that every file has several."""
    monkeypatch.setattr(sealing, "CHUNK", 5_000)
    return 5_000


def test_a_reader_gives_the_same_rows_from_disk_and_from_an_upload(
    server: Server, tmp_path: Path, small_chunks: int
) -> None:
    paths = packages(tmp_path)
    assert min(path.stat().st_size for path in paths) > 3 * small_chunks

    def does(received: Received) -> Any:
        for source, path in zip(received.files, paths, strict=True):
            uploaded, local = (list(read_rows(given, 1100)) for given in (source, path))
            assert [len(frame) for frame in uploaded] == [len(frame) for frame in local]
            pd.testing.assert_frame_equal(pd.concat(uploaded), pd.concat(local))
        return [len(paths), any(CANARY.encode() in server.store.get(key) for key in server.left())]

    assert server.post([manifest(), *(file(path.name, path.read_bytes()) for path in paths)], does) == [6, False]


def test_what_is_stored_holds_nothing_in_clear(server: Server) -> None:
    secrets = [f"{CANARY}{name}".encode() for name in ("manifest", "file", "photo", "name")]

    def does(received: Received) -> Any:
        keys = server.left()
        stored = b"".join(server.store.get(key) for key in keys) + " ".join(keys).encode()
        return [len(keys), [secret in stored for secret in secrets]]

    parts = [
        manifest(note=f"{CANARY}manifest"),
        file("a.csv", secrets[1] * 2000),
        photo(f"{CANARY}name.jpg", secrets[2]),
    ]
    assert server.post(parts, does) == [2, [False] * 4]


# What is refused


def refusal(server: Server, parts: Iterable[Part]) -> tuple[str, Any]:
    found = server.post(parts)
    assert " / " in found["message"]
    assert server.left() == []
    return found["error"], found["details"].get("part")


@pytest.mark.parametrize(
    ("parts", "code", "part"),
    [
        ([file("a.csv", b"1"), manifest()], "MANIFEST_INVALID", None),
        ([manifest(), file("a.csv", b"1"), manifest()], "MANIFEST_INVALID", None),
        ([("manifest", (None, b"[1]"))], "MANIFEST_INVALID", None),
        ([("manifest", (None, b"{"))], "MANIFEST_INVALID", None),
        ([("manifest", (None, b"\xff"))], "MANIFEST_INVALID", None),
        ([("manifest", (None, b'{"a":' + b"[" * 60_000))], "MANIFEST_INVALID", None),
        ([manifest(a="x" * (64 << 10))], "MANIFEST_INVALID", None),
        ([manifest(), file("a.csv", b"1"), ("others", ("b.csv", b"2"))], "UPLOAD_BROKEN", 3),
        ([manifest(), file("a.csv", b"1"), ("files", (None, b"2"))], "UPLOAD_BROKEN", 3),
        ([manifest(), file("名" * 86, b"1")], "UPLOAD_BROKEN", 2),
        ([manifest(), photo("../a.jpg", b"1")], "UPLOAD_BROKEN", 2),
        ([manifest(), photo("/a.jpg", b"1")], "UPLOAD_BROKEN", 2),
        ([manifest(), photo("a.jpg", b"1"), photo("b/../a.jpg", b"2")], "UPLOAD_BROKEN", 3),
    ],
)
def test_a_request_that_is_not_as_it_should_be(server: Server, parts: list[Part], code: str, part: int | None) -> None:
    assert refusal(server, parts) == (code, part)


def test_bounds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PARTS", 3)
    many = [manifest(), *(file(f"{number}.csv", b"1") for number in range(3))]
    assert refusal(server, many)[0] == "UPLOAD_TOO_LARGE"
    assert server.post(many[:-1]) is None
    monkeypatch.setattr(uploads, "MOST_BYTES", 6 * MIB)
    assert refusal(server, [manifest(), file("a.csv", bytes(6 * MIB))])[0] == "UPLOAD_TOO_LARGE"


BOUNDARY = "b0undary"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n{{}}\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n'
).encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def raw(server: Server, content: bytes | Iterator[bytes], kind: str = FORM) -> Any:
    """Send a body as it stands; returns the answer."""
    server.does = lambda received: None
    return httpx.post(f"http://127.0.0.1:{server.port}/", content=content, headers={"Content-Type": kind}).json()


def test_a_length_that_is_not_declared_is_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 9 * MIB)
    assert raw(server, iter([HEAD, *([bytes(MIB)] * 20)]))["error"] == "UPLOAD_TOO_LARGE"
    assert server.left() == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (HEAD + bytes(5 * MIB), FORM),
        (HEAD + b"1\r\n--other--\r\n", FORM),
        (b"", FORM),
        (b"no boundary", FORM),
        (HEAD.replace(b"name=", b"name\0=\r\n\0"), FORM),
        (HEAD.replace(b'"a.csv"', b'"' + b"a" * 5000 + b'"'), FORM),
        (HEAD, f"multipart/form-data; boundary={'b' * 5000}"),
        (HEAD, "multipart/form-data"),
        (HEAD, f"multipart/mixed; boundary={BOUNDARY}"),
        (b"{}", "application/json"),
    ],
)
def test_what_is_no_whole_form_is_refused_and_leaves_nothing(server: Server, content: bytes, kind: str) -> None:
    assert raw(server, content, kind)["error"] == "UPLOAD_BROKEN"
    assert server.left() == []


def test_a_form_of_no_part_has_no_manifest(server: Server) -> None:
    assert raw(server, f"--{BOUNDARY}--\r\n".encode())["error"] == "MANIFEST_INVALID"


def test_a_client_that_stops_in_the_middle_leaves_nothing(server: Server) -> None:
    server.refused.clear()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"{head}Content-Length: {50 * MIB}\r\n\r\n".encode() + HEAD + bytes(2 * CHUNK + MIB))
        wait_for(lambda: len(server.left()) == 2)
    wait_for(lambda: bool(server.refused))
    assert server.refused == ["UPLOAD_BROKEN"]
    assert server.left() == []


# What is sealed


def test_a_chunk_in_the_place_of_another_is_noticed(server: Server) -> None:
    store, made = server.store, Uploads(server.store)
    writer = made.writer("a.csv")
    writer.write(b"1" * (2 * CHUNK))
    upload = writer.finish()
    first, second = server.left()
    store.put(first, store.get(second))
    with pytest.raises(Broken, match="OBJECT_ALTERED"), upload.open() as stream:
        stream.read(1)
    made.discard()


def test_a_file_that_loses_its_end_while_it_is_read_is_not_taken_for_a_damaged_one(
    server: Server, tmp_path: Path, small_chunks: int
) -> None:
    made = Uploads(server.store)
    for path in packages(tmp_path):
        writer = made.writer(path.name)
        writer.write(path.read_bytes())
        upload = writer.finish()
        newest = max((key for key in server.left()), key=lambda key: [int(number) for number in key.split("/")[2:]])
        server.store.delete(newest)
        with pytest.raises(Broken, match="OBJECT_MISSING"):
            list(read_rows(upload, 1000))
    made.discard()
    assert server.left() == []


def test_what_killed_requests_left_is_deleted_after_a_day(intakes: Intakes) -> None:
    store, now = ObjectStore.of(intakes.settings), datetime.now(UTC)
    made = Uploads(store)
    made.writer("a.csv").write(bytes(CHUNK))
    store.put(f"uploads/{now - timedelta(days=1, minutes=1):%Y%m%dT%H%M%SZ}-0123/1/0", b"sealed")
    before = set(store.list("uploads/"))
    assert len(before) == 2
    assert run_retention(intakes.settings, "pipeline") == []
    (left,) = store.list("uploads/")
    assert left in before
    assert forget_uploads(store, now - timedelta(minutes=1)) == 0
    assert forget_uploads(store, now + timedelta(minutes=1)) == 1
    assert list(store.list("uploads/")) == []


# What is submitted


def test_an_uploaded_package_is_the_same_submission_as_the_files_on_disk(server: Server, intakes: Intakes) -> None:
    grey = picture(background=100)
    refs = [("a/good.jpg", picture()), ("grey.jpg", grey), ("a/good.jpg", b"another"), ("none.jpg", b"none")]
    rows = [person(n, photo_ref=ref, photo_sha256=sha256(content)) for n, (ref, content) in enumerate(refs)]
    path = intakes.file("上传.csv", [*rows, *(person(n) for n in range(10, 300))])
    package = Package("uploaded", "110000", "retiree", OPENS, 294)

    def does(received: Received) -> Any:
        return submit_package(intakes.settings, package, received.files, SUBMITTER, received.photos)

    parts = [manifest(), file(path.name, path.read_bytes()), photo("a/good.jpg", picture()), photo("grey.jpg", grey)]
    submitted = server.post(parts, does)
    assert submitted["rows"] == 294
    wait_for(lambda: bool(intakes.rows("SELECT FROM submission WHERE sha256 = %s", submitted["sha256"])))
    again = submit_package(intakes.settings, package, [path], SUBMITTER)
    assert (again["submission"], again["sha256"]) == (submitted["submission"], submitted["sha256"])
    intakes.finish(intakes.validate("uploaded"))
    outcomes = intakes.outcomes("uploaded")
    assert [outcomes[line] for line in range(2, 6)] == [
        ("accepted", None),
        ("quarantined", ["PHOTO_BACKGROUND"]),
        ("quarantined", ["PHOTO_DIFFERS"]),
        ("quarantined", ["PHOTO_MISSING"]),
    ]
    assert outcomes[6] == ("accepted", None)


@pytest.mark.parametrize(
    ("ref", "code"), [("../a.jpg", "PHOTO_PATH"), ("/a.jpg", "PHOTO_PATH"), ("a.jpg", "PHOTO_TOO_LARGE")]
)
def test_photos_of_an_upload_are_refused_like_those_of_a_folder(
    server: Server, intakes: Intakes, ref: str, code: str
) -> None:
    path = intakes.file("refused.csv", [person(1, photo_ref=ref, photo_sha256="0" * 64)])
    package, before = Package("refused", "110000", "retiree", OPENS, 1), objects(intakes.settings)

    def does(received: Received) -> Any:
        return submit_package(intakes.settings, package, received.files, SUBMITTER, received.photos)

    found = server.post([manifest(), file("r.csv", path.read_bytes()), photo("a.jpg", bytes(MAX_BYTES + 1))], does)
    assert (found["error"], found["details"]) == (code, {"file": "r.csv", "line": 2})
    assert objects(intakes.settings) == before
