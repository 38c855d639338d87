"""The desk of a ledger of a test's own, as a real server in this process.

There is no Airflow below `demo`: logins come from a small issuer of the tests. Airflow's are proven in tests/demo, an
OIDC provider's in tests/pure/test_oidc.py.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from issuance.airflow.client import not_logged_in
from issuance.desk.app import make_app
from issuance.ledger.connection import connect
from issuance.settings import Settings
from issuance.users.airflow_issuer import AirflowIssuer
from issuance.users.identity import Identity, Issuer
from issuance.users.register import Service, open_desk
from issuance.users.rights import EVERYWHERE, RIGHTS
from issuance.waiting import wait_for

ISSUER = "test"
NO_AIRFLOW = AirflowIssuer("http://127.0.0.1:9", "desk", "none")


@dataclass
class TokenIssuer:
    """Tokens are 'token-of-NAME'; a name that was disabled has none."""

    disabled: set[str] = field(default_factory=set)
    asked: int = 0

    def who(self, token: str) -> Identity:
        self.asked += 1
        kind, _, name = token.partition("token-of-")
        if kind or not name or name in self.disabled:
            raise not_logged_in()
        return Identity(ISSUER, name, name)

    def public(self) -> dict[str, Any]:
        return {"kind": "test", "issuer": ISSUER}


def add_user(url: str, name: str, rights: Sequence[str] = tuple(RIGHTS), city: str = EVERYWHERE) -> None:
    """A user whose id is its name, with rights in a city or everywhere."""
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO desk_user (user_id, issuer, subject, name) VALUES (%(n)s, %(i)s, %(n)s, %(n)s)"
            " ON CONFLICT DO NOTHING", {"n": name, "i": ISSUER}
        )  # fmt: skip
        connection.execute(
            'INSERT INTO user_right (user_id, "right", city, granted_by, granted_on)'
            " SELECT %s, r, %s, 'pipeline', '2025-01-01' FROM unnest(%s::text[]) r ON CONFLICT DO NOTHING",
            (name, city, list(rights)),
        )


@contextmanager
def running_desk(settings: Settings, issuer: Issuer | None = None, name: str = ISSUER) -> Iterator[str]:
    """The desk of a ledger; its address."""
    with connect(settings.database_url) as connection:
        open_desk(connection, name, Service("0", "desk", "http://desk.invalid"), adopt=True)
    app = make_app(settings, issuer or TokenIssuer(), NO_AIRFLOW)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert wait_for(lambda: server.started, 30)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()


@contextmanager
def logged_in(settings: Settings, home: Path, user: str, rights: Sequence[str] = tuple(RIGHTS)) -> Iterator[str]:
    """The command line of this process at the desk of a ledger, as a user; the desk's address."""
    add_user(settings.database_url, user, rights)
    before = {name: os.environ.get(name) for name in ("ISSUANCE_DESK_URL", "XDG_CONFIG_HOME")}
    with running_desk(settings) as address:
        folder = home / user / "issuance"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "login.json").write_text(json.dumps({"desk": address, "token": f"token-of-{user}"}))
        os.environ.update({"ISSUANCE_DESK_URL": address, "XDG_CONFIG_HOME": str(home / user)})
        try:
            yield address
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


LogIn = Callable[..., str]
"""(settings, user, rights=all) → the desk's address; for the rest of the test."""
