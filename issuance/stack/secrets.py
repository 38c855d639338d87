"""Passwords and keys of the stack, made at the first start and kept in `.stack/secrets.json` (0600)."""

from __future__ import annotations

import base64
import json
import os
import secrets as random_source
import uuid
from collections.abc import Mapping
from pathlib import Path

from issuance.city.partners import Registry
from issuance.errors import Misconfigured
from issuance.ledger.roles import ROLES
from issuance.stack.place import write_private

AIRFLOW_USERS = {
    **dict.fromkeys(("submitter", "planner", "releaser", "viewer", "admin"), "Viewer"),
    "desk": "Op",
    "pipeline": "Admin",
}
"""User: role in Airflow. The first five are the demo's people: what they may do lies in the ledger (DEMO_RIGHTS);
`desk` is the desk's service user, `pipeline` that of recovery and stepper."""

DEMO_RIGHTS = {
    "submitter": ("view", "submit", "unmask"),
    "planner": ("view", "plan", "resolve", "tell"),
    "releaser": ("view", "release", "tell"),
    "viewer": ("view",),
    "admin": ("view", "resolve", "unmask", "erase", "admin"),
}
"""What the demo's people may do everywhere, granted on a ledger that has no admin yet."""

_NAMES = (
    "kafka_admin",
    "kafka_issuance",
    "postgres_postgres",
    "postgres_ledger",
    *(f"postgres_{role}" for role in ROLES),
    "postgres_airflow",
    "postgres_registry",
    "s3_issuance",
    "s3_admin",
    "s3_jwt_write",
    "s3_jwt_read",
    "s3_jwt_filer_write",
    "s3_jwt_filer_read",
    "airflow_jwt",
    "airflow_secret_key",
)


def load_secrets(path: Path, registry: Registry) -> dict[str, str]:
    """All secrets by name; missing ones (a first start, a new partner) are generated and saved.

    Raises:
        Misconfigured: the file is damaged; generating new secrets would lock us out of our own data.
    """
    try:
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise Misconfigured(
            "SECRETS_DAMAGED", f"{path} is not JSON ({error}); restore it or remove {path.parent}"
        ) from error
    made = {name: new_secret() for name in wanted_names(registry) if name not in known}
    made |= {name: value for name, value in _shaped().items() if name not in known}
    if made:
        write_private(path, json.dumps(known | made, indent=1, sort_keys=True) + "\n")
    return known | made


def change_secrets(path: Path, changes: Mapping[str, str | None]) -> None:
    """Set or drop (None) secrets by name."""
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in known.items() if name not in changes}
    kept |= {name: value for name, value in changes.items() if value is not None}
    write_private(path, json.dumps(kept, indent=1, sort_keys=True) + "\n")


def new_secret() -> str:
    """A password that no file format needs escaped."""
    return random_source.token_hex(24)


def wanted_names(registry: Registry) -> list[str]:
    """The names of all plain secrets: hexadecimal, so that no file format has to escape them."""
    of_partners = [f"{system}_{partner}" for partner in registry.partners for system in ("kafka", "s3")]
    return [*_NAMES, *of_partners, *(f"airflow_user_{user}" for user in AIRFLOW_USERS)]


def _shaped() -> dict[str, str]:
    """The two secrets with a special format: Airflow's Fernet key and Kafka's cluster id (a base64 UUID)."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return {
        "airflow_fernet": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "kafka_cluster_id": f"A{cluster[1:]}",  # a leading '-' would be read as an option
    }
