"""A demo by its public command, on a stack in a folder and on ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from issuance.settings import read_env_file
from issuance.stack.place import Ports

ROOT = Path(__file__).parents[1]
STRANGER = ("setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups") if os.geteuid() == 0 else ()
"""An account that owns nothing here."""
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

    def as_user(self, user: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a person's command, logged in as one of the demo's people.

        It knows the desk's address and that login, nothing else; as root it runs on an account that can read neither
        the stack's folder nor the database (an ordinary user cannot become another one).
        """
        home = self.home_of(user)
        if not home.exists():
            home.mkdir(parents=True, mode=0o777)
            home.chmod(0o777)
            done = self._person(home, "login", user, password=self.settings[f"AIRFLOW_USER_{user.upper()}_PASSWORD"])
            assert done.returncode == 0, done.stderr
        return self._person(home, *words, stdin=stdin)

    def home_of(self, user: str) -> Path:
        """Where a person's files and login lie: a folder of the machine's, not of the stack's."""
        return Path(tempfile.gettempdir()) / f"issuance-{os.getpid()}-{self.settings['DESK_PORT']}" / user

    def as_user_file(self, user: str, name: str) -> str:
        """The text of a file that a person's command wrote."""
        return (self.home_of(user) / name).read_text(encoding="utf-8")

    def with_login(self, user: str) -> Run:
        """The same stack, its component commands with the login of a person."""
        assert self.as_user(user, "cohort", "list").returncode == 0
        env = {**self.env, "XDG_CONFIG_HOME": str(self.home_of(user) / ".config")}
        return Run(self.directory, env, self.result, self.output)

    def token_of(self, user: str) -> str:
        """A person's token."""
        assert self.as_user(user, "cohort", "list").returncode == 0
        kept = json.loads(self.as_user_file(user, ".config/issuance/login.json"))
        return str(kept["token"])

    def user_id(self, user: str) -> str:
        """The ledger's id of a person."""
        return next(row["user_id"] for row in self.read("admin", "user", "list") if row["name"] == user)

    def _person(self, home: Path, *words: str, password: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home), "ISSUANCE_PASSWORD": password,
               "ISSUANCE_DESK_URL": self.settings["DESK_URL"], "ISSUANCE_STACK_DIR": str(self.directory)}  # fmt: skip
        command = [*STRANGER, sys.executable, "-m", "issuance.cli", *words]
        return subprocess.run(command, env=env, cwd=home, input=stdin, capture_output=True, text=True, check=False)

    def read(self, user: str, *words: str) -> Any:
        """What a person's read says, as JSON."""
        done = self.as_user(user, *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

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
    homes = run.home_of("any").parent if run.settings else None
    done = run.issuance("stack", "down")
    assert done.returncode == 0, done.stderr
    if homes:
        shutil.rmtree(homes, ignore_errors=True)
