"""Airflow on our PostgreSQL: its settings, its four processes, its first set-up and its health."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from issuance.errors import Unavailable
from issuance.stack import kafka, postgres
from issuance.stack.place import HOST, Place, make_private, write_private
from issuance.stack.program import Program
from issuance.stack.secrets import AIRFLOW_USERS

COMPONENTS: dict[str, tuple[str, ...]] = {
    # The API server reads logs from the same disk; the servers for distant ones would listen on every interface.
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
KAFKA_CONNECTION = "issuance_kafka"
KAFKA_GROUP = "airflow-cohort-events"
HEALTH_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def url(place: Place) -> str:
    """Where the API and the pages are served."""
    return f"http://{HOST}:{place.ports.airflow}"


def home(place: Place) -> Path:
    """AIRFLOW_HOME."""
    return place.root / "airflow"


def variables(place: Place, secrets: dict[str, str], kafka_extra: dict[str, str]) -> dict[str, str]:
    """Every variable under which `airflow` commands, `dag.test()` and the components see the same Airflow."""
    options = {**_core(place, secrets), **_access(place, secrets), **_intervals()}
    named = {f"AIRFLOW__{name}": value for name, value in options.items()}
    # The URI form needs no quotes, so that stack.env can also be sourced by a shell.
    connection = "kafka://?" + urlencode({"__extra__": json.dumps(kafka_extra)}, quote_via=quote)
    return {
        "AIRFLOW_HOME": str(home(place)),
        **named,
        f"AIRFLOW_CONN_{KAFKA_CONNECTION.upper()}": connection,
        "PYTHONPATH": str(place.repo),
        "GX_ANALYTICS_ENABLED": "false",
        "NO_COLOR": "1",
    }


def _core(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    return {
        "CORE__DAGS_FOLDER": str(place.repo / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        # The default of 32 keeps 32 idle workers of 140 MB each.
        "CORE__PARALLELISM": "4",
        "CORE__EXECUTION_API_SERVER_URL": f"{url(place)}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": postgres.url(
            place, "airflow", secrets["postgres_airflow"], "postgresql+psycopg2"
        ),
        "LOGGING__BASE_LOG_FOLDER": str(home(place) / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home(place) / "logs" / "dag_processor"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _access(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    return {
        "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "CORE__FERNET_KEY": secrets["airflow_fernet"],
        "API__BASE_URL": url(place),
        "API__HOST": HOST,
        "API__PORT": str(place.ports.airflow),
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets["airflow_secret_key"],
        "API_AUTH__JWT_SECRET": secrets["airflow_jwt"],
        # Roles and permissions are synchronised by our set-up, not again at every start of the API server.
        "FAB__UPDATE_FAB_PERMS": "False",
    }


def _intervals() -> dict[str, str]:
    """Seconds where the defaults are minutes: a killed worker is seen at once; a changed DAG within two minutes."""
    return {
        "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
        # New files are looked for every half minute, the first ones at start.
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # By the default (modified_time) a file dated after the machine's clock is parsed again without a pause.
        "DAG_PROCESSOR__FILE_PARSING_SORT_MODE": "alphabetical",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    }


def kafka_extra(bootstrap: str, user: str, password: str) -> dict[str, str]:
    """The Kafka provider's connection (librdkafka's names). Commits come after the event is stored, never by timer."""
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": kafka.MECHANISM,
        "sasl.username": user,
        "sasl.password": password,
        "group.id": KAFKA_GROUP,
        "enable.auto.commit": "false",
        "auto.offset.reset": "earliest",
    }


def programs(env_digest: str) -> list[Program]:
    """The four components; the digest makes the supervisor restart them when stack.env has changed."""
    launch = (sys.executable, "-m", "issuance.stack.launch", str(Path(sys.executable).with_name("airflow")))
    environment = {"ISSUANCE_ENV_DIGEST": env_digest}
    return [
        Program(f"airflow-{name}", (*launch, name, *options), environment, start_seconds=3, stop_seconds=30)
        for name, options in COMPONENTS.items()
    ]


def needs_set_up(place: Place, secrets: dict[str, str]) -> bool:
    """Whether the database is of another version, or a user is missing: set-up takes ten seconds, this check ten ms."""
    stamp = _stamp_file(place)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != _stamp(secrets):
        return True
    try:
        with psycopg.connect(postgres.url(place, "airflow", secrets["postgres_airflow"])) as connection:
            users = {name for (name,) in connection.execute("SELECT username FROM ab_user")}
    except psycopg.errors.UndefinedTable:  # the database was recreated
        return True
    return not users >= set(AIRFLOW_USERS)


def _stamp_file(place: Place) -> Path:
    return home(place) / "set-up"


def _stamp(secrets: dict[str, str]) -> str:
    versions = [version("apache-airflow"), version("apache-airflow-providers-fab")]
    passwords = [secrets[f"airflow_user_{user}"] for user in AIRFLOW_USERS]
    return hashlib.sha256("\n".join([*versions, *AIRFLOW_USERS.values(), *passwords]).encode()).hexdigest()


def set_up(place: Place, secrets: dict[str, str], env: dict[str, str]) -> None:
    """Migrate Airflow's database and make its users, in one process of its own."""
    users = {user: {"role": role, "password": secrets[f"airflow_user_{user}"]} for user, role in AIRFLOW_USERS.items()}
    log = place.logs / "airflow-setup.log"
    with log.open("w", encoding="utf-8") as file:
        outcome = subprocess.run(
            [sys.executable, "-m", "issuance.stack.airflow_setup"],
            input=json.dumps(users),
            env=env,
            cwd=make_private(home(place)),
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if outcome.returncode:
        reason = (log.read_text(encoding="utf-8").strip().splitlines() or ["no message"])[-1]
        raise Unavailable("AIRFLOW_SETUP_FAILED", f"airflow: cannot set up its database: {reason[:300]} (more: {log})")
    write_private(_stamp_file(place), _stamp(secrets))


def is_ready(place: Place, since: datetime) -> bool:
    """Whether every component has reported itself healthy after `since`; a heartbeat of the last run does not count."""
    try:
        with urllib.request.urlopen(f"{url(place)}/api/v2/monitor/health", timeout=5) as answer:
            health = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    parts = [health[part] for part in HEALTH_PARTS]
    beats = [value for part in parts for name, value in part.items() if name.startswith("latest_") and value]
    fresh = all(datetime.fromisoformat(beat) >= since for beat in beats)
    return all(part["status"] == "healthy" for part in parts) and len(beats) == len(HEALTH_PARTS) - 1 and fresh
