"""What all tests share: where their stacks stand, and one empty ledger a test module.

Tests lie by what they need: `pure` nothing, `ledger` PostgreSQL alone, `stack` Kafka, S3 and the registry beside it,
`demo` a whole stack with Airflow. With ISSUANCE_TEST_KEEP=1 what a run has started stays up for the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")  # the machine is shared: how long it takes decides nothing

ROOT = Path(__file__).parents[1]
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Each process of a run has a stack of its own."""
os.environ["ISSUANCE_STACK_DIR"] = str(ROOT / (f".stack-test-{WORKER}" if WORKER else ".stack-test"))
os.environ["AIRFLOW_API_URL"] = "http://127.0.0.1:9"  # brought by nobody: these tests need no Airflow

from desk_fixture import LogIn, logged_in
from ledger_fixture import fresh_database, new_ledger
from postgres_fixture import running_postgres

from issuance.ledger.connection import Connection, connect
from issuance.settings import Settings
from issuance.stack.place import Ports

# S3 listens 10,000 above its ports, too: all of them stay below those that clients are given (from 32768 on)
PORT_OFFSET = int(os.environ.get("ISSUANCE_TEST_PORT_OFFSET", "2000")) + 40 * WORKER
"""The tests' stack stands beside one that is up; another offset lets two checkouts test side by side."""
os.environ["ISSUANCE_TEST_PORT_OFFSET"] = str(PORT_OFFSET)
for _port in fields(Ports):
    os.environ[f"ISSUANCE_PORT_{_port.name.upper()}"] = str(int(str(_port.default)) + PORT_OFFSET)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Settings]:
    """PostgreSQL alone; every other address of the settings leads nowhere."""
    with running_postgres(Path(f"{os.environ['ISSUANCE_STACK_DIR']}-ledger")) as settings:
        yield settings


@pytest.fixture(scope="session")
def database(postgres: Settings) -> Settings:
    """Settings with a PostgreSQL to make databases in; of tests that need more, that of their stack."""
    return postgres


@pytest.fixture(scope="module")
def ledger_url(database: Settings, request: pytest.FixtureRequest) -> str:
    """The URL of an empty, migrated ledger of this module's own."""
    url = fresh_database(database.database_url, f"ledger_{request.module.__name__}")
    new_ledger(url)
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Connection]:
    """A connection to the module's ledger whose work is rolled back."""
    with connect(ledger_url) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def log_in(tmp_path: Path) -> Iterator[LogIn]:
    """The command line at the desk of a ledger, as a user with all rights, or with the given ones."""
    with ExitStack() as stack:
        yield lambda settings, user, *rights: stack.enter_context(logged_in(settings, tmp_path / "home", user, *rights))
