"""Which processes are ours: those that carry our mark or belong to our supervisor's session, and their descendants.

The mark stands in the environment, but programs that set their own title (Airflow's) overwrite what the system shows
of it; the session id survives that and even the supervisor's death. Names are never looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

from issuance.stack.place import MARK, Place, write_private

BOOT_TOLERANCE_SECONDS = 5.0
"""Tolerance: the boot time is computed from the clock, which may be adjusted meanwhile."""


def record_session(place: Place, leader: int) -> None:
    """Remember the supervisor, whose process id is the session id of everything it starts."""
    facts = {"session": leader, "started": psutil.Process(leader).create_time(), "boot": psutil.boot_time()}
    write_private(_session_file(place), json.dumps(facts) + "\n")


def forget_session(place: Place) -> None:
    """Forget the session: nothing of it is left, and its id may be reused."""
    _session_file(place).unlink(missing_ok=True)


def _session_file(place: Place) -> Path:
    return place.root / "session.json"


def _session(place: Place) -> int | None:
    """Our session id, unless it has been reused since."""
    path = _session_file(place)
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if abs(facts["boot"] - psutil.boot_time()) > BOOT_TOLERANCE_SECONDS:
        return None
    session: int = facts["session"]
    try:
        leader = psutil.Process(session)
    except psutil.NoSuchProcess:
        return session  # while members live, the system does not reuse the number
    return session if leader.create_time() == facts["started"] else None


def owned_processes(place: Place) -> list[psutil.Process]:
    """Every live process of this stack except ourselves."""
    session = _session(place)
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(place.root) or os.getsid(process.pid) == session:
                found |= {process, *process.children(recursive=True)}
        except (psutil.Error, OSError):  # it has ended, or belongs to another user and so is not ours
            continue
    return [process for process in found if process.pid != os.getpid() and _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
