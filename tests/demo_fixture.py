"""A demo by its public command, on a stack in a folder and on ports of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from issuance.settings import read_env_file
from issuance.stack.place import Ports

ROOT = Path(__file__).parents[1]
PORT_OFFSET = 20 + int(os.environ.get("ISSUANCE_TEST_PORT_OFFSET", "2000"))


@dataclass
class Run:
    """A demo that has run, with its stack still up."""

    directory: Path
    env: dict[str, str]
    result: dict[str, Any]
    output: str

    def issuance(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the public command against this stack."""
        command = [sys.executable, "-m", "issuance.cli", *words]
        env = self.env or {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)

    @property
    def settings(self) -> dict[str, str]:
        """The stack's variables."""
        return read_env_file(self.directory / "stack.env")


def environment_of(directory: Path) -> dict[str, str]:
    """A stack in a folder and on ports of its own."""
    env = {name: value for name, value in os.environ.items() if name != "AIRFLOW_API_URL"}
    ports = {f"ISSUANCE_PORT_{p.name.upper()}": str(int(str(p.default)) + PORT_OFFSET) for p in fields(Ports)}
    return env | ports | {"ISSUANCE_STACK_DIR": str(directory), "PYTHONPATH": str(ROOT)}


def run_demo(directory: Path, *words: str, at_line: Callable[[str, dict[str, str]], None] | None = None) -> Run:
    """`issuance demo WORDS`, leaving the stack up; `at_line` sees every line that it prints."""
    env = environment_of(directory)
    out = directory.with_suffix(".json")
    command = [sys.executable, "-m", "issuance.cli", "demo", *words, "--json", str(out)]
    process = subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if at_line:
            at_line(line, env)
    code = process.wait()
    if code:
        stop(Run(directory, env, {}, ""))
    assert code == 0, "".join(lines[-40:])
    return Run(directory, env, json.loads(out.read_text(encoding="utf-8")), "".join(lines))


def stop(run: Run) -> None:
    """Take the stack down and prove that it is."""
    done = run.issuance("stack", "down")
    assert done.returncode == 0, done.stderr
