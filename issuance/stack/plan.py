"""What is to run, worked out and written down before anything is started."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from issuance.city.partners import Registry, load_registry
from issuance.errors import Unavailable
from issuance.settings import Settings, load_settings
from issuance.stack import airflow, credentials, desk, downloads, kafka, postgres, registry, s3, variables, workers
from issuance.stack.place import Place, make_private, write_private
from issuance.stack.program import Program, render_supervisor
from issuance.stack.secrets import load_secrets

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """One start of the stack."""

    place: Place
    partners: Registry
    secrets: dict[str, str]
    given: frozenset[str]
    """Components the user provides: kafka, ledger, s3, registry, airflow."""
    values: dict[str, str]
    """The content of stack.env."""
    jars: dict[str, list[Path]]
    programs: dict[str, Program]

    @property
    def settings(self) -> Settings:
        """Settings of this start."""
        return load_settings(self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of our processes: the file's values win, since this start decided them."""
        return {**os.environ, **self.values}

    @property
    def supervisor_file(self) -> Path:
        """The supervisor's configuration."""
        return self.place.config / "supervisord.conf"


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Only one `up` or `down` at a time on one stack.

    Raises:
        Unavailable: another one is running.
    """
    # Root's PostgreSQL runs as another user, who has to pass through here.
    make_private(place.root, 0o711 if postgres.run_as() else 0o700)
    with (place.root / "lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                "STACK_BUSY", f"another `issuance stack up` or `down` is running on {place.root}"
            ) from error
        yield


def make_plan(place: Place, env: Mapping[str, str], with_workers: bool, progress: Progress) -> Plan:
    """Secrets, variables, downloads, credentials and the supervisor's configuration; nothing is started."""
    for directory in (place.config, place.logs):
        make_private(directory)
    partners = load_registry(Path(env.get("ISSUANCE_PARTNERS", place.repo / "policies" / "partners.demo.yaml")))
    secrets = load_secrets(place.root / "secrets.json", partners)
    given = variables.given_components(variables.own_variables(place, secrets), env)
    values = variables.stack_variables(place, secrets, given, env)
    jars = _downloads(place, given, progress)
    credentials.write_credentials(place, partners, secrets, values)
    programs = make_programs(place, secrets, given, jars, variables.digest(values), with_workers)
    plan = Plan(place, partners, secrets, given, values, jars, {program.name: program for program in programs})
    write_private(place.env_file, variables.render(values))
    user = "root" if postgres.run_as() else None
    write_private(plan.supervisor_file, render_supervisor(programs, place, user))
    return plan


def _downloads(place: Place, given: frozenset[str], progress: Progress) -> dict[str, list[Path]]:
    wanted = [name for name in ("kafka", "registry") if name not in given]
    with ThreadPoolExecutor(max_workers=2) as pool:
        files = pool.map(lambda name: downloads.fetch(name, place.cache, progress), wanted)
        return dict(zip(wanted, files, strict=True))


def make_programs(
    place: Place,
    secrets: dict[str, str],
    given: frozenset[str],
    jars: dict[str, list[Path]],
    env_digest: str,
    with_workers: bool,
) -> list[Program]:
    """The processes of a start, in the order in which status lists them."""
    programs: list[Program] = []
    if "kafka" not in given:
        programs.append(kafka.program(place, jars["kafka"]))
    if not given >= {"ledger", "registry", "airflow"}:  # PostgreSQL serves all three
        programs.append(postgres.program(place))
    if "s3" not in given:
        programs.append(s3.program(place, secrets))
    if "registry" not in given:
        programs.append(registry.program(place, jars["registry"][0], secrets))
    if "airflow" not in given:
        programs += [*airflow.programs(env_digest), desk.program(env_digest)]
    return programs + (workers.programs(env_digest) if with_workers else [])
