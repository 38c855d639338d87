"""The command line: exit codes, one clear line for people, JSON for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from issuance.city.partners import SECTIONS
from issuance.commands.partner import KINDS
from issuance.commands.submit import CATEGORIES
from issuance.intake.columns import CODES

ROOT = Path(__file__).parents[2]


def issuance(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The public command in an environment without a stack."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ISSUANCE_", "AIRFLOW"))}
    env |= {"ISSUANCE_STACK_DIR": "/nonexistent", "PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-m", "issuance.cli", *words]
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)


def test_help_names_every_group() -> None:
    said = issuance("--help").stdout
    for word in ("demo", "stack", "submit", "cohort", "card", "job", "quarantine", "break", "partner", "dlq", "ledger"):
        assert f"  {word}" in said


def test_choices_that_a_client_offers_are_those_of_the_desk() -> None:
    assert tuple(CODES["category"]) == CATEGORIES
    assert tuple(SECTIONS) == KINDS


def test_usage_errors_exit_with_2() -> None:
    assert issuance("cohort", "show").returncode == 2
    assert issuance("nothing").returncode == 2


def test_without_a_stack_the_missing_settings_are_named_at_once() -> None:
    done = issuance("ledger", "verify")
    assert done.returncode == 2
    assert done.stderr.startswith("SETTINGS_MISSING: not set: AIRFLOW_API_URL, DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS")
    assert "issuance stack up" in done.stderr


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_login_a_persons_command_says_so(as_json: bool, tmp_path: Path) -> None:
    done = issuance("cohort", "list", *(["--json"] if as_json else []), XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1
    assert (json.loads(done.stdout)["error"] if as_json else done.stderr.split(":")[0]) == "NOT_LOGGED_IN"


@pytest.mark.parametrize("as_json", [True, False])
def test_an_unreachable_desk_exits_with_3(as_json: bool, tmp_path: Path) -> None:
    (tmp_path / "issuance").mkdir()
    (tmp_path / "issuance" / "login.json").write_text('{"token": "x"}', encoding="utf-8")
    env = {"XDG_CONFIG_HOME": str(tmp_path), "ISSUANCE_DESK_URL": "http://127.0.0.1:9"}
    done = issuance("cohort", "list", *(["--json"] if as_json else []), **env)
    assert done.returncode == 3
    assert (json.loads(done.stdout)["error"] if as_json else done.stderr.split(":")[0]) == "DESK_UNAVAILABLE"


@pytest.mark.parametrize("as_json", [True, False])
def test_an_unreachable_ledger_exits_with_3(as_json: bool) -> None:
    names = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_USER", "KAFKA_PASSWORD", "S3_ENDPOINT_URL", "S3_ACCESS_KEY")
    away = dict.fromkeys((*names, "S3_SECRET_KEY", "SCHEMA_REGISTRY_URL", "AIRFLOW_API_URL"), "x")
    away["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/ledger"
    done = issuance("ledger", "verify", *(["--json"] if as_json else []), **away)
    assert done.returncode == 3
    code = json.loads(done.stdout)["error"] if as_json else done.stderr.split(":")[0]
    assert code == "LEDGER_UNAVAILABLE"
