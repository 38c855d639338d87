"""Where this stack keeps its state, on which ports it listens, and which components the user provides."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from issuance.errors import Misconfigured
from issuance.settings import ROOT, STACK_DIR

HOST = "127.0.0.1"
MARK = "ISSUANCE_STACK_PROCESS"
"""Set to the state directory in every process we start, and nowhere else: it tells our processes from all others."""

LONGEST_SOCKET_NAME = len("/supervisor.sock.12345678")  # supervisord binds under its name with its pid first
SOCKET_PATH_LIMIT = 100
"""A Unix socket's path holds 107 bytes on Linux and 103 on macOS."""


@dataclass(frozen=True)
class Ports:
    """Loopback ports, each settable as ISSUANCE_PORT_<NAME>; SeaweedFS also takes each of its own plus 10,000."""

    kafka: int = 19092
    kafka_controller: int = 19093
    postgres: int = 15432
    s3: int = 18333
    s3_master: int = 19333
    s3_volume: int = 18380
    s3_filer: int = 18888
    s3_admin: int = 18646
    registry: int = 18081
    airflow: int = 18080
    desk: int = 18090


PORTS_OF = {
    "kafka": ("kafka", "kafka_controller"),
    "postgres": ("postgres",),
    "s3": ("s3", "s3_master", "s3_volume", "s3_filer", "s3_admin"),
    "registry": ("registry",),
    "airflow-api-server": ("airflow",),
    "desk": ("desk",),
}
"""The port fields that each program listens on."""

GRPC_OFFSET = 10_000
"""SeaweedFS puts the gRPC port of each of its parts this far above the HTTP port."""


def load_ports(env: Mapping[str, str]) -> Ports:
    """The ports of the environment.

    Raises:
        Misconfigured: a value is not a port, or two components share one.
    """
    values: dict[str, int] = {}
    for field in fields(Ports):
        variable = f"ISSUANCE_PORT_{field.name.upper()}"
        text = env.get(variable, str(field.default))
        highest = 65_535 - GRPC_OFFSET if field.name in PORTS_OF["s3"] else 65_535
        if not text.isdecimal() or not 0 < int(text) <= highest:
            raise Misconfigured("PORT_INVALID", f"{variable}={text} is not a port (1 to {highest})")
        values[field.name] = int(text)
    shared = sorted({name for name, port in values.items() if list(values.values()).count(port) > 1})
    if shared:
        raise Misconfigured("PORT_SHARED", f"the same port is given to {', '.join(shared)}; set ISSUANCE_PORT_*")
    return Ports(**values)


@dataclass(frozen=True)
class Place:
    """The directories and ports of one stack."""

    root: Path
    repo: Path
    cache: Path
    ports: Ports

    @property
    def logs(self) -> Path:
        """One file per program, rotated."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Generated configuration files, some with passwords: 0700."""
        return self.root / "config"

    @property
    def keys(self) -> Path:
        """Our own private keys."""
        return self.root / "keys"

    @property
    def partners(self) -> Path:
        """A directory of credentials per partner."""
        return self.root / "partners"

    @property
    def partner_keys(self) -> Path:
        """Public keys only: ours and every partner's."""
        return self.root / "partner-keys"

    @property
    def env_file(self) -> Path:
        """Every variable that `issuance`, `airflow` and tests need."""
        return self.root / "stack.env"

    @property
    def sockets(self) -> Path:
        """A directory for Unix sockets: the state directory, unless that path is too long for a socket."""
        if len(os.fsencode(self.root)) + LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT:
            return self.root
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"issuance-{os.getuid()}-{digest}"

    @property
    def socket(self) -> Path:
        """The supervisor's socket."""
        return self.sockets / "supervisor.sock"


def load_place(env: Mapping[str, str]) -> Place:
    """The place of the given environment; nothing is created on disk."""
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "issuance"
    return Place(root=STACK_DIR.resolve(), repo=ROOT, cache=cache, ports=load_ports(env))


def make_private(directory: Path, mode: int = 0o700) -> Path:
    """The directory, made if absent, with exactly this mode."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(mode)
    return directory


def write_private(path: Path, text: str, mode: int = 0o600) -> bool:
    """Write a file atomically, never with a wider mode; True if it changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        path.chmod(mode)
        return False
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
    return True
