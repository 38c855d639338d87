"""The local stack without Airflow, one a session: Kafka, PostgreSQL, S3 and the schema registry."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from issuance.settings import ROOT, Settings, load_settings


@pytest.fixture(scope="session")
def stack() -> Iterator[Settings]:
    """In a folder and on ports of its own; stopped at the end unless ISSUANCE_TEST_KEEP is set."""
    from issuance.stack import run

    with (ROOT / ".stack-test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # what has to be downloaded is downloaded once
        run.up(print, workers=False)
    try:
        settings = load_settings()
        yield replace(settings, database_url=settings.owner_url)  # tests make ledgers of their own
    finally:
        if not os.environ.get("ISSUANCE_TEST_KEEP"):
            run.down(print)


@pytest.fixture(scope="session")
def database(stack: Settings) -> Settings:
    """The ledgers of these tests lie in the stack's PostgreSQL."""
    return stack
