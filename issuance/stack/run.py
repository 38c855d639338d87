"""Bringing the stack up, taking it down, and looking at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from issuance.errors import Misconfigured
from issuance.stack.logs import tail
from issuance.stack.owned import owned_processes
from issuance.stack.place import HOST, PORTS_OF, Place, load_place
from issuance.stack.plan import locked, make_plan
from issuance.stack.start import start_programs
from issuance.stack.stop import stop_everything
from issuance.stack.supervise import Supervisor, uptime_seconds
from issuance.stack.variables import ADDRESS_OF

Progress = Callable[[str], None]


def up(progress: Progress, workers: bool = True) -> None:
    """Start what is not running yet and return when everything answers; idempotent.

    Raises:
        Unavailable: one line naming the component, the reason and what to do. What is running is left running.
        Misconfigured: a port, a file or an installed package is wrong.
    """
    place = load_place(os.environ)
    with locked(place):
        supervisor = Supervisor(place)
        if not supervisor.is_running() and owned_processes(place):
            stop_everything(place, progress)  # a killed supervisor leaves its programs behind, on our ports
        plan = make_plan(place, os.environ, workers, progress)
        start_programs(plan, supervisor, progress)


def down(progress: Progress = lambda _: None) -> None:
    """Stop everything and prove that nothing is left; data and secrets stay.

    Raises:
        Broken: a process of the stack does not end; names the ids.
    """
    place = load_place(os.environ)
    if place.root.exists():
        with locked(place):
            stop_everything(place, progress)


def status() -> list[dict[str, Any]]:
    """A row per program: name, state, pid, seconds up, resident memory, ports; and per component the user provides."""
    place = load_place(os.environ)
    rows = [_row(place, info) for info in Supervisor(place).programs()]
    brought = [(name, os.environ[variable]) for name, variable in ADDRESS_OF.items() if os.environ.get(variable)]
    names = {row["name"].split("-")[0] for row in rows}
    return rows + [_foreign(name, address) for name, address in brought if name not in names | {"ledger"}]


def _foreign(name: str, address: str) -> dict[str, Any]:
    return {"name": name, "state": "YOURS", "pid": None, "seconds": None, "memory_mb": None, "ports": [], "at": address}


def _row(place: Place, info: dict[str, Any]) -> dict[str, Any]:
    name, pid = info["name"], info["pid"] or None
    fields = PORTS_OF.get(name, ())
    return {
        "name": name,
        "state": info["statename"],
        "pid": pid,
        "seconds": round(uptime_seconds(info)),
        "memory_mb": _memory_mb(pid) if pid else 0,
        "ports": [getattr(place.ports, field) for field in fields],
        "at": f"{HOST}:{getattr(place.ports, fields[0])}" if fields else None,
    }


def _memory_mb(pid: int) -> int:
    """Proportional set size of a process and its children, in MB: shared pages are counted once."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:  # it ended meanwhile
        return total // 10**6
    return total // 10**6


def logs(component: str | None, lines: int) -> str:
    """The last lines of one component's log, or of every log under its name.

    Raises:
        Misconfigured: there is no such log.
    """
    directory = load_place(os.environ).logs
    present = {path.stem: path for path in sorted(directory.glob("*.log"))}
    chosen = [name for name in present if component is None or name == component or name.startswith(f"{component}-")]
    if not chosen:
        known = ", ".join(present) or "none: the stack has never been started"
        raise Misconfigured("LOG_UNKNOWN", f"there is no log of {component or 'anything'}; logs: {known}")
    return "\n".join(_headed(present[name], lines, len(chosen) > 1) for name in chosen)


def _headed(log: Path, lines: int, headed: bool) -> str:
    return "\n".join([*([f"==> {log.stem} <=="] if headed else []), *tail(log, lines)])
