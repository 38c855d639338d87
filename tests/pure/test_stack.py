"""The local stack's generated configuration, without starting anything, and the topics against the registry."""

from __future__ import annotations

import configparser
import socket
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from issuance.city.partners import PARTNER_TOPICS, Registry, load_registry
from issuance.errors import Misconfigured, Unavailable
from issuance.settings import ROOT, load_settings, read_env_file
from issuance.stack import kafka, postgres, s3, variables, workers
from issuance.stack.credentials import make_key_pair
from issuance.stack.logs import last_line, tail
from issuance.stack.place import PORTS_OF, Place, Ports, load_ports, write_private
from issuance.stack.plan import make_programs
from issuance.stack.program import Program, render_supervisor
from issuance.stack.secrets import load_secrets
from issuance.stack.start import check_ports
from issuance.wire.topics import declared_families, declared_grants, declared_topics

JARS = {"kafka": [Path("/cache/a.jar"), Path("/cache/b.jar")], "registry": [Path("registry-1-all.tar.gz")]}


@pytest.fixture
def registry() -> Registry:
    return load_registry(ROOT / "policies" / "partners.demo.yaml")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    unpacked = tmp_path / "cache" / "registry-1-all"
    unpacked.mkdir(parents=True)
    (unpacked / "registry-runner.jar").touch()
    root = tmp_path / "stack 100%"
    root.mkdir()
    return Place(root=root, repo=ROOT, cache=tmp_path / "cache", ports=Ports())


@pytest.fixture
def secrets(place: Place, registry: Registry) -> dict[str, str]:
    return load_secrets(place.root / "secrets.json", registry)


def programs_of(place: Place, secrets: dict[str, str], given: frozenset[str] = frozenset()) -> list[Program]:
    jars = {name: files for name, files in JARS.items() if name not in given}
    return make_programs(place, secrets, given, jars, "0", with_workers=True)


# Ports


def test_every_port_has_its_variable_and_a_program() -> None:
    moved = load_ports(
        {f"ISSUANCE_PORT_{field.name.upper()}": str(20_000 + n) for n, field in enumerate(fields(Ports))}
    )
    assert astuple(moved) == tuple(range(20_000, 20_000 + len(fields(Ports))))
    assert sorted(name for names in PORTS_OF.values() for name in names) == sorted(
        field.name for field in fields(Ports)
    )


@pytest.mark.parametrize("text", ["", "0", "x", "-1", "65536", "1.5"])
def test_what_is_no_port_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(Misconfigured, match="ISSUANCE_PORT_KAFKA="):
        load_ports({"ISSUANCE_PORT_KAFKA": text})


def test_two_components_cannot_share_a_port() -> None:
    with pytest.raises(Misconfigured, match="kafka, registry"):
        load_ports({"ISSUANCE_PORT_KAFKA": "18081"})


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_busy_port_is_one_line_with_component_port_and_remedy(place: Place, taken_port: int) -> None:
    busy = Place(place.root, place.repo, place.cache, Ports(postgres=taken_port))
    with pytest.raises(Unavailable) as caught:
        check_ports(busy, ["postgres"])
    assert caught.value.code == "PORT_BUSY"
    assert f"port {taken_port} of postgres is taken" in caught.value.message
    assert "ISSUANCE_PORT_POSTGRES" in caught.value.message
    assert "\n" not in caught.value.message


# Supervisor


def test_the_supervisor_file_has_a_program_per_component(place: Place, secrets: dict[str, str]) -> None:
    programs = programs_of(place, secrets)
    parsed = configparser.RawConfigParser(inline_comment_prefixes=(" ;",))
    parsed.read_string(render_supervisor(programs, place, None))
    names = [section.removeprefix("program:") for section in parsed.sections() if section.startswith("program:")]
    assert names[:4] == ["kafka", "postgres", "s3", "registry"]
    assert [name for name in names if name.startswith("airflow-")] == [
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    ]
    assert len([name for name in names if name.startswith("consume-")]) == len(workers.STAGES) == 7
    assert names[-1] == "relay"
    assert all(parsed[f"program:{name}"]["killasgroup"] == "true" for name in names)
    assert "stack 100%%" in parsed["program:postgres"]["command"]
    assert not parsed.has_section("inet_http_server")


def test_no_secret_stands_in_a_command_line(place: Place, secrets: dict[str, str]) -> None:
    words = [word for program in programs_of(place, secrets) for word in program.command]
    assert not [name for name, secret in secrets.items() if any(secret in word for word in words)]


def test_postgres_gets_no_environment_of_ours(place: Place, secrets: dict[str, str]) -> None:
    program = postgres.program(place)
    assert program.command[:2] == ("/usr/bin/env", "-i")
    assert not any(secret in " ".join(program.command) for secret in secrets.values())


@pytest.mark.parametrize(
    ("given", "absent"),
    [
        ({"kafka"}, {"kafka"}),
        ({"s3"}, {"s3"}),
        ({"registry"}, {"registry"}),
        ({"ledger"}, set()),
        ({"ledger", "registry", "airflow"}, {"postgres", "registry", "airflow-api-server"}),
    ],
)
def test_what_the_user_brings_is_not_started(
    place: Place, secrets: dict[str, str], given: set[str], absent: set[str]
) -> None:
    names = {program.name for program in programs_of(place, secrets, frozenset(given))}
    everything = {program.name for program in programs_of(place, secrets)}
    assert absent.isdisjoint(names)
    assert everything - names >= absent
    assert ("postgres" in names) == ("postgres" not in absent)


# Variables


def test_stack_env_is_all_that_settings_need(place: Place, secrets: dict[str, str]) -> None:
    values = variables.stack_variables(place, secrets, frozenset(), {})
    write_private(place.env_file, variables.render(values))
    assert place.env_file.stat().st_mode & 0o777 == 0o600
    settings = load_settings(read_env_file(place.env_file))
    assert settings.kafka_user == "issuance"
    assert settings.database_url.endswith("/ledger")
    assert settings.partner_keys_dir == place.partner_keys
    assert secrets["kafka_issuance"] not in repr(settings)


def test_stack_env_can_be_sourced_by_a_shell(secrets: dict[str, str], tmp_path: Path) -> None:
    plain = Place(tmp_path, ROOT, tmp_path, Ports())
    values = variables.stack_variables(plain, secrets, frozenset(), {})
    harmful = {name for name, value in values.items() if set(value) & set(" \"'`$&;|<>()#\\")}
    assert not harmful


def test_a_component_is_the_users_only_when_its_address_is_not_ours(place: Place, secrets: dict[str, str]) -> None:
    own = variables.own_variables(place, secrets)
    sourced = variables.stack_variables(place, secrets, frozenset(), {})
    assert variables.given_components(own, sourced) == frozenset()
    theirs = {**sourced, "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092", "KAFKA_USER": "me"}
    assert variables.given_components(own, theirs) == {"kafka"}
    values = variables.stack_variables(place, secrets, frozenset({"kafka"}), theirs)
    assert values["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example:9092"
    assert "kafka.example" in values["AIRFLOW_CONN_ISSUANCE_KAFKA"]


# Secrets and credentials


def test_secrets_are_made_once_and_readable_by_the_owner_alone(place: Place, registry: Registry) -> None:
    path = place.root / "secrets.json"
    first = load_secrets(path, registry)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_secrets(path, registry) == first
    assert len(set(first.values())) == len(first)


def test_damaged_secrets_are_not_replaced(place: Place, registry: Registry) -> None:
    (place.root / "secrets.json").write_text("{", encoding="utf-8")
    with pytest.raises(Misconfigured, match="not JSON"):
        load_secrets(place.root / "secrets.json", registry)


def test_a_key_pair_is_made_once_and_its_public_half_is_remade(tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    make_key_pair(private, public)
    secret, shown = private.read_bytes(), public.read_bytes()
    public.unlink()
    make_key_pair(private, public)
    assert (private.read_bytes(), public.read_bytes()) == (secret, shown)
    assert private.stat().st_mode & 0o777 == 0o600


def test_each_s3_identity_reads_its_own_prefix_and_our_keys_only(registry: Registry, secrets: dict[str, str]) -> None:
    rights = {entry["name"]: entry["actions"] for entry in s3.identities(registry, secrets)["identities"]}
    public = "Read:issuance/keys/*"
    assert rights["F-ICBC"] == ["Read:issuance/factories/F-ICBC/*", public]
    assert rights["SMS"] == ["Read:issuance/notices/SMS/*", public]
    assert rights["ICBC"] == rights["EMS"] == rights["HRSS-BJ"] == [public]
    assert set(rights) == {"issuance", *registry.partners}


def test_kafka_lets_nobody_in_without_password_and_acl(place: Place, secrets: dict[str, str]) -> None:
    settings = kafka.properties(place, secrets)
    assert settings["listener.security.protocol.map"].count("SASL_PLAINTEXT") == 2
    assert settings["allow.everyone.if.no.acl.found"] == "false"
    assert settings["super.users"] == "User:admin"
    assert settings["auto.create.topics.enable"] == "false"


# Topics


def test_families_are_those_of_the_lifecycle_table() -> None:
    families = declared_families()
    for kind, entries in PARTNER_TOPICS.items():
        for entry in entries:
            declared = families[entry["family"]]
            assert kind in declared["per"]
            assert declared["direction"] == {"write": "in", "read": "out"}[entry["may"]]
    of_partners = {(entry["family"], kind) for kind, entries in PARTNER_TOPICS.items() for entry in entries}
    of_partners |= {("partner-notices", kind) for kind in PARTNER_TOPICS}
    assert {(name, kind) for name, entry in families.items() for kind in entry["per"] or ()} == of_partners


def test_every_topic_of_a_partner_is_declared_and_no_other(registry: Registry) -> None:
    declared = {topic.name for topic in declared_topics(registry) if topic.partner and topic.schema}
    assert declared == {name for partner in registry.partners.values() for name, _ in partner.topics()}


def test_dead_letters_stand_behind_every_inbound_topic(registry: Registry) -> None:
    topics = {topic.name: topic for topic in declared_topics(registry)}
    inbound = {name for name, topic in topics.items() if topic.direction == "in" and topic.schema}
    assert {name for name, topic in topics.items() if topic.schema is None} == {f"{name}.dlq" for name in inbound}


def test_every_schema_named_is_there(registry: Registry) -> None:
    assert all(topic.schema.exists() for topic in declared_topics(registry) if topic.schema)


def test_a_partner_may_touch_its_own_topics_only(registry: Registry) -> None:
    grants = declared_grants(registry)
    for partner in registry.partners.values():
        own = dict(partner.topics())
        for grant in grants:
            if grant.user == partner.id and grant.resource == "topic":
                assert not grant.prefixed
                assert grant.operation in {own[grant.name].upper(), "DESCRIBE"}
            if grant.user == partner.id and grant.resource == "group":
                assert grant.name == f"{partner.id}."
    assert {grant.name for grant in grants if grant.user == "issuance" and grant.resource == "topic"} == {"issuance."}


# Logs


def test_the_last_telling_line_of_a_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("started\nBAD: disk is full\n\tat java.lang.Thread\n\n", encoding="utf-8")
    assert last_line(log) == "BAD: disk is full"
    assert tail(log, 2) == ["\tat java.lang.Thread", ""]
    assert last_line(tmp_path / "none.log") == "it wrote no log"
