"""Every write of the command line is the logged-in user's in the hash-chained audit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from cohort_fixture import TODAY, add_cohort, changed, empty
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from desk_fixture import LogIn

from issuance.cli import cli
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.users.identity import Identity
from issuance.users.register import register_user
from issuance.wire.pauses import pause_partner
from issuance.wire.refusals import Message, refuse_message

READS = {
    "cohort list", "cohort show", "cohort statement", "cohort calendar", "cohort ages", "cohort due", "card show",
    "card find", "card why", "job list", "quarantine list", "break list", "break show", "partner list", "partner show",
    "dlq list", "keys list",
    "topics list", "ledger verify", "ledger digest", "stack status", "stack logs", "retention list",
    "retention certificate", "event list", "user list", "person find", "request list", "brake list",
}  # fmt: skip
"""Commands that change nothing."""
SETUP = {
    "login",
    "stack up",
    "stack down",
    "ledger migrate",
    "topics apply",
    "demo",
    "generate",
    "consume",
    "relay",
    "simulate",
    "desk",
}
"""What prepares, runs or plays parts; it comes before there are users, or acts through the commands below."""
ACTS = {
    # command: the acts that it leaves in the audit
    "submit": {"submit"},
    "cohort plan": {"plan"},
    "topics goon": {"read on"},
    "cohort release": {"release", "refuse"},
    "cohort postpone": {"postpone"},
    "cohort withdraw": {"withdraw"},
    "cohort continue": {"go on"},
    "cohort refuse": {"refuse"},
    "card remake": {"remake"},
    "card phone": {"unmask phone"},
    "request waive": {"waive"},
    "brake decide": {"decide brake"},
    "event add": {"tell"},
    "event confirm": {"confirm told"},
    "event drop": {"drop told"},
    "user grant": {"grant", "revoke"},
    "cohort reopen": {"reopen"},
    "cohort close": {"close"},
    "job resend": {"resend"},
    "job reassign": {"reassign"},
    "break assign": {"assign"},
    "break resolve": {"resolve"},
    "partner resume": {"resume"},
    "partner check": {"check partner"},
    "partner add": {"add partner"},
    "partner rotate": {"rotate partner"},
    "partner suspend": {"suspend partner"},
    "partner remove": {"remove partner"},
    "dlq replay": {"replay"},
    "quarantine export": {"export quarantine"},
    "keys add": {"add key"},
    "keys retire": {"retire key"},
    "keys rotate": {"rotate signing key"},
    "ledger rebuild": {"rebuild"},
    "report daily": {"daily report"},
    "retention run": {"erase", "erase hashes"},
    "person export": {"export person"},
    "person erase": {"erase person"},
}
BREAK = "00000000-0000-0000-0000-000000000001"


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command of the command line."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*words, name))
    else:
        yield " ".join(words)


def test_every_command_reads_prepares_or_stands_in_the_audit() -> None:
    assert set(leaves(cli)) == READS | SETUP | set(ACTS)


def test_the_acts_of_the_audit_are_those_of_the_commands() -> None:
    written = set().union(*(acts_written(path) for path in sorted((ROOT / "issuance").rglob("*.py"))))
    of_the_desk = {"adopt issuer", "register"}  # `issuance desk --adopt-issuer`, and whoever is seen first
    assert written - of_the_desk == set().union(*ACTS.values())


def acts_written(path: Path) -> set[str]:
    """The acts that a module hands to `audit`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    given = [call.args[2] for call in calls if ast.unparse(call.func) == "audit"]
    constants = [node.value for act in given for node in ast.walk(act) if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str)}


@pytest.fixture
def at(database: Settings, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_in: LogIn) -> Settings:
    """A ledger with something for every act, and the command line on it as the user 'planner'."""
    empty(ledger_url)
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)])
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, opened_on)"
            " VALUES (%s, 1, 'CONFLICT', 'r', %s)", (BREAK, TODAY)
        )  # fmt: skip
        pause_partner(connection, "ICBC", "RUN", TODAY)
        message = Message("issuance.production.F-ICBC.v1", 0, 7, "F-ICBC", b"k", b"raw", (), {"report_id": "r1"})
        from issuance.wire.outbox import write_outbox

        write_outbox(connection, refuse_message(connection, message, "HASH_DIFFERS", TODAY), TODAY)
    monkeypatch.setenv("DATABASE_URL", ledger_url)  # for the commands of components
    own = changed(database, ledger_url, tmp_path, {}, {})
    log_in(own, "planner")
    return own


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A partner's next public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072).public_key()
    path = tmp_path / "next.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def acts(settings: Settings) -> list[Any]:
    with connect(settings.database_url) as connection:
        assert verify_audit(connection) == []
        return connection.execute('SELECT "user", act, subject FROM audit ORDER BY number').fetchall()


@pytest.mark.parametrize(
    ("words", "act", "subject"),
    [
        (["break", "assign", BREAK, "somebody"], "assign", BREAK),
        (["break", "resolve", BREAK, "--note", "the bank confirmed"], "resolve", BREAK),
        (["partner", "resume", "ICBC"], "resume", "ICBC"),
        (["dlq", "replay", "issuance.production.F-ICBC.v1", "0", "7"], "replay", "issuance.production.F-ICBC.v1/0/7"),
        (["ledger", "rebuild"], "rebuild", "ledger"),
    ],
)
def test_an_act_is_the_users(at: Settings, words: list[str], act: str, subject: str) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert acts(at) == [("planner", act, subject)]


def test_taking_and_retiring_a_key_are_the_users(at: Settings, pem: Path) -> None:
    add = ["keys", "add", "F-ICBC", str(pem), "--key-id", "next", "--from", str(TODAY)]
    for words in (add, ["keys", "retire", "F-ICBC", "F-ICBC", "--on", str(TODAY)]):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, (done.output, done.exception)
    assert acts(at) == [("planner", "add key", "F-ICBC/next"), ("planner", "retire key", "F-ICBC/F-ICBC")]


def test_a_user_is_registered_once_and_a_new_name_is_only_noted(at: Settings) -> None:
    with connect(at.database_url) as connection:
        first = register_user(connection, Identity("test", "7", "clerk-7"))
        assert register_user(connection, Identity("test", "7", "clerk-8")) == first
        assert register_user(connection, Identity("another", "7", "clerk-8")) != first
        row = connection.execute(
            "SELECT name, user_name(user_id) FROM desk_user WHERE user_id = %s", (first,)
        ).fetchone()
    assert row == ("clerk-8", "clerk-8")
    assert [act for _, act, _ in acts(at)] == ["register", "register"]
