"""A city's policy: the shipped file loads, and a wrong one is refused by file and field."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from issuance.errors import Misconfigured
from issuance.policy import Policy, load_policy

POLICIES = Path(__file__).resolve().parent.parent / "policies"
BEIJING: dict[str, Any] = yaml.safe_load((POLICIES / "110000.yaml").read_text(encoding="utf-8"))


def refusal(directory: Path, content: str, city: str = "110000") -> Misconfigured:
    (directory / f"{city}.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(Misconfigured) as caught:
        load_policy(directory, city)
    return caught.value


def test_beijing() -> None:
    policy = load_policy(POLICIES, "110000")
    assert policy.due_days == 30
    assert policy.old_card_stop == {1: date(2026, 12, 31)}
    assert policy.retirement_ages["female"].earliest == 45
    assert Policy.model_validate(json.loads(policy.model_dump_json())) == policy


def test_every_value_has_a_comment_with_its_source() -> None:
    text = (POLICIES / "110000.yaml").read_text(encoding="utf-8")
    for block in text.split("\n\n")[1:]:
        assert any(mark in block for mark in ("[press]", "[std]", "[rule]")), block


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"due_days": -1}, "due_days"),
        ({"due_days": "soon"}, "due_days"),
        ({"collection_methods": ["pigeon"]}, "collection_methods.0"),
        ({"collection_methods": []}, "collection_methods"),
        ({"job_size": 5001}, "job_size"),
        ({"refuse_ratio": 1.5}, "refuse_ratio"),
        ({"colour": "red"}, "colour"),
        ({"warn_ratio": 0.5}, "(whole)"),
        ({"reminder_days": [30, 15]}, "(whole)"),
        ({"reminder_days": [15, 200]}, "(whole)"),
        ({"retirement_ages": {"male": {"earliest": 50, "statutory": 60}}}, "(whole)"),
        (
            {"retirement_ages": BEIJING["retirement_ages"] | {"male": {"earliest": 61, "statutory": 60}}},
            "retirement_ages.male",
        ),
        ({"old_card_stop": {1: "2026-13-01"}}, "old_card_stop.1"),
        ({"city": "310000"}, "city"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    error = refusal(tmp_path, yaml.safe_dump(BEIJING | change))
    assert error.code == "POLICY_INVALID"
    assert error.details["file"] == str(tmp_path / "110000.yaml")
    assert field in error.details["fields"]
    assert "110000.yaml" in error.message


@pytest.mark.parametrize("field", sorted(BEIJING))
def test_no_field_has_a_hidden_default(tmp_path: Path, field: str) -> None:
    error = refusal(tmp_path, yaml.safe_dump({name: value for name, value in BEIJING.items() if name != field}))
    assert list(error.details["fields"]) == [field]


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    assert refusal(tmp_path, "city: [").code == "POLICY_UNREADABLE"
    assert refusal(tmp_path, "").code == "POLICY_INVALID"
    with pytest.raises(Misconfigured) as caught:
        load_policy(tmp_path, "999999")
    assert (caught.value.code, caught.value.details["known"]) == ("POLICY_MISSING", ["110000"])
    with pytest.raises(Misconfigured):
        load_policy(tmp_path / "sub", "../110000")
