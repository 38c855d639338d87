"""Faults of ours: a break while each stands, and nothing else is held up by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cohort_fixture import empty
from findings_fixture import open_kinds, settings_of
from ledger_fixture import OPENS, make_cohort

from issuance import passes
from issuance.breaks.faults import KINDS, watch_faults
from issuance.errors import Unavailable
from issuance.ledger.connection import Connection, connect
from issuance.passes import Watch, run_clocks
from issuance.settings import Settings
from issuance.wire.faults import clear_faults, held_partitions, note_fault


@pytest.fixture
def own(ledger_url: str) -> Iterator[Settings]:
    """Settings of this module's ledger, empty before and after: for what commits by itself."""
    empty(ledger_url)
    yield settings_of(ledger_url)
    empty(ledger_url)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_a_break_while_it_stands(ledger: Connection, kind: str) -> None:
    note_fault(ledger, kind, "one", "detail", OPENS)
    note_fault(ledger, kind, "other", "detail", OPENS)
    assert (watch_faults(ledger, OPENS), watch_faults(ledger, OPENS)) == (2, 0)
    assert clear_faults(ledger, kind, "one") == 1
    watch_faults(ledger, OPENS)
    query = "SELECT reference, actual FROM break WHERE kind = %s AND closed_on IS NULL"
    assert ledger.execute(query, (kind,)).fetchall() == [("other", "detail")]
    assert clear_faults(ledger, kind) == 1
    watch_faults(ledger, OPENS)
    assert open_kinds(ledger) == []


def test_what_is_held_is_named(ledger: Connection) -> None:
    for kind in KINDS:
        note_fault(ledger, kind, f"{kind}/0", "", OPENS)
    assert held_partitions(ledger) == {"TOPIC_CHANGED/0", "PARTNER_HELD/0"}


def with_one(monkeypatch: pytest.MonkeyPatch, error: Exception | None, seen: list[str]) -> None:
    """The watches of a pass, one of which fails."""

    def fail(settings: Settings, city: object) -> int:
        if error:
            raise error
        return 0

    def look(settings: Settings, city: object) -> int:
        seen.append("looked")
        return 0

    watches = (Watch("spoiled", fail), Watch("sound", look), passes.WATCHES[-1])
    monkeypatch.setattr(passes, "WATCHES", watches)


def test_a_watch_that_fails_is_a_break_and_the_others_run(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(own.database_url) as connection:
        make_cohort(connection, 1)
    seen: list[str] = []
    with_one(monkeypatch, ValueError("secret"), seen)
    run_clocks(own)
    assert seen == ["looked"]
    with connect(own.database_url) as connection:
        assert open_kinds(connection) == ["WATCH_FAILED"]
        found = connection.execute("SELECT reference, actual FROM break").fetchall()
        assert [reference for reference, _ in found] == ["spoiled"]
        assert "secret" not in str(found)
    with_one(monkeypatch, None, seen)
    run_clocks(own)
    with connect(own.database_url) as connection:
        assert open_kinds(connection) == [], "it closes with the next run that succeeds"


def test_a_component_that_does_not_answer_is_tried_again_after_the_others(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(own.database_url) as connection:
        make_cohort(connection, 1)
    seen: list[str] = []
    with_one(monkeypatch, Unavailable("S3_UNAVAILABLE", "away"), seen)
    with pytest.raises(Unavailable, match="S3_UNAVAILABLE"):
        run_clocks(own)
    assert seen == ["looked"]
    with connect(own.database_url) as connection:
        assert open_kinds(connection) == []
