"""PostgreSQL by itself, as the local stack sets it up, without supervisor and without anything beside it."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from issuance.city.partners import load_registry
from issuance.settings import ROOT, Settings, load_settings
from issuance.stack import postgres
from issuance.stack.place import Place, load_place, make_private
from issuance.stack.secrets import load_secrets
from issuance.waiting import wait_for

NOWHERE = dict.fromkeys(
    ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_USER", "KAFKA_PASSWORD", "S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY",
     "SCHEMA_REGISTRY_URL", "AIRFLOW_API_URL"), "http://127.0.0.1:9"
)  # fmt: skip
PORT_ABOVE_STACK = 10
"""Beside the PostgreSQL of the same process's stack."""


@contextmanager
def running_postgres(root: Path) -> Iterator[Settings]:
    """Start PostgreSQL in a folder, or find it running; ended by its id unless ISSUANCE_TEST_KEEP is set."""
    there = load_place(os.environ)
    place = replace(there, root=root, ports=replace(there.ports, postgres=there.ports.postgres + PORT_ABOVE_STACK))
    make_private(place.root, 0o711 if postgres.run_as() else 0o700)
    secrets = load_secrets(place.root / "secrets.json", load_registry(ROOT / "policies" / "partners.demo.yaml"))
    password = secrets["postgres_postgres"]
    started = None if postgres.is_ready(place, password) else _start(place, password)
    postgres.make_databases(place, secrets)
    keys = {"ISSUANCE_KEYS_DIR": str(place.keys), "ISSUANCE_PARTNER_KEYS_DIR": str(place.partner_keys)}
    url = postgres.url(place, "ledger", secrets["postgres_ledger"])
    try:
        yield load_settings({**NOWHERE, **keys, "DATABASE_URL": url})
    finally:
        if started and not os.environ.get("ISSUANCE_TEST_KEEP"):
            started.send_signal(2)  # "fast" shutdown
            started.wait(timeout=60)


def _start(place: Place, password: str) -> subprocess.Popen[bytes]:
    postgres.prepare(place, password, print)
    make_private(place.logs)
    program = postgres.program(place)
    with (place.logs / "postgres.log").open("ab") as log:
        process = subprocess.Popen(
            program.command,
            user=program.user,
            group=_group(program.user),
            extra_groups=[] if program.user else None,
            cwd="/",
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert wait_for(lambda: postgres.is_ready(place, password), 60), f"see {place.logs}"
    return process


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None
