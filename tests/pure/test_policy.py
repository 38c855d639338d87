"""A city's policy: the shipped files load, and a wrong one is refused by file, line and field, all mistakes at once."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import City
from issuance.city.marked_yaml import read_marked
from issuance.city.partners import load_registry
from issuance.city.policy import DueDays, Policy, load_policy
from issuance.docpages.policies import CITIES, FILE, all_policies, policies_markdown
from issuance.errors import Misconfigured

POLICIES = Path(__file__).resolve().parents[2] / "policies"
TEXT = (POLICIES / "110000.yaml").read_text(encoding="utf-8")
BEIJING: dict[str, Any] = read_marked(TEXT).data
every_city = pytest.mark.parametrize("city", sorted(CITIES))


def refusal(directory: Path, content: str, city: str = "110000") -> Misconfigured:
    (directory / f"{city}.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(Misconfigured) as caught:
        load_policy(directory, city)
    return caught.value


def test_beijing() -> None:
    policy = load_policy(POLICIES, "110000")
    assert policy.due_days == DueDays(count=30, unit="calendar")
    assert policy.old_card_stop == {1: date(2026, 12, 31)}
    assert policy.retirement_ages["female"].earliest == 45
    assert Policy.model_validate(json.loads(policy.model_dump_json())) == policy


def test_there_is_a_policy_of_every_named_city_and_no_other() -> None:
    assert {path.stem for path in POLICIES.glob("[0-9]*.yaml")} == set(CITIES)


@every_city
def test_every_figure_has_its_source_and_every_source_its_figure(city: str) -> None:
    policy = load_policy(POLICIES, city)
    assert set(policy.sources) == policy.model_fields_set - {"city", "sources"}
    assert all(mark in source for source in policy.sources.values() for mark in ("[", "] "))


def test_the_page_of_all_cities_is_in_step_with_the_files() -> None:
    assert FILE.read_text(encoding="utf-8") == policies_markdown(all_policies(POLICIES)), "write it anew: make docs"


# The clock from application to card made


@pytest.mark.parametrize(
    ("count", "unit", "start", "due"),
    [
        (30, "calendar", date(2025, 10, 9), date(2025, 11, 8)),
        (0, "calendar", date(2025, 10, 9), date(2025, 10, 9)),
        (7, "working", date(2025, 9, 28), date(2025, 10, 14)),  # National Day, and the make-up Saturday of 11 October
        (3, "working", date(2025, 10, 10), date(2025, 10, 14)),
    ],
)
def test_a_clock_counts_from_the_day_after_its_start(count: int, unit: Any, start: date, due: date) -> None:
    assert DueDays(count=count, unit=unit).after(start, STATE_COUNCIL) == due


def test_working_days_that_nobody_has_published_are_a_clear_error() -> None:
    with pytest.raises(Misconfigured, match="CALENDAR_UNKNOWN"):
        DueDays(count=3, unit="working").after(date(2049, 12, 31), STATE_COUNCIL)


@every_city
def test_a_city_says_when_a_card_is_due(city: str) -> None:
    policy = load_policy(POLICIES, city)
    due = City(policy, load_registry(POLICIES / "partners.demo.yaml"), STATE_COUNCIL).due_on(date(2025, 10, 9))
    assert due == policy.due_days.after(date(2025, 10, 9), STATE_COUNCIL)


# Mistakes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"due_days": {"count": -1, "unit": "calendar"}}, "due_days.count"),
        ({"due_days": {"count": "soon", "unit": "calendar"}}, "due_days.count"),
        ({"due_days": {"count": 3, "unit": "lunar"}}, "due_days.unit"),
        ({"due_days": 30}, "due_days"),
        ({"handover_days": True}, "handover_days"),
        ({"collection_methods": ["outlet", "pigeon"]}, "collection_methods.1"),
        ({"collection_methods": []}, "collection_methods"),
        ({"job_size": 5001}, "job_size"),
        ({"refuse_ratio": 1.5}, "refuse_ratio"),
        ({"colour": "red"}, "colour"),
        ({"warn_ratio": 0.5}, "refuse_ratio"),
        ({"wave_days": 5, "plan_ahead_days": 5}, "plan_ahead_days"),
        ({"reminder_days": [30, 15]}, "reminder_days"),
        ({"reminder_days": [15, 200]}, "keep_days"),
        ({"retirement_ages": {"male": {"earliest": 50, "statutory": 60}}}, "retirement_ages"),
        (
            {"retirement_ages": BEIJING["retirement_ages"] | {"male": {"earliest": 61, "statutory": 60}}},
            "retirement_ages.male.statutory",
        ),
        ({"old_card_stop": {1: "2026-13-01"}}, "old_card_stop.1"),
        ({"postage": {"payer": "city", "fee": 1200}}, "postage.fee"),
        ({"card_fees": BEIJING["card_fees"] | {"exempt": ["rich"]}}, "card_fees.exempt.0"),
        ({"sources": BEIJING["sources"] | {"due_days": "hearsay"}}, "sources.due_days"),
        ({"sources": BEIJING["sources"] | {"colour": "[rule] red"}}, "sources.colour"),
        ({"sources": {k: v for k, v in BEIJING["sources"].items() if k != "keep_days"}}, "keep_days"),
        ({"city": "310000"}, "city"),
    ],
)
def test_a_wrong_value_is_named_in_both_languages(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    error = refusal(tmp_path, yaml.safe_dump(BEIJING | change, allow_unicode=True))
    assert error.code == "POLICY_INVALID"
    assert error.details["file"] == str(tmp_path / "110000.yaml")
    assert list(error.details["fields"]) == [field]
    assert f"110000.yaml:{error.details['lines'][field]} {field}: " in error.message
    chinese, _, english = error.details["fields"][field].partition(" / ")
    assert english.isascii()
    assert any(character >= "\u4e00" for character in chinese)


def line_of(text: str, start: str) -> int:
    """The line (1 first) that starts with a text."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_all_mistakes_are_named_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = TEXT.replace("warn_ratio: 0.02", "warn_ratio: many").replace("job_size: 5000", "job_size: 0\ncolour: red")
    text = text.replace("answer_days: 3", "answer_days: 3\nanswer_days: 4")
    text = text.replace("{1: 2026-12-31}", "{1: 2026-13-31}").replace("earliest: 45", "earliest: 20")
    assert refusal(tmp_path, text).details["lines"] == {
        "warn_ratio": line_of(text, "warn_ratio"),
        "job_size": line_of(text, "job_size"),
        "colour": line_of(text, "colour"),
        "answer_days": line_of(text, "answer_days: 4"),
        "old_card_stop.1": line_of(text, "old_card_stop"),
        "retirement_ages.female.earliest": line_of(text, "  female"),
    }


def test_a_key_twice_is_a_mistake_even_when_nothing_else_is(tmp_path: Path) -> None:
    text = TEXT.replace("answer_days: 3", "answer_days: 3\nanswer_days: 3")
    assert refusal(tmp_path, text).details["lines"] == {"answer_days": line_of(text, "answer_days") + 1}


@pytest.mark.parametrize("field", sorted(BEIJING))
def test_no_field_has_a_hidden_default(tmp_path: Path, field: str) -> None:
    error = refusal(tmp_path, yaml.safe_dump({name: value for name, value in BEIJING.items() if name != field}))
    assert list(error.details["fields"]) == [field]
    assert "缺少此项" in error.details["fields"][field]


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    assert refusal(tmp_path, "city: [").code == "POLICY_UNREADABLE"
    assert refusal(tmp_path, "").code == "POLICY_INVALID"
    assert refusal(tmp_path, "- a\n- b").details["lines"] == {"(whole)": 1}
    with pytest.raises(Misconfigured) as caught:
        load_policy(tmp_path, "999999")
    assert (caught.value.code, caught.value.details["known"]) == ("POLICY_MISSING", ["110000"])
    with pytest.raises(Misconfigured):
        load_policy(tmp_path / "sub", "../110000")
