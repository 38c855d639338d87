"""Settings, read once at an entry point; secrets are masked in repr.

The local stack writes `.stack/stack.env` (KEY=VALUE lines, mode 0600); the environment wins over it. Replacing a
component by your own takes these variables and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from issuance.errors import Misconfigured

ROOT = Path(__file__).resolve().parent.parent
STACK_DIR = Path(os.environ.get("ISSUANCE_STACK_DIR", ROOT / ".stack"))


@dataclass(frozen=True)
class Settings:
    """Where the components are, and our credentials for them."""

    kafka_bootstrap_servers: str
    kafka_user: str
    database_url: str
    s3_endpoint_url: str
    s3_access_key: str
    s3_bucket: str
    schema_registry_url: str
    airflow_api_url: str
    keys_dir: Path
    partner_keys_dir: Path
    partner_credentials_dir: Path
    partners_file: Path
    policies_dir: Path
    owner_url: str = field(repr=False, default="")
    """The ledger as its owner, who migrates; '' where one role does everything."""
    kafka_password: str = field(repr=False, default="")
    s3_secret_key: str = field(repr=False, default="")
    kafka_security_protocol: str = "SASL_PLAINTEXT"
    kafka_sasl_mechanism: str = "SCRAM-SHA-256"
    kafka_replication: int | None = None
    """Copies of a topic at most, where there are fewer brokers than topics.yaml asks for."""
    part_rows: int = 200_000


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file; one that is absent, or another account's alone, is empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, PermissionError):  # people's accounts may have no business there
        return {}
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def environment() -> dict[str, str]:
    """The stack's env file with the process environment on top."""
    return {**read_env_file(STACK_DIR / "stack.env"), **os.environ}


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Settings from the given variables, by default `environment()`.

    Raises:
        Misconfigured: names every missing variable at once.
    """
    values = environment() if env is None else env
    required = {
        "kafka_bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
        "kafka_user": "KAFKA_USER",
        "kafka_password": "KAFKA_PASSWORD",
        "database_url": "DATABASE_URL",
        "s3_endpoint_url": "S3_ENDPOINT_URL",
        "s3_access_key": "S3_ACCESS_KEY",
        "s3_secret_key": "S3_SECRET_KEY",
        "schema_registry_url": "SCHEMA_REGISTRY_URL",
        "airflow_api_url": "AIRFLOW_API_URL",
    }
    missing = sorted(name for name in required.values() if not values.get(name))
    if missing:
        raise Misconfigured(
            "SETTINGS_MISSING",
            f"not set: {', '.join(missing)}. Start the local stack with `issuance stack up`, or set them yourself.",
            missing=missing,
        )
    return Settings(
        **{name: values[variable] for name, variable in required.items()},
        owner_url=values.get("LEDGER_OWNER_URL") or values["DATABASE_URL"],
        s3_bucket=values.get("S3_BUCKET", "issuance"),
        keys_dir=Path(values.get("ISSUANCE_KEYS_DIR", STACK_DIR / "keys")),
        partner_keys_dir=Path(values.get("ISSUANCE_PARTNER_KEYS_DIR", STACK_DIR / "partner-keys")),
        partner_credentials_dir=Path(values.get("ISSUANCE_PARTNER_CREDENTIALS_DIR", STACK_DIR / "partners")),
        partners_file=Path(values.get("ISSUANCE_PARTNERS", ROOT / "policies" / "partners.demo.yaml")),
        policies_dir=Path(values.get("ISSUANCE_POLICIES_DIR", ROOT / "policies")),
        kafka_security_protocol=values.get("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        kafka_sasl_mechanism=values.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256"),
        kafka_replication=int(values["KAFKA_REPLICATION"]) if values.get("KAFKA_REPLICATION") else None,
        part_rows=int(values.get("ISSUANCE_PART_ROWS", "200000")),
    )
