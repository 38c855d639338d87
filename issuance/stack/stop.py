"""Stopping everything, and proving that nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil

from issuance.errors import Broken
from issuance.stack.owned import forget_session, owned_processes
from issuance.stack.place import Place
from issuance.stack.supervise import ALIVE, Supervisor
from issuance.stack.waiting import await_condition

MOVING = ALIVE | {"BACKOFF", "STOPPING"}
STORES = frozenset({"kafka", "postgres", "s3", "registry"})
STOP_SECONDS = 90.0
KILL_SECONDS = 10.0


def stop_everything(place: Place, progress: Callable[[str], None]) -> None:
    """Stop the daemon and with it every program; what does not stop, or survived a killed daemon, is ended by its pid.

    Raises:
        Broken: a process of ours survives even that.
    """
    supervisor = Supervisor(place)
    if supervisor.is_running():
        _stop_programs(supervisor)
        owned = owned_processes(place)
        supervisor.call("shutdown")
        psutil.wait_procs(owned, timeout=STOP_SECONDS)
    for kill in (False, True):
        left = owned_processes(place)
        if not left:
            break
        pids = ", ".join(str(process.pid) for process in left)
        progress(f"{'killing' if kill else 'ending'} what the supervisor left: {pids}")
        _end(left, kill)
    survivors = owned_processes(place)
    if survivors:
        stubborn = [process.pid for process in survivors]
        raise Broken("PROCESSES_LEFT", f"these processes of the stack do not end: {stubborn}", pids=stubborn)
    place.socket.unlink(missing_ok=True)
    forget_session(place)


def _stop_programs(supervisor: Supervisor) -> None:
    """Stop what uses the stores first, then the stores; the daemon alone would stop one program at a time."""
    names = {info["name"] for info in supervisor.programs()}
    _stop_together(supervisor, names - STORES)
    _stop_together(supervisor, names & STORES)


def _stop_together(supervisor: Supervisor, names: set[str]) -> None:
    for name in names:
        supervisor.stop(name)

    def have_stopped() -> bool:
        return not any(supervisor.state(name) in MOVING for name in names)

    await_condition("stopping", have_stopped, lambda: None, STOP_SECONDS)


def _end(processes: list[psutil.Process], kill: bool) -> None:
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=KILL_SECONDS)
