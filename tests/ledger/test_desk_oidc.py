"""The desk whose people log in at an OpenID provider: by its own command, renewed, disabled, and with four eyes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from desk_fixture import running_desk
from oidc_fixture import Provider, by_introspection, provider

from issuance.cli import cli
from issuance.client import session
from issuance.errors import IssuanceError
from issuance.ledger.connection import connect
from issuance.settings import Settings
from issuance.users.rights import RIGHTS, grant

__all__ = ["provider"]


@dataclass
class Desk:
    """The desk of a ledger whose users are the provider's, and the login file of the one person."""

    provider: Provider
    settings: Settings
    login: Path

    def run(self, *words: str) -> Any:
        return CliRunner().invoke(cli, list(words))

    def log_in(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """`issuance login`, while the person enters the shown code in a browser."""
        said: list[str] = []
        monkeypatch.setattr("click.echo", lambda text="", **_: said.append(str(text)))

        def person(seconds: float) -> None:
            code = re.search(r"user_code=(\S+)", "\n".join(said))
            assert code
            self.provider.answer(code[1], "accept")

        monkeypatch.setattr(session.time, "sleep", person)
        done = self.run("login")
        monkeypatch.undo()
        return done, said


@pytest.fixture
def desk(
    database: Settings, ledger_url: str, tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    empty(ledger_url)
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)])
    settings = changed(database, ledger_url, tmp_path, {}, {})
    plan_as(settings, "c1", 1, "planner")
    with (
        running_desk(settings, by_introspection(provider), provider.url) as address,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("ISSUANCE_DESK_URL", address)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
        yield Desk(provider, settings, tmp_path / "home" / "issuance" / "login.json")


def test_a_person_of_the_provider_works_at_the_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    done, said = desk.log_in(monkeypatch)
    assert done.exit_code == 0, (done.output, done.exception, said)
    kept = json.loads(desk.login.read_text(encoding="utf-8"))
    assert desk.login.stat().st_mode & 0o777 == 0o600
    refused = desk.run("cohort", "list")
    assert isinstance(refused.exception, IssuanceError)
    assert refused.exception.code == "NOT_ALLOWED", "a new user has no right"
    with connect(desk.settings.database_url) as connection:
        query = "SELECT user_id FROM desk_user WHERE issuer = %s"
        row = connection.execute(query, (desk.provider.url,)).fetchone()
        assert row
        grant(connection, row[0], list(RIGHTS), "*", "pipeline")
    assert desk.run("cohort", "release", "c1", "1").exit_code == 0
    with connect(desk.settings.database_url) as connection:
        assert connection.execute("SELECT released_by FROM release").fetchall() == [(row[0],)]
        assert connection.execute("SELECT subject FROM desk_user WHERE user_id = %s", (row[0],)).fetchone() == ("1",)
    if kept["refresh"]:
        desk.login.write_text(json.dumps(kept | {"ends": time.time()}), encoding="utf-8")
        assert desk.run("cohort", "list").exit_code == 0
        assert json.loads(desk.login.read_text(encoding="utf-8"))["token"] != kept["token"], "renewed before its end"


def test_a_disabled_user_of_the_provider_is_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    done, said = desk.log_in(monkeypatch)
    assert done.exit_code == 0, (done.output, done.exception, said)
    desk.provider.change("UPDATE auth_user SET is_active = 0")
    try:
        with running_desk(desk.settings, by_introspection(desk.provider), desk.provider.url) as address:  # nothing kept
            monkeypatch.setenv("ISSUANCE_DESK_URL", address)
            refused = desk.run("cohort", "list")
        assert isinstance(refused.exception, IssuanceError)
        assert refused.exception.code == "NOT_LOGGED_IN"
    finally:
        desk.provider.change("UPDATE auth_user SET is_active = 1")
