"""The partner registry: calendars of factories, primary and backup of banks, mistakes by line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from ledger_fixture import REGISTRY, decide_all, drop_temporary, item, make_cohort, merge, report

from issuance.city.partners import Registry, days_of, load_registry
from issuance.dispatch.demands import spread
from issuance.errors import Misconfigured
from issuance.ledger.connection import Connection
from issuance.settings import ROOT

TEXT = (ROOT / "policies" / "partners.demo.yaml").read_text(encoding="utf-8")


def written(directory: Path, old: str, new: str) -> Registry:
    """The demo registry with one text replaced."""
    assert old in TEXT
    path = directory / "partners.yaml"
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    return load_registry(path)


def test_a_factory_has_its_maintenance_days(tmp_path: Path) -> None:
    registry = written(tmp_path, "F-ABC: {capacity: 12000}",
                       "F-ABC: {capacity: 12000, maintenance: [2025-11-03, 2025-11-05..2025-11-06]}")  # fmt: skip
    assert registry.partners["F-ABC"].maintenance == {date(2025, 11, day) for day in (3, 5, 6)}
    assert registry.partners["F-ICBC"].maintenance == frozenset()


def test_a_bank_names_its_primary_and_may_name_its_backup() -> None:
    assert REGISTRY.factory_of_bank["BOB"] == REGISTRY.factory_of_bank["BRCB"] == "F-JING"
    assert REGISTRY.partners["F-JING"].banks == ("BOB", "BRCB")
    assert (REGISTRY.backup_of("PAB"), REGISTRY.backup_of("BOB")) == ("F-CIB", "F-RESERVE")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("F-ABC: {capacity: 12000}", "F-ABC: {capacity: 0}", "F-ABC: capacity"),
        ("F-ABC: {capacity: 12000}", "F-ABC: {capacity: 9, maintenance: [2025-02-30]}", "2025-02-30"),
        ("F-ABC: {capacity: 12000}", "F-ABC: {capacity: 9, maintenance: [2025-03-02..2025-03-01]}", "F-ABC"),
        ("ABC: {primary: F-ABC}", "ABC: {primary: F-NONE}", "F-NONE is not a factory"),
        ("ABC: {primary: F-ABC}", "ABC: {}", "ABC: "),
        ("ABC: {primary: F-ABC}", "ABC: {primary: F-ABC, backup: ICBC}", "ICBC is not a factory"),
        ("ABC: {primary: F-ABC}", "ABC: {primary: F-RESERVE}", "are the same factory"),
        ("backup_factory: F-RESERVE", "backup_factory: F-NOWHERE", "backup_factory is not a factory"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(Misconfigured, match="REGISTRY_INVALID") as caught:
        written(tmp_path, old, new)
    line = next(n for n, text in enumerate(TEXT.splitlines(), 1) if old in text)
    assert caught.value.details["lines"] == [line]
    assert f"partners.yaml:{line} " in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["2025-1-1", "20250101", "soon", "2025-01-01..", "..2025-01-01", "2025-W01-1"])
def test_what_is_no_day_and_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        days_of(text)


@pytest.mark.parametrize("cards", [0, 1, 7, 16, 100_003])
def test_declared_cards_are_spread_over_banks_by_capacity_and_none_is_lost(cards: int) -> None:
    shares = spread(cards, REGISTRY)
    assert sum(shares.values()) == cards
    assert all(shares.values())
    if cards > 16:
        assert shares["ICBC"] == pytest.approx(2 * shares["CITIC"], rel=0.01)
        assert shares["BOB"] == pytest.approx(shares["CITIC"] / 2, rel=0.01)


def test_a_job_refused_as_a_whole_goes_to_the_backup_of_its_bank(ledger: Connection) -> None:
    (ref,) = make_cohort(ledger, 1)
    ledger.execute("UPDATE card SET bank = 'PAB', factory = 'F-PAB'")
    ledger.execute("UPDATE plastic SET bank = 'PAB', factory = 'F-PAB'")
    ledger.execute("UPDATE job SET bank = 'PAB', factory = 'F-PAB'")
    refusal = item("JOB_REFUSED", None, 1, reason="CAPACITY")
    merge(ledger, report("F-PAB", "r1", [refusal], kind="JOB", job_id="J1"))
    decide_all(ledger)
    drop_temporary(ledger)
    found = ledger.execute("SELECT attempt, factory FROM plastic WHERE card_ref = %s ORDER BY 1", (ref,)).fetchall()
    assert found == [(1, "F-PAB"), (2, "F-CIB")]
