"""The demo's users at the public command line, each with a login of its own; they reach the desk and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

from issuance.airflow.client import Airflow
from issuance.errors import Broken
from issuance.settings import STACK_DIR, Settings, environment


def password_of(user: str) -> str:
    """The generated password of a demo user."""
    return environment()[f"AIRFLOW_USER_{user.upper()}_PASSWORD"]


def airflow_of(user: str, settings: Settings) -> Airflow:
    """A session of one of Airflow's users."""
    return Airflow.log_in(settings.airflow_api_url, user, password_of(user))


def as_user(user: str, *words: str) -> str:
    """Run the public command as a demo user, with nothing of the stack but the desk's address; returns its output.

    Raises:
        Broken: the command failed; quotes its output.
    """
    home = STACK_DIR / "demo" / "home" / user
    # a folder that is not there, so that no setting of the stack is found
    env = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(home), "ISSUANCE_DESK_URL": environment()["DESK_URL"],
           "ISSUANCE_STACK_DIR": str(home / "no-stack"), "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    if not (home / "issuance" / "login.json").exists():
        _issuance({**env, "ISSUANCE_PASSWORD": password_of(user)}, "login", user)
    return _issuance(env, *words)


def _issuance(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "issuance.cli", *words], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Broken("COMMAND_FAILED", f"issuance {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
