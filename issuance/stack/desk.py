"""The desk in the stack: its process, its health, and the demo's people with their rights."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

import psycopg

from issuance.ledger.audit import PIPELINE
from issuance.ledger.connection import transaction
from issuance.ledger.queries import one
from issuance.settings import Settings
from issuance.stack import postgres
from issuance.stack.place import HOST, Place
from issuance.stack.program import Program
from issuance.stack.secrets import DEMO_RIGHTS
from issuance.users.airflow_issuer import AIRFLOW
from issuance.users.identity import Identity
from issuance.users.register import register_user
from issuance.users.rights import grant_first, has_admin

NAME = "desk"


def program(env_digest: str) -> Program:
    """The desk's process, restarted when it ends or when stack.env has changed."""
    command = (sys.executable, "-m", "issuance.stack.launch", str(Path(sys.executable).with_name("issuance")), "desk")
    return Program(NAME, command, {"ISSUANCE_ENV_DIGEST": env_digest}, stop_seconds=30, start_retries=10)


def is_ready(place: Place) -> bool:
    """Whether the desk answers and reaches its ledger."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{place.ports.desk}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def admit_people(place: Place, settings: Settings, secrets: dict[str, str]) -> None:
    """Register the demo's people by the ids that Airflow's set-up gave them, on a ledger that has no admin yet."""
    with transaction(settings.owner_url) as connection:
        (issuer,) = one(connection, "SELECT issuer FROM desk")
        if has_admin(connection) or not issuer.startswith(AIRFLOW):  # another issuer's people are not these
            return
        with psycopg.connect(postgres.url(place, "airflow", secrets["postgres_airflow"])) as airflow:
            ids: dict[str, str] = dict(airflow.execute("SELECT username, id::text FROM ab_user").fetchall())
        users = {name: register_user(connection, Identity(issuer, ids[name], name)) for name in DEMO_RIGHTS}
        grant_first(connection, {users[name]: rights for name, rights in DEMO_RIGHTS.items()}, PIPELINE)
