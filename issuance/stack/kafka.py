"""One Kafka node (KRaft), SCRAM for every client, and nothing allowed without an ACL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from issuance.errors import Unavailable
from issuance.stack.java import java
from issuance.stack.place import HOST, Place, make_private, write_private
from issuance.stack.program import Program
from issuance.stack.waiting import port_is_open

NAME = "kafka"
ADMIN = "admin"
MECHANISM = "SCRAM-SHA-256"

LOG4J = """status=error
appender.console.type=Console
appender.console.name=out
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""


def properties(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    """The node's settings."""
    ports = place.ports
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    login = f'username="{ADMIN}" password="{secrets["kafka_admin"]}"'
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{ports.kafka_controller}",
        "listeners": f"CLIENTS://{HOST}:{ports.kafka},CONTROLLER://{HOST}:{ports.kafka_controller}",
        "advertised.listeners": f"CLIENTS://{HOST}:{ports.kafka}",
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": f"{scram} {login};",
        # SCRAM users live in the metadata that the controller serves, so its own listener cannot use them.
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": f'{plain} {login} user_{ADMIN}="{secrets["kafka_admin"]}";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN}",
        "allow.everyone.if.no.acl.found": "false",
        "auto.create.topics.enable": "false",
        "log.dirs": str(data(place)),
        **_SIZES,
    }


_SIZES = {
    "message.max.bytes": str(8 * 2**20),
    "num.io.threads": "4",
    "num.network.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    # Hundreds of small topics: no 10 MB index file reserved for each, and no 128 MB of heap for the compactor.
    "log.index.size.max.bytes": str(2**20),
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
    "log.segment.bytes": str(128 * 2**20),
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}


def data(place: Place) -> Path:
    """Kafka's log directory."""
    return place.root / NAME


def program(place: Place, jars: list[Path]) -> Program:
    """The node's process."""
    memory = ("-Xms192m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
    return Program(
        NAME,
        (str(java()), *memory, f"-Dlog4j2.configurationFile={_log4j(place)}", "kafka.Kafka", str(_config(place))),
        environment={"CLASSPATH": ":".join(map(str, jars))},
        stop_seconds=40,
    )


def _config(place: Place) -> Path:
    return place.config / "kafka.properties"


def _log4j(place: Place) -> Path:
    return place.config / "kafka-log4j2.properties"


def prepare(place: Place, secrets: dict[str, str], jars: list[Path]) -> None:
    """Write the settings, and at the first start format the storage with the super user in it."""
    lines = [f"{name}={value}" for name, value in properties(place, secrets).items()]
    write_private(_config(place), "\n".join(lines) + "\n")
    write_private(_log4j(place), LOG4J)
    make_private(data(place))
    if not (data(place) / "bootstrap.checkpoint").exists():
        _format(place, secrets, jars)


def _format(place: Place, secrets: dict[str, str], jars: list[Path]) -> None:
    shutil.rmtree(data(place))  # what an interrupted first start left
    make_private(data(place))
    # StorageTool takes the password from the command line only; this process lives a second, at the first start.
    scram = f"{MECHANISM}=[name={ADMIN},password={secrets['kafka_admin']}]"
    tool = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format")
    arguments = ("-t", secrets["kafka_cluster_id"], "-c", str(_config(place)), "--add-scram", scram)
    outcome = subprocess.run(
        [str(java()), f"-Dlog4j2.configurationFile={_log4j(place)}", *tool, *arguments],
        env={"CLASSPATH": ":".join(map(str, jars))},
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        reason = (outcome.stdout + outcome.stderr).strip().splitlines()[-1:] or ["no message"]
        raise Unavailable("KAFKA_FORMAT_FAILED", f"kafka: cannot format the storage: {reason[0]}")


def is_ready(place: Place) -> bool:
    """Whether the client listener is open; Kafka opens it last, when it serves requests."""
    return port_is_open(HOST, place.ports.kafka)
