"""The generator: distinct good people, exactly the planted defects, the same bytes for the same seed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from issuance.city.partners import load_registry
from issuance.city.policy import load_policy
from issuance.intake.identifiers import number_parts
from issuance.intake.normalise import normalise
from issuance.intake.read import read_rows
from issuance.intake.rules import ROW_RULES, RULES, RuleContext
from producers.generate import DEFECTS, DUPLICATE, REUSED, Generated, generate_cohort

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = load_registry(ROOT / "policies" / "partners.demo.yaml")
OPENS = date(2025, 10, 9)
CARDS = 6000
FILES = ("applications.csv", "truth.json", "canaries.json")


def generate(directory: Path, cards: int = CARDS, seed: int = 7) -> Generated:
    return generate_cohort(directory, cards, seed, OPENS, REGISTRY)


def rows_of(generated: Generated) -> pd.DataFrame:
    frame = pd.concat(read_rows(generated.applications, 5000), ignore_index=True)
    return normalise(frame)[0].assign(photo_finding="")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def frame(generated: Generated) -> pd.DataFrame:
    return rows_of(generated)


@pytest.fixture(scope="module")
def truth(generated: Generated) -> set[tuple[int, str]]:
    data = json.loads(generated.truth.read_text(encoding="utf-8"))
    assert (data["rows"], data["cards"], data["planted"]) == (generated.rows, CARDS, generated.planted)
    assert {defect["file"] for defect in data["defects"]} == {"applications.csv"}
    return {(defect["line"], defect["rule"]) for defect in data["defects"]}


def judged(frame: pd.DataFrame) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """(line, rule) of errors and of warnings."""
    banks = frozenset(bank.id for bank in REGISTRY.of_kind("bank"))
    context = RuleContext(load_policy(ROOT / "policies", REGISTRY.city), banks, OPENS)
    found: dict[str, set[tuple[int, str]]] = {"error": set(), "warning": set()}
    for rule in ROW_RULES:
        assert rule.passes is not None
        found[rule.severity] |= {(line, rule.id) for line in frame["line"][~rule.passes(frame, context)]}
    return found["error"], found["warning"]


def by_definition(frame: pd.DataFrame, errors: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """The duplicates and reused ids among valid rows, decided the plain way."""
    valid = frame[~frame["line"].isin({line for line, _ in errors})].sort_values("line")
    reused = valid[valid["application_id"].duplicated(keep=False)]
    rest = valid.drop(reused.index)
    again = rest[rest["id_number"].duplicated(keep="first")]
    return {(line, REUSED) for line in reused["line"]} | {(line, DUPLICATE) for line in again["line"]}


def test_truth_is_what_the_rules_and_the_set_find(frame: pd.DataFrame, truth: set[tuple[int, str]]) -> None:
    errors, warnings = judged(frame)
    assert errors | by_definition(frame, errors) == truth
    assert {rule for _, rule in warnings} == {"RETIREMENT_EARLY"}


def test_exactly_the_good_people_remain(generated: Generated, frame: pd.DataFrame, truth: set[tuple[int, str]]) -> None:
    assert len(frame) == generated.rows == CARDS + len(truth)
    good = frame[~frame["line"].isin({line for line, _ in truth})]
    assert len(good) == CARDS == good["id_number"].nunique() == good["application_id"].nunique()
    assert good["phone"].nunique() == CARDS


def test_every_kind_is_planted(generated: Generated) -> None:
    assert set(generated.planted) == {rule for rule, _ in DEFECTS} | {DUPLICATE, REUSED}
    assert set(generated.planted) <= set(RULES)
    assert 0.009 < (generated.rows - CARDS) / CARDS < 0.011


def test_the_mix_is_that_of_retirees(frame: pd.DataFrame) -> None:
    share = frame["collection_method"].value_counts(normalize=True)
    expected = {"outlet": 0.60, "mail": 0.25, "service_point": 0.07, "employer": 0.05, "home_delivery": 0.03}
    assert all(abs(share[method] - wanted) < 0.02 for method, wanted in expected.items())
    assert set(frame["bank_code"]) >= {bank.id for bank in REGISTRY.of_kind("bank")}
    assert {"110103", "110104"} <= set(frame["id_number"].str[:6])
    assert frame["name"].str.contains("[㐀-䶿𠀀-𯿿]").any(), "rare characters"
    assert frame["name"].str.contains("·").any()
    assert frame["address"].str.contains("\n").any()
    assert frame["address"].str.contains("海南").any()
    assert set(frame["old_card_generation"]) == {"", "1", "2"}
    assert number_parts(frame["id_number"]).genuine.mean() > 0.99


def test_harmless_variants_stand_in_the_file(generated: Generated) -> None:
    raw = pd.concat(read_rows(generated.applications, 5000), ignore_index=True)
    notes = normalise(raw)[1]
    assert set(notes) == {"full_width", "spaces", "lower_case", "phone_form", "date_form", "name_dot"}


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        generate(tmp_path / name, 300, seed)
    bytes_of = {name: [(tmp_path / name / file).read_bytes() for file in FILES] for name in "abc"}
    assert bytes_of["a"] == bytes_of["b"]
    assert all(a != c for a, c in zip(bytes_of["a"], bytes_of["c"], strict=True))


def test_canaries_stand_in_the_file(generated: Generated, frame: pd.DataFrame, truth: set[tuple[int, str]]) -> None:
    canaries = json.loads(generated.canaries.read_text(encoding="utf-8"))
    assert len(canaries) == 5
    lines = []
    for marked in canaries:
        (row,) = frame[frame["phone"] == marked["phone"]].to_dict("records")
        assert {column: row[column] for column in marked} == marked
        lines.append(row["line"])
    assert [line for line in lines if (line, "ID_CHECK_DIGIT") in truth] == lines[-1:]


@pytest.mark.parametrize("cards", [1, 2, 3, 49, 100, 250])
def test_small_cohorts_stay_below_the_warning_ratio(tmp_path: Path, cards: int) -> None:
    generated = generate(tmp_path, cards)
    defects = json.loads(generated.truth.read_text(encoding="utf-8"))["defects"]
    quarantined = [defect for defect in defects if defect["rule"] != DUPLICATE]
    assert generated.rows == cards + len(defects) == len(rows_of(generated))
    assert len(quarantined) / generated.rows <= load_policy(ROOT / "policies", REGISTRY.city).warn_ratio


def test_chunks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path / "whole", 300)
    monkeypatch.setattr("producers.generate.CHUNK", 7)
    generate(tmp_path / "parts", 300)
    assert all((tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes() for file in FILES)


def test_a_cohort_has_a_card(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        generate(tmp_path, 0)
