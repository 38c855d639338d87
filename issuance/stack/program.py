"""A process that the supervisor keeps, and the supervisor's configuration made from a list of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from issuance.stack.place import MARK, Place


@dataclass(frozen=True)
class Program:
    """One process: how it is started, stopped and restarted."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    directory: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    start_seconds: int = 1
    """Alive this long counts as started; before that a death is a failed start."""
    start_retries: int = 2


def _value(text: str) -> str:
    """A value as supervisor reads it: % opens an expansion there."""
    return text.replace("%", "%%")


def _environment(values: dict[str, str]) -> str:
    return ",".join(f'{name}="{_value(value)}"' for name, value in values.items())


def _own_environment(place: Place) -> dict[str, str]:
    """What every program inherits: our mark, this stack and this clone, even if the machine has others."""
    return {MARK: str(place.root), "ISSUANCE_STACK_DIR": str(place.root), "PYTHONPATH": str(place.repo)}


def render_program(program: Program, place: Place) -> str:
    """The section of one program; it is started by us, in order, and by the supervisor after it has died."""
    lines = [
        f"[program:{program.name}]",
        f"command={_value(shlex.join(program.command))}",
        f"directory={_value(str(program.directory or place.root))}",
        "autostart=false",
        "autorestart=true",
        f"startsecs={program.start_seconds}",
        f"startretries={program.start_retries}",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(str(place.logs / program.name))}.log",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
    ]
    if program.user:
        lines.append(f"user={program.user}")
    if program.environment:
        lines.append(f"environment={_environment(program.environment)}")
    return "\n".join(lines) + "\n"


def render_supervisor(programs: Sequence[Program], place: Place, user: str | None) -> str:
    """The whole configuration file: no network port, a socket that only its owner opens."""
    head = [
        "[unix_http_server]",
        f"file={_value(str(place.socket))}",
        "chmod=0700",
        "",
        "[supervisord]",
        f"logfile={_value(str(place.logs / 'supervisord.log'))}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={_value(str(place.root / 'supervisord.pid'))}",
        f"directory={_value(str(place.root))}",
        # PostgreSQL, SeaweedFS and Kafka keep many files open.
        "minfds=4096",
        "umask=077",
        *([f"user={user}"] if user else []),
        f"environment={_environment(_own_environment(place))}",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(render_program(program, place) for program in programs)
