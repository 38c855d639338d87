"""The desk in the stack: its process, its health, and the demo's people with their rights."""

from __future__ import annotations

import psycopg

from issuance.ledger.audit import PIPELINE
from issuance.ledger.connection import transaction
from issuance.ledger.queries import one
from issuance.settings import Settings
from issuance.stack import postgres
from issuance.stack.place import HOST, Place
from issuance.stack.program import Program
from issuance.stack.secrets import DEMO_RIGHTS
from issuance.stack.waiting import answers
from issuance.stack.workers import of_command
from issuance.users.airflow_issuer import AIRFLOW
from issuance.users.identity import Identity
from issuance.users.register import register_user
from issuance.users.rights import grant_first, has_admin

NAME = "desk"


def program(env_digest: str) -> Program:
    """The desk's process."""
    return of_command(NAME, ("desk",), env_digest)


def is_ready(place: Place) -> bool:
    """Whether the desk answers and reaches its ledger."""
    return answers(f"http://{HOST}:{place.ports.desk}/health")


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
