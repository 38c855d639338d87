"""The login that is kept in the user's own folder (mode 0600): the desk's address and a token, no name of anybody.

Whoever edits it is still the user of the token.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from issuance.client.desk import Desk
from issuance.client.device import device_login, refresh
from issuance.errors import Refused
from issuance.settings import environment

DEFAULT = "http://127.0.0.1:18090"
EARLY = 30.0
"""Seconds before its end in which a token is renewed."""


def address() -> str:
    """The desk's address: ISSUANCE_DESK_URL, that of the login, that of the local stack."""
    values = environment()
    return values.get("ISSUANCE_DESK_URL") or _kept().get("desk") or values.get("DESK_URL") or DEFAULT


def desk() -> Desk:
    """A session of the user who is logged in.

    Raises:
        Refused: NOT_LOGGED_IN.
    """
    kept = _kept()
    if not kept.get("token"):
        raise Refused("NOT_LOGGED_IN", "请先登录：issuance login 用户名。 / log in first: issuance login USER.")
    if kept.get("refresh") and kept.get("ends", 0) < time.time() + EARLY:
        renewed = refresh(Desk(address()).get("issuer"), kept["refresh"])
        kept = _keep({**kept, **_token_of(renewed, kept["refresh"])})
    return Desk(address(), kept["token"])


def log_in(user: str | None, password: Callable[[], str], at: str | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Log in where the desk's users do, and keep the token; returns who one is.

    Airflow's users give name and password; for OIDC a page is shown on which to confirm (RFC 8628).

    Raises:
        Refused: LOGIN_REFUSED.
        Unavailable: the desk or the issuer does not answer.
    """
    desk_at = at or address()
    issuer = Desk(desk_at).get("issuer")
    if issuer["kind"] == "oidc":
        found = _token_of(device_login(issuer, say, time.sleep), None)
    else:
        if not user:
            raise Refused("USER_MISSING", "请写用户名：issuance login 用户名。 / name the user: issuance login USER.")
        found = {"token": Desk(desk_at).act("login", {"user": user, "password": password()})["token"]}
    me: dict[str, Any] = Desk(desk_at, found["token"]).get("me")
    _keep({"desk": desk_at, **found})
    return me


def _token_of(answer: dict[str, Any], before: str | None) -> dict[str, Any]:
    ends = time.time() + float(answer.get("expires_in") or 300)
    return {"token": answer["access_token"], "refresh": answer.get("refresh_token") or before, "ends": ends}


def _file() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "issuance" / "login.json"


def _kept() -> dict[str, Any]:
    try:
        kept = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(values: dict[str, Any]) -> dict[str, Any]:
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(".login.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file)
    draft.replace(path)
    return values
