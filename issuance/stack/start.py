"""Starting the programs of a plan: side by side, each as soon as what it needs answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import psutil

from issuance.errors import Unavailable
from issuance.ledger.connection import migrate
from issuance.stack import airflow, desk, kafka, postgres, registry, s3
from issuance.stack.place import GRPC_OFFSET, HOST, PORTS_OF, Place, make_private
from issuance.stack.plan import Plan
from issuance.stack.supervise import ALIVE, Supervisor
from issuance.stack.waiting import await_condition, port_is_free
from issuance.vault.envelopes import publish_keys
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.subjects import register_schemas
from issuance.wire.topics_apply import apply_kafka

Progress = Callable[[str], None]
PATIENCE_SECONDS = 180.0
"""How long a live component may take to start: allows for a cold disk and two cores under load."""


def start_programs(plan: Plan, supervisor: Supervisor, progress: Progress) -> None:
    """Start the plan's programs and wait until all of them answer.

    Raises:
        Unavailable: the first component that fails, by name; nothing waits for the others then.
    """
    running = {info["name"] for info in supervisor.programs() if info["statename"] in ALIVE}
    check_ports(plan.place, [name for name in plan.programs if name not in running])
    began = time.monotonic()
    supervisor.load_config(plan.supervisor_file)
    start = _Start(plan, supervisor, progress)
    with ThreadPoolExecutor(max_workers=8) as pool:
        database = pool.submit(start.postgres)
        stores = [database, *(pool.submit(arm) for arm in (start.kafka, start.s3))]
        schemas = pool.submit(start.registry, database)
        scheduling = pool.submit(start.airflow, database)
        ours = pool.submit(start.workers, [*stores, schemas])
        door = pool.submit(start.desk, ours, scheduling)
        arms = [*stores, schemas, scheduling, ours, door]
        done, _ = wait(arms, return_when=FIRST_EXCEPTION)
        failed = [arm for arm in done if arm.exception()]
        if failed:
            start.abandoned.set()
    for arm in failed or arms:
        arm.result()
    progress(f"stack: ready in {time.monotonic() - began:.1f} s")


def check_ports(place: Place, names: list[str]) -> None:
    """Refuse to start while another process holds a port.

    Raises:
        Unavailable: names the port, its holder if known, and the variable that changes the port.
    """
    for name in names:
        for port_field in PORTS_OF.get(name, ()):
            port = getattr(place.ports, port_field)
            for candidate in (port, port + GRPC_OFFSET) if name == "s3" else (port,):
                if not port_is_free(HOST, candidate):
                    raise Unavailable(
                        "PORT_BUSY",
                        f"port {candidate} of {name} is taken{_holder(candidate)}: stop that program, or set "
                        f"ISSUANCE_PORT_{port_field.upper()} to a free port",
                        component=name,
                        port=candidate,
                    )


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
        pids = {
            entry.pid for entry in connections if entry.laddr and entry.laddr.port == port and entry.status == "LISTEN"
        }
        names = [f"{psutil.Process(pid).name()}, process {pid}" for pid in pids if pid]
    except psutil.Error:  # some systems hide other users' processes
        return ""
    return f" by {names[0]}" if names else ""


@dataclass
class _Start:
    """One start: the arms that run side by side, each a method."""

    plan: Plan
    supervisor: Supervisor
    progress: Progress
    abandoned: Event = field(default_factory=Event)
    """Set when another arm has failed, so that the others stop waiting."""

    def _await(self, name: str, programs: list[str], ready: Callable[[], bool]) -> None:
        began = time.monotonic()
        for program in programs:
            self.supervisor.start(program)
        pids = {program: self.supervisor.pid(program) for program in programs}
        await_condition(name, ready, lambda: self._check(pids), PATIENCE_SECONDS)
        self.progress(f"{name}: ready in {time.monotonic() - began:.1f} s")

    def _check(self, pids: dict[str, int]) -> None:
        if self.abandoned.is_set():
            raise Unavailable("ABANDONED", "another component failed")
        for program, pid in pids.items():
            self.supervisor.check_alive(program, pid)

    def _runs(self, name: str) -> bool:
        return self.supervisor.state(name) in ALIVE

    def kafka(self) -> None:
        """Kafka, then its topics, users and ACLs."""
        place, secrets = self.plan.place, self.plan.secrets
        if kafka.NAME in self.plan.programs:
            if not self._runs(kafka.NAME):
                kafka.prepare(place, secrets, self.plan.jars["kafka"])
            self._await(kafka.NAME, [kafka.NAME], lambda: kafka.is_ready(place))
        values = self.plan.values
        if "KAFKA_ADMIN_USER" in values:
            changes = apply_kafka(self.plan.settings, values["KAFKA_ADMIN_USER"], values["KAFKA_ADMIN_PASSWORD"])
            self.progress(f"topics: {len(changes)} changes in Kafka")

    def postgres(self) -> None:
        """PostgreSQL with its databases."""
        if postgres.NAME not in self.plan.programs:
            return
        place, password = self.plan.place, self.plan.secrets["postgres_postgres"]
        if not self._runs(postgres.NAME):
            postgres.prepare(place, password, self.progress)
        self._await(postgres.NAME, [postgres.NAME], lambda: postgres.is_ready(place, password))
        postgres.make_databases(place, self.plan.secrets)

    def s3(self) -> None:
        """SeaweedFS with our bucket."""
        if s3.NAME not in self.plan.programs:
            return
        place, secrets = self.plan.place, self.plan.secrets
        s3.prepare(place, self.plan.partners, secrets)
        self._await(s3.NAME, [s3.NAME], lambda: s3.is_ready(place, secrets))

    def registry(self, database: Future[None]) -> None:
        """The schema registry, then our schemas."""
        if registry.NAME in self.plan.programs:
            database.result()
            make_private(registry.scratch(self.plan.place))
            self._await(registry.NAME, [registry.NAME], lambda: registry.is_ready(self.plan.place))
        changes = register_schemas(self.plan.settings)
        self.progress(f"topics: {len(changes)} changes in the schema registry")

    def airflow(self, database: Future[None]) -> None:
        """Airflow, set up first where the database needs it."""
        names = [program.name for program in airflow.programs("") if program.name in self.plan.programs]
        if not names:
            return
        database.result()
        place, secrets = self.plan.place, self.plan.secrets
        if airflow.needs_set_up(place, secrets):
            self.progress("airflow: setting up its database and users")
            airflow.set_up(place, secrets, self.plan.environment)
        since = datetime.now(UTC)
        self._await("airflow", names, lambda: airflow.is_ready(place, since))

    def workers(self, needs: list[Future[None]]) -> None:
        """The ledger's tables and our public keys, then consumers and relay, when all they need is up."""
        for need in needs:
            need.result()
        migrate(self.plan.settings.owner_url)
        publish_keys(ObjectStore.of(self.plan.settings), KeyService(self.plan.settings.keys_dir))
        names = [name for name in self.plan.programs if name == "relay" or name.startswith("consume-")]
        if names:
            self._await("workers", names, lambda: all(self.supervisor.state(name) == "RUNNING" for name in names))

    def desk(self, ours: Future[None], scheduling: Future[None]) -> None:
        """The desk, which waits for Airflow by itself, and the demo's people with their rights."""
        if desk.NAME not in self.plan.programs:
            return
        ours.result()
        self.supervisor.start(desk.NAME)
        scheduling.result()
        self._await(desk.NAME, [desk.NAME], lambda: desk.is_ready(self.plan.place))
        desk.admit_people(self.plan.place, self.plan.settings, self.plan.secrets)
