"""stack.env: the variables by which everything finds the stack, including components that the user provides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from issuance.ledger.roles import DESK, PIPELINE, READER
from issuance.stack import airflow, kafka, postgres, registry, s3
from issuance.stack.place import HOST, Place
from issuance.stack.secrets import AIRFLOW_USERS

ADDRESS_OF = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "ledger": "DATABASE_URL",
    "s3": "S3_ENDPOINT_URL",
    "registry": "SCHEMA_REGISTRY_URL",
    "airflow": "AIRFLOW_API_URL",
}
"""Component: the variable by which the user replaces it."""


def own_variables(place: Place, secrets: dict[str, str]) -> dict[str, dict[str, str]]:
    """Component: its variables when it is ours."""
    bootstrap = f"{HOST}:{place.ports.kafka}"
    users = {f"AIRFLOW_USER_{user.upper()}_PASSWORD": secrets[f"airflow_user_{user}"] for user in AIRFLOW_USERS}
    return {
        "kafka": {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": kafka.MECHANISM,
            "KAFKA_REPLICATION": "1",
            "KAFKA_USER": "issuance",
            "KAFKA_PASSWORD": secrets["kafka_issuance"],
            "KAFKA_ADMIN_USER": kafka.ADMIN,
            "KAFKA_ADMIN_PASSWORD": secrets["kafka_admin"],
        },
        "ledger": {
            "DATABASE_URL": postgres.url(place, PIPELINE, secrets[f"postgres_{PIPELINE}"]),
            "DESK_DATABASE_URL": postgres.url(place, DESK, secrets[f"postgres_{DESK}"]),
            "READER_DATABASE_URL": postgres.url(place, READER, secrets[f"postgres_{READER}"]),
            "LEDGER_OWNER_URL": postgres.url(place, "ledger", secrets["postgres_ledger"]),
        },
        "s3": {
            "S3_ENDPOINT_URL": f"http://{HOST}:{place.ports.s3}",
            "S3_ACCESS_KEY": s3.OWNER,
            "S3_SECRET_KEY": secrets[f"s3_{s3.OWNER}"],
            "S3_BUCKET": s3.BUCKET,
        },
        "registry": {"SCHEMA_REGISTRY_URL": registry.url(place)},
        "airflow": {"AIRFLOW_API_URL": airflow.url(place), **users},
    }


def given_components(own: Mapping[str, Mapping[str, str]], env: Mapping[str, str]) -> frozenset[str]:
    """The components the user provides: their address is set, and not just sourced from our stack.env."""
    addresses = {name: env.get(variable, "") for name, variable in ADDRESS_OF.items()}
    return frozenset(name for name, address in addresses.items() if address not in ("", own[name][ADDRESS_OF[name]]))


def stack_variables(
    place: Place, secrets: dict[str, str], given: frozenset[str], env: Mapping[str, str]
) -> dict[str, str]:
    """All variables of stack.env; those of a given component are the user's, unset ones are left out."""
    own = own_variables(place, secrets)
    values: dict[str, str] = {"ISSUANCE_STACK_DIR": str(place.root), "S3_BUCKET": s3.BUCKET}
    for name, variables in own.items():
        if name in given:
            values |= {variable: env[variable] for variable in variables if variable in env}
        else:
            values |= variables
    values |= {
        "DESK_URL": env.get("DESK_URL") or f"http://{HOST}:{place.ports.desk}",
        "DESK_PORT": str(place.ports.desk),
        "ISSUANCE_KEYS_DIR": str(place.keys),
        "ISSUANCE_PARTNER_KEYS_DIR": str(place.partner_keys),
        "ISSUANCE_PARTNER_CREDENTIALS_DIR": str(place.partners),
    }
    if "airflow" not in given:
        user, password = values.get("KAFKA_USER", ""), values.get("KAFKA_PASSWORD", "")
        extra = airflow.kafka_extra(values["KAFKA_BOOTSTRAP_SERVERS"], user, password)
        values |= airflow.variables(place, secrets, extra)
    return values


def render(values: Mapping[str, str]) -> str:
    """KEY=VALUE lines, as `issuance.settings` and shells read them."""
    return "# Written by `issuance stack up`; do not edit.\n" + "".join(f"{k}={v}\n" for k, v in values.items())


def digest(values: Mapping[str, str]) -> str:
    """A short hash that changes when a variable does."""
    return hashlib.sha256(render(values).encode()).hexdigest()[:12]
