"""A ledger with everything that runs on a stack beside it, and simulators that live in real time as a client does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ledger_fixture import fresh_database, new_ledger
from wire_fixture import Wire

from issuance.commands.check import lay_slip
from issuance.conformance.box import Box
from issuance.conformance.case import Result
from issuance.conformance.run import Options, check_partner
from issuance.settings import ROOT, Settings

STAGES = ("submissions", "production", "mail", "collection", "activation", "statements", "holder_events")
TURN = 0.7


class Running:
    """Consumers and relay of one ledger."""

    def __init__(self, stack: Settings, name: str) -> None:
        url = fresh_database(stack.database_url, f"ledger_{name}")
        new_ledger(url)
        self.settings = replace(stack, database_url=url)
        self._wire = Wire(stack, url)
        self._wire.start(*STAGES)
        env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "producers.outbox"], env=env, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def close(self) -> None:
        """End the processes by their ids."""
        self._wire.close()
        self._relay.terminate()
        self._relay.wait(timeout=30)


@contextmanager
def client(directory: Path, kind: str, partner: str, *faults: str) -> Iterator[Path]:
    """A simulator that lives in real time, with named faults; yields its box."""
    directory.mkdir(parents=True, exist_ok=True)
    box = directory / "box"
    words = [word for name in faults for word in ("--fault", f"{name}=1")]
    with (directory / "client.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "producers.simulators", "--live", "--partner", partner, "--box", str(box),
             "--turn", str(TURN), "--seed", "7", "--directory", str(directory), *words, kind],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), (directory / "client.log").read_text(encoding="utf-8")
            with (directory / "said.log").open("ab") as said:  # what it says after the first turn nobody waits for
                pump = subprocess.Popen(["cat"], stdin=process.stdout, stdout=said)
                yield box
        finally:
            process.terminate()
            process.wait(timeout=30)
            pump.wait(timeout=30)


def check(
    running: Running,
    directory: Path,
    kind: str,
    partner: str,
    faults: tuple[str, ...] = (),
    patience: float = 15.0,
    **options: object,
) -> dict[str, Result]:
    """Check a live simulator; returns what came of each case, by name."""
    with client(directory, kind, partner, *faults) as box:
        chosen = Options(patience=patience, **options)  # type: ignore[arg-type]
        _, results = check_partner(running.settings, partner, "tester", chosen, Box(partial(lay_slip, box)))
    return {result.case.name: result for result in results}


def failed(results: dict[str, Result]) -> dict[str, set[str]]:
    """The cases that failed and the codes of their findings."""
    return {name: {finding.code for finding in result.findings} for name, result in results.items() if result.findings}
