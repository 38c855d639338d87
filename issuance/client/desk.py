"""The desk as a client sees it: one address, one token, one way to ask; its problem documents become our errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from issuance.errors import IssuanceError, Misconfigured, Refused, Unavailable

PREFIX = "/api/v1"
TRIES = 3
"""An act carries an Idempotency-Key, so whoever lost the answer asks again."""


class Answer(NamedTuple):
    """A file that the desk answers with, and what its headers say."""

    content: bytes
    headers: Mapping[str, str]


class Desk:
    """One user's session with the desk."""

    def __init__(self, address: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=address.rstrip("/") + PREFIX, headers=headers, timeout=None)

    def get(self, path: str, **query: Any) -> Any:
        """What a read answers; of the query what is not None."""
        return self._ask("GET", path, params=_given(query)).json()

    def act(self, path: str, body: Mapping[str, Any] | None = None, *, dry_run: bool = False) -> Any:
        """What an act answers; with `dry_run` what it would answer."""
        return self._ask("POST", path, json=dict(body or {}), params=_given({"dry_run": dry_run or None})).json()

    def export(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The file that an act answers with."""
        answer = self._ask("POST", path, json=dict(body))
        return Answer(answer.content, answer.headers)

    def upload(
        self, path: str, manifest: bytes, files: Sequence[Path], photos: Mapping[str, Path], dry_run: bool
    ) -> Any:
        """Send a package in a stream: the manifest, then files, then photos by their names."""
        with ExitStack() as stack:
            parts: list[tuple[str, Any]] = [("manifest", (None, manifest, "application/json"))]
            parts += [("files", (file.name, stack.enter_context(file.open("rb")))) for file in files]
            parts += [("photos", (name, _Lazy(photo))) for name, photo in photos.items()]
            return self._ask("POST", path, files=parts, params=_given({"dry_run": dry_run or None})).json()

    @contextmanager
    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[Iterator[str]]:
        """The lines that an act answers with, as they come."""
        try:
            with self._client.stream("POST", path, json=dict(body)) as answer:
                if answer.is_error:
                    answer.read()
                    raise error_of(answer)
                yield answer.iter_lines()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        tries = 1 if "files" in options else TRIES
        while True:
            tries -= 1
            try:
                answer = self._client.request(method, path, headers=headers, **options)
            except httpx.TransportError as error:
                if tries and not isinstance(error, httpx.ConnectError):
                    continue
                raise self._unreachable(error) from error
            if answer.is_error:
                raise error_of(answer)
            return answer

    def _unreachable(self, error: Exception) -> Unavailable:
        at = str(self._client.base_url).removesuffix(f"{PREFIX}/")
        return Unavailable(
            "DESK_UNAVAILABLE",
            f"业务台 {at} 没有应答；地址可用 ISSUANCE_DESK_URL 或 issuance login --desk 指定。"
            f" / the desk {at} does not answer ({type(error).__name__}); its address is ISSUANCE_DESK_URL, or that of"
            " `issuance login --desk`.",
        )


class _Lazy:
    """A photo that is opened when its turn comes: a folder has more of them than a process may hold open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def read(self, size: int = -1) -> bytes:
        """The next bytes; closes at the end."""
        if self._file is None:
            self._file = self._path.open("rb")
        content: bytes = self._file.read(size)
        if not content:
            self._file.close()
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the beginning before a part is sent; its length is asked by seeking to the end."""
        if whence == 2:
            return self._path.stat().st_size + offset
        self._file = None
        return 0

    def tell(self) -> int:
        """Always at the beginning: a part is sent once."""
        return 0


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def error_of(answer: httpx.Response) -> IssuanceError:
    """The error of a problem document."""
    try:
        told = answer.json()
        code, message, details = told["code"], told["detail"], told.get("details") or {}
    except (ValueError, KeyError, TypeError):
        code, message, details = "DESK_ANSWER", f"the desk answered {answer.status_code}", {}
    if answer.status_code >= 500:
        return (Unavailable if answer.status_code == 503 else IssuanceError)(code, message, **details)
    return (Misconfigured if code == "REQUEST_INVALID" else Refused)(code, message, **details)
