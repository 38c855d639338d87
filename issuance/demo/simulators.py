"""The simulators as processes: told a day on stdin, they answer on stdout (principle 11)."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from issuance.errors import Broken

KINDS = ("factory", "bank", "hrss", "carrier", "platform", "notifier")


class Answer(NamedTuple):
    """What a simulator did on a day: messages sent, and the next day on which it has something to do."""

    sent: int
    next_due: date | None


class Simulators:
    """One process per kind; closed with the block."""

    def __init__(self, directory: Path, seed: int, kinds: tuple[str, ...] = KINDS, *extra: str) -> None:
        self._log = (directory / "simulators.log").open("ab")
        command = [sys.executable, "-m", "producers.simulators", "--stepped", "--seed", str(seed)]
        self._processes = {
            kind: subprocess.Popen(
                [*command, "--directory", str(directory), *extra, kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                start_new_session=True,
            )
            for kind in kinds
        }

    def tell(self, day: date) -> dict[str, Answer]:
        """Tell every simulator the day, all at once; returns their answers.

        Raises:
            Broken: one of them has ended.
        """
        for kind, process in self._processes.items():
            stdin = _pipe(process.stdin)
            try:
                stdin.write(json.dumps({"day": day.isoformat()}) + "\n")
                stdin.flush()
            except BrokenPipeError as error:
                raise Broken("SIMULATOR_ENDED", f"the {kind} simulator ended; see simulators.log") from error
        return {kind: self._hear(kind, process) for kind, process in self._processes.items()}

    def _hear(self, kind: str, process: subprocess.Popen[str]) -> Answer:
        line = _pipe(process.stdout).readline()
        if not line:
            raise Broken("SIMULATOR_ENDED", f"the {kind} simulator ended; see simulators.log")
        answer = json.loads(line)
        due = answer["next_due"]
        return Answer(int(answer["sent"]), date.fromisoformat(due) if due else None)

    def close(self) -> None:
        """End every simulator by closing its input, or by its process id if that does not help."""
        for process in self._processes.values():
            with suppress(BrokenPipeError):  # it has already ended
                _pipe(process.stdin).close()
        for process in self._processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()

    def __enter__(self) -> Simulators:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pipe(pipe: IO[str] | None) -> Any:
    if pipe is None:
        raise Broken("SIMULATOR_ENDED", "a simulator has no pipe")
    return pipe
