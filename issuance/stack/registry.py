"""Apicurio as the schema registry, with the Confluent API at /apis/ccompat/v7.

It stores in PostgreSQL, not in memory: Confluent framing writes the schema's id into every message, and ids reassigned
at each start would point messages in Kafka to other schemas.
"""

from __future__ import annotations

from pathlib import Path

from issuance.stack.downloads import unpack
from issuance.stack.java import java
from issuance.stack.place import HOST, Place
from issuance.stack.program import Program
from issuance.stack.waiting import answers

NAME = "registry"
API = "/apis/ccompat/v7"


def url(place: Place) -> str:
    """The Confluent API."""
    return f"http://{HOST}:{place.ports.registry}{API}"


def scratch(place: Place) -> Path:
    """Its temporary directory."""
    return place.root / NAME


def program(place: Place, archive: Path, secrets: dict[str, str]) -> Program:
    """The process; the runner's jar finds its libraries beside it."""
    directory = unpack(archive, place.cache / archive.name.removesuffix(".tar.gz"))
    runner = next(directory.glob("*-runner.jar"))
    memory = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
    return Program(
        NAME,
        # Its cache lies in the temporary directory under a fixed name, where another user's would stop it.
        (str(java()), *memory, f"-Djava.io.tmpdir={scratch(place)}", "-jar", str(runner)),
        environment={
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(place.ports.registry),
            "QUARKUS_LOG_LEVEL": "WARN",
            "QUARKUS_LOG_CATEGORY__IO_APICURIO__LEVEL": "WARN",
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{HOST}:{place.ports.postgres}/registry",
            "APICURIO_DATASOURCE_USERNAME": "registry",
            "APICURIO_DATASOURCE_PASSWORD": secrets["postgres_registry"],
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "10",
        },
    )


def is_ready(place: Place) -> bool:
    """Whether it answers a read."""
    return answers(f"{url(place)}/subjects")
