"""Commands that a test of the ledger calls find PostgreSQL, and nothing else, in their environment."""

from __future__ import annotations

import pytest
from postgres_fixture import NOWHERE

from issuance.settings import Settings


@pytest.fixture(autouse=True)
def environment(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of a stack of which only the ledger answers."""
    here = {
        "DATABASE_URL": database.database_url,
        "ISSUANCE_KEYS_DIR": str(database.keys_dir),
        "ISSUANCE_PARTNER_KEYS_DIR": str(database.partner_keys_dir),
    }
    for name, value in {**NOWHERE, **here}.items():
        monkeypatch.setenv(name, value)
