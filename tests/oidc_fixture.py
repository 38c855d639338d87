"""A small real OpenID provider (Django OAuth Toolkit, tests/oidc_server.py), and a person who logs in at it."""

from __future__ import annotations

import base64
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_server import CLI, DESK, DESK_SECRET, USER

from issuance.client.device import device_login
from issuance.errors import Refused
from issuance.users.oidc import Oidc

SERVER = Path(__file__).parent / "oidc_server.py"


class Provider(NamedTuple):
    """The provider's address, its key, and its database."""

    url: str
    key: RSAKey
    database: Path

    def settings(self, **more: str) -> dict[str, str]:
        return {"OIDC_ISSUER_URL": self.url, "OIDC_CLIENT_ID": DESK, "OIDC_CLI_CLIENT_ID": CLI, **more}

    def change(self, sql: str, *values: object) -> None:
        """What an administrator does."""
        connection = sqlite3.connect(self.database, timeout=30)
        with connection:
            assert connection.execute(sql, values).rowcount >= 1
        connection.close()

    def answer(self, user_code: str, action: str) -> None:
        """The person enters the code in a browser, and accepts or denies."""
        with httpx.Client(base_url=self.url, headers={"X-User": USER}) as browser:
            entered = browser.post("/device/", data={"user_code": user_code})
            assert entered.status_code == 302
            assert browser.post(entered.headers["location"], data={"action": action}).status_code == 302

    def login(self, client_id: str = CLI, action: str = "accept") -> dict[str, Any]:
        """The tokens of a login by this client."""
        issuer = issuer_of(self) | {"client_id": client_id}
        said: list[str] = []
        return device_login(issuer, said.append, lambda _: self.answer(code_in(said), action))

    def signed(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token as the provider signs it, with this changed."""
        now = int(time.time())
        good = {"iss": self.url, "aud": DESK, "sub": "1", "iat": now, "exp": now + 300}
        chosen = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.thumbprint()} | (header or {})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of algorithms that nobody should use
            return jwt.encode(chosen, good | claims, key or self.key, algorithms=[chosen["alg"]])


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def code_in(said: list[str]) -> str:
    return said[1].rsplit(": ", 1)[1]


def issuer_of(provider: Provider) -> dict[str, Any]:
    oidc = Oidc.of(provider.settings())
    assert oidc
    return oidc.public()


def by_introspection(provider: Provider, **more: str) -> Oidc:
    oidc = Oidc.of(provider.settings(OIDC_CLIENT_SECRET=DESK_SECRET, **more))
    assert oidc
    return oidc


def by_signature(provider: Provider, **more: str) -> Oidc:
    oidc = Oidc.of(provider.settings(**more))
    assert oidc
    return oidc


def refusal(oidc: Oidc, token: str) -> tuple[str, str | None]:
    with pytest.raises(Refused) as refused:
        oidc.who(token)
    assert token not in str(refused.value) + repr(refused.value.details)
    return refused.value.code, refused.value.details.get("reason")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("oidc")
    key = RSAKey.generate_key(2048)
    (folder / "key.pem").write_bytes(key.as_pem(private=True))
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(SERVER), str(port), str(folder)], stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/.well-known/openid-configuration", process)
        yield Provider(f"http://127.0.0.1:{port}", key, folder / "db.sqlite3")
    finally:
        process.terminate()
        process.wait()
