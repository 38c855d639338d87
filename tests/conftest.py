"""Real parts for the tests: one local stack a session, one empty ledger a test module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_fixture import fresh_database

os.environ.setdefault("ISSUANCE_STACK_DIR", str(Path(__file__).parents[1] / ".stack-test"))
os.environ.setdefault("ISSUANCE_PORT_OFFSET", "1000")

from issuance.ledger.connection import Connection, connect, migrate
from issuance.settings import Settings, load_settings


@pytest.fixture(scope="session")
def stack() -> Iterator[Settings]:
    """The whole local stack in a folder and on ports of its own; stopped at the end."""
    from issuance.stack import run

    run.up(print)
    yield load_settings()
    run.down(print)


@pytest.fixture(scope="module")
def ledger_url(stack: Settings, request: pytest.FixtureRequest) -> str:
    """The URL of an empty, migrated ledger of this module's own."""
    url = fresh_database(stack.database_url, f"test_{request.module.__name__}")
    migrate(url)
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Connection]:
    """A connection to the module's ledger whose work is rolled back."""
    with connect(ledger_url) as connection:
        yield connection
        connection.rollback()
