"""Who is using the command line: an Airflow user, by a token kept in the user's own folder (mode 0600)."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from issuance.airflow.client import Airflow, fetch_token
from issuance.errors import Refused
from issuance.ledger.audit import audit
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings


def _token_file() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return base / "issuance" / "login.json"


def register_operator(settings: Settings, user: str, password: str) -> str:
    """Authenticate a user with Airflow and register it in the ledger with Airflow's id of it; returns the token.

    A new user, or one whose id has changed, is audited.
    """
    token = fetch_token(settings.airflow_api_url, user, password)
    claims = token.split(".")[1]
    subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    with transaction(settings.database_url) as connection:
        new = connection.execute(
            "INSERT INTO operator (name, airflow_id) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET airflow_id = excluded.airflow_id"
            " WHERE operator.airflow_id <> excluded.airflow_id",
            (user, subject),
        ).rowcount
        if new:
            audit(connection, user, "register", user, business_day(connection), {"airflow_id": subject})
    return token


def log_in(settings: Settings, user: str, password: str) -> None:
    """Store a token of this user."""
    token = register_operator(settings, user, password)
    path = _token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"user": user, "token": token, "at": settings.airflow_api_url}, file)


def session(settings: Settings) -> tuple[str, Airflow]:
    """The logged-in user and a live session.

    Raises:
        Refused: nobody is logged in, or the token has expired.
    """
    try:
        kept = json.loads(_token_file().read_text())
    except (OSError, ValueError) as error:
        raise Refused(
            "NOT_LOGGED_IN", "请先登录：issuance login 用户名。 / log in first: issuance login USER."
        ) from error
    airflow = Airflow(settings.airflow_api_url, kept["token"])
    airflow.get("dags", limit=1)
    return str(kept["user"]), airflow


def current_user(settings: Settings) -> str:
    """The logged-in user's name."""
    return session(settings)[0]
