"""The doors under hostile messages, in small; `make fuzz` sends twenty thousand and tries every line of the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.run import fuzz

from issuance.settings import Settings


@pytest.mark.usefixtures("stack")
def test_hostile_messages_end_nothing_and_sound_ones_are_applied(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", stack.database_url)  # the run's own is set over it, and undone
    findings, counted = fuzz(stack, tmp_path, 600, 7, whole=False)
    assert findings == [], counted
