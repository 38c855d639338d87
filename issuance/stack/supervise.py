"""Talking to our supervisor: start it, bring its configuration in line, start and watch programs."""

from __future__ import annotations

import http.client
import os
import stat
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from issuance.errors import Misconfigured, Unavailable
from issuance.stack.logs import last_line
from issuance.stack.owned import record_session
from issuance.stack.place import MARK, Place
from issuance.stack.waiting import await_condition

ALIVE = frozenset({"STARTING", "RUNNING"})
SAYS_NOTHING = ("Exited too quickly", "Bad exit code")
"""Supervisor's words for a program that ran and ended; its log says why."""

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LOGNAME", "XDG_CACHE_HOME", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Supervisor:
    """A client of one place's supervisor; every call is a connection of its own, so that threads may share it."""

    place: Place

    def call(self, method: str, *arguments: Any) -> Any:
        """One call of supervisor's XML-RPC interface."""
        transport = SupervisorTransport(None, None, f"unix://{self.place.socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def is_running(self) -> bool:
        """Whether the daemon answers."""
        try:
            return bool(self.call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException):
            return False

    def programs(self) -> list[dict[str, Any]]:
        """Name, state, pid, start and spawn error of every program; none when the daemon is down."""
        return list(self.call("getAllProcessInfo")) if self.is_running() else []

    def state(self, name: str) -> str:
        """The state of one program in supervisor's words (RUNNING, BACKOFF, FATAL …)."""
        return str(self.call("getProcessInfo", name)["statename"])

    def start(self, name: str) -> None:
        """Start a program unless it is running; returns at once. One in backoff is restarted."""
        if self.state(name) == "BACKOFF":
            self.stop(name)
        self._call_unless(Faults.ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str) -> None:
        """Ask a program to stop, or give up its next attempt; returns at once."""
        self._call_unless(Faults.NOT_RUNNING, "stopProcess", name, False)

    def _call_unless(self, fault: int, method: str, *arguments: Any) -> None:
        """A call that may fail because the state is already as wanted."""
        try:
            self.call(method, *arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode != fault:
                raise

    def pid(self, name: str) -> int:
        """The process id of a program; 0 when it does not run."""
        return int(self.call("getProcessInfo", name)["pid"])

    def check_alive(self, name: str, pid: int) -> None:
        """Raise Unavailable with the line that tells why when the process `pid` has died, restarted or not."""
        info = self.call("getProcessInfo", name)
        if info["statename"] in ALIVE and info["pid"] == pid:
            return
        never_ran = info["spawnerr"] and not info["spawnerr"].startswith(SAYS_NOTHING)
        reason = info["spawnerr"] if never_ran else last_line(self.place.logs / f"{name}.log")
        raise Unavailable(
            "COMPONENT_DIED",
            f"{name} stopped while it was starting: {reason} (more: `issuance stack logs {name}`)",
            component=name,
            reason=reason,
        )

    def load_config(self, config: Path) -> None:
        """Start the daemon with this configuration, or bring a running one in line with it."""
        if not self.is_running():
            self._start_daemon(config)
            return
        added, changed, removed = self.call("reloadConfig")[0]
        for name in [*changed, *removed]:
            self.call("stopProcessGroup", name)
            self.call("removeProcessGroup", name)
        for name in [*changed, *added]:
            self.call("addProcessGroup", name)

    def _start_daemon(self, config: Path) -> None:
        if self.place.sockets != self.place.root:
            _own_directory(self.place.sockets)
        base = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        ours = {name: value for name, value in os.environ.items() if name.startswith("ISSUANCE_")}
        outcome = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env={**base, **ours, "PYTHONUNBUFFERED": "1", MARK: str(self.place.root)},
            cwd=self.place.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode:
            reason = (outcome.stdout + outcome.stderr).strip().splitlines()[-1:] or ["no message"]
            raise Unavailable("SUPERVISOR_FAILED", f"supervisord does not start: {reason[0]}")
        await_condition("supervisord", self.is_running, lambda: None, 10)
        record_session(self.place, int(self.call("getPID")))


def _own_directory(directory: Path) -> None:
    """A directory in /tmp for our sockets; one created by another user is refused."""
    directory.mkdir(mode=0o700, exist_ok=True)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise Misconfigured(
            "SOCKET_DIRECTORY", f"{directory} is open to other users; remove it, or use a shorter ISSUANCE_STACK_DIR"
        )


def uptime_seconds(info: dict[str, Any]) -> float:
    """Seconds since a program of `Supervisor.programs` was started; 0 when it does not run."""
    return max(0.0, time.time() - info["start"]) if info["statename"] in ALIVE else 0.0
