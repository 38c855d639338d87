"""`issuance desk`: the desk's process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import uvicorn

from issuance.desk.app import make_app
from issuance.errors import Unavailable
from issuance.ledger.audit import PIPELINE
from issuance.ledger.connection import transaction
from issuance.settings import Settings
from issuance.users.airflow_issuer import AirflowIssuer, airflow_issuer
from issuance.users.identity import Identity
from issuance.users.login import issuer_of
from issuance.users.register import Service, open_desk, register_user
from issuance.users.rights import RIGHTS, grant_first
from issuance.waiting import wait_for

PORT = 18090
PATIENCE_SECONDS = 180.0
log = logging.getLogger(__name__)


def serve_desk(settings: Settings, env: Mapping[str, str], adopt: bool) -> None:
    """Serve until told to stop. `adopt`: take the present issuer's users as this ledger's (ISSUER_CHANGED says when).

    DESK_DATABASE_URL is the ledger as the role `issuance_desk`, by default DATABASE_URL; DESK_HOST and DESK_PORT where
    to listen, DESK_URL how people reach it. ISSUANCE_FIRST_ADMIN is the issuer's id of whom a ledger without an admin
    gets as its first.

    Raises:
        Refused: ISSUER_CHANGED.
        Misconfigured: a setting is missing.
        Unavailable: Airflow does not answer for some minutes, or the ledger at all.
    """
    settings = replace(settings, database_url=env.get("DESK_DATABASE_URL") or settings.database_url)
    host, port = env.get("DESK_HOST", "127.0.0.1"), int(env.get("DESK_PORT", PORT))
    airflow = airflow_issuer(settings)
    issuer = issuer_of(env, airflow)
    installation = _once_airflow_answers(airflow)
    service = Service(*airflow.service().me(), env.get("DESK_URL") or f"http://{host}:{port}")
    name = installation if issuer is airflow else issuer.public()["issuer"]
    with transaction(settings.database_url) as connection:
        open_desk(connection, name, service, adopt)
        if subject := env.get("ISSUANCE_FIRST_ADMIN"):
            admin = register_user(connection, Identity(name, subject, subject))
            grant_first(connection, {admin: tuple(RIGHTS)}, PIPELINE)
    uvicorn.run(
        make_app(settings, issuer, airflow), host=host, port=port, log_config=LOG, access_log=False, server_header=False
    )


def _once_airflow_answers(airflow: AirflowIssuer) -> str:
    """The name of the installation; the desk and Airflow may start side by side."""
    found: list[str] = []

    def answers() -> bool:
        try:
            found.append(airflow.name_installation())
        except Unavailable as error:
            log.info("waiting: %s", error)
        return bool(found)

    if not wait_for(answers, PATIENCE_SECONDS, poll=0.5):
        raise Unavailable("AIRFLOW_UNAVAILABLE", f"Airflow does not answer for {PATIENCE_SECONDS:.0f} s")
    return found[0]


LOG: dict[str, object] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["out"]},
    "loggers": {"kafka": {"level": "ERROR"}, "httpx": {"level": "WARNING"}},
}
