"""Documents say what is there: generated files in step, commands, links, paths, variables and codes that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest

from issuance.breaks.kinds import BREAK_KINDS
from issuance.city.policy import Policy
from issuance.cli import cli
from issuance.docpages.lifecycle import (
    CARD_MOVES,
    COLUMN_OF,
    DECIDED_LOST,
    FILE,
    RELATIONS,
    SENT,
    SUBJECTS,
    WAIVED,
    WAYS,
    lifecycle_markdown,
    moves,
    plastic_state,
)
from issuance.errors import Misconfigured
from issuance.reconcile.equation_words import BUCKET_WORDS, EQUATION_WORDS
from issuance.reconcile.equations import EQUATIONS
from issuance.settings import ROOT, load_settings
from issuance.stack.place import Ports
from issuance.stack.variables import ADDRESS_OF
from issuance.tracking.snapshot import PLASTICS
from issuance.words.lifecycle import CARD_STATES, COHORT_STATES, MILESTONES, PLASTIC_STATES, Relation, Subject

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAIRS = [
    (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    (ROOT / "docs/operators.md", ROOT / "docs/operators.zh-CN.md"),
    (ROOT / "docs/partners.md", ROOT / "docs/partners.zh-CN.md"),
]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for room in ("issuance", "dags", "consumers", "producers")
    for path in sorted((ROOT / room).rglob("*.py"))
)
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def snippets(path: Path) -> list[str]:
    """The lines of code blocks and the inline code of a document."""
    text = read(path)
    lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
    return lines + INLINE.findall(FENCE.sub("", text))


# docs/lifecycle.md


def test_the_life_of_a_card_is_in_step_with_its_tables() -> None:
    assert read(FILE) == lifecycle_markdown(), "write it anew: make docs"


def test_every_milestone_state_subject_and_relation_stands_in_it() -> None:
    text = read(FILE)
    assert set(SUBJECTS) == set(get_args(Subject))
    assert set(RELATIONS) == set(get_args(Relation))
    for name in (*MILESTONES, *(state.name for state in PLASTIC_STATES)):
        assert f"| `{name}` |" in text


def test_every_state_break_equation_and_bucket_stands_in_it_in_both_languages() -> None:
    text = read(FILE)
    for name, state in CARD_STATES.items():
        assert f"| `{name}` | {state.zh} | {state.en} |" in text
    for name, (zh, en) in COHORT_STATES.items():
        assert f"| `{name}` | {zh} | {en} |" in text
    for kind in BREAK_KINDS.values():
        assert f"| `{kind.name}` | {kind.zh} | {kind.en} |" in text
        assert all(kind.remedy), kind.name
        assert " | ".join(kind.remedy) in text
    for equation in EQUATIONS:
        assert f"| **{equation.name}** | {' | '.join(EQUATION_WORDS[equation.name])} |" in text
        for bucket in equation.buckets:
            assert f"| {equation.name} | {bucket} | {BUCKET_WORDS[bucket]} |" in text


def test_the_states_of_a_cohort_are_those_of_the_ledger() -> None:
    migrations = "".join(read(path) for path in sorted((ROOT / "issuance/ledger/migrations").glob("*.sql")))
    allowed = re.findall(r"ADD CONSTRAINT cohort_state_check\s+CHECK \(state IN \(([^)]*)\)\)", migrations)[-1]
    assert set(re.findall(r"'(\w+)'", allowed)) == set(COHORT_STATES)


def test_the_picture_reaches_every_state_of_a_card() -> None:
    assert {state for _, state in moves()} == {state.name for state in PLASTIC_STATES}
    assert {state for _, state in (*moves(), *CARD_MOVES)} == set(CARD_STATES)
    assert {step for way in WAYS for step in way} <= {*MILESTONES, SENT, DECIDED_LOST, WAIVED}


def test_the_picture_fills_columns_that_the_standing_of_a_plastic_has() -> None:
    for step, column in COLUMN_OF.items():
        assert step in MILESTONES or step in (SENT, DECIDED_LOST, WAIVED)
        assert re.search(rf"AS {column}\b", PLASTICS)


def test_a_state_is_the_first_whose_condition_holds() -> None:
    assert plastic_state(()) == "PLANNED"
    assert plastic_state({"made", "bank_keyed"}) == "MADE"
    assert plastic_state({"made", "c_posted", "c_returned"}) == "RETURNED"
    assert plastic_state({"made", "c_posted", "c_returned", "c_lost"}) == "MAIL_LOST"  # on its way back
    assert plastic_state({"taken", "ss_activated", "loss_reported"}) == "LOST_BY_HOLDER"


# Commands


def commands_in(path: Path) -> Iterator[list[str]]:
    """The words after `issuance` of every command a document shows."""
    for snippet in snippets(path):
        for found in re.findall(r"(?<![\w/.-])issuance((?: [^\s&|#;]+)*)", snippet):
            yield shlex.split(found)


@every_document
def test_commands_exist_with_their_options(path: Path) -> None:
    for words in commands_in(path):
        command: click.Command = cli
        rest = list(words)
        while rest and isinstance(command, click.Group):
            name = rest.pop(0)
            assert name in command.commands, f"issuance {' '.join(words)}"
            command = command.commands[name]
        if not command.context_settings.get("ignore_unknown_options"):
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= known, f"issuance {' '.join(words)}"


@every_document
def test_make_targets_and_modules_exist(path: Path) -> None:
    targets = re.search(r"^\.PHONY: (.*)$", read(ROOT / "Makefile"), re.MULTILINE)
    assert targets
    for snippet in snippets(path):
        assert set(re.findall(r"(?<![\w-])make ([a-z-]+)", snippet)) <= set(targets[1].split())
        for module in re.findall(r"python -m ([\w.]+)", snippet):
            place = ROOT / module.replace(".", "/")
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


# Links, paths, names


@every_document
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", read(path)):
        assert (path.parent / target).exists(), target
    for word in INLINE.findall(read(path)):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word) and "/" in word and (ROOT / word.split("/")[0]).exists():
            assert word.startswith(".stack/") or (ROOT / word).exists(), word


@every_document
def test_no_path_of_a_machine_and_no_number_of_an_issue_is_named(path: Path) -> None:
    assert not re.search(r"(?<![\w.])/(root|home|work|tmp|Users)\b", read(path))
    assert not re.search(r"\bissue #?\d|(?<!\w)#\d+", read(path))


@every_document
def test_codes_and_variables_exist(path: Path) -> None:
    ports = {f"ISSUANCE_PORT_{field.name.upper()}" for field in fields(Ports)}
    placeholders = {"CARD_REF", "BREAK_ID", "JOB_ID"}
    for name in set(INLINE.findall(FENCE.sub("", read(path)))) - ports - placeholders:
        if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name) and not name.startswith("AIRFLOW_USER_"):
            # built from a column or a bank's table, as REQUIRED_NAME; those stand in generated files only
            assert name in SOURCE or path.name in ("rules.md",), name
        if re.fullmatch(r"\w+_(ratio|days)", name):
            assert name in Policy.model_fields, name


def test_all_variables_that_must_be_set_stand_in_both_readmes() -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings({})
    for readme in PAIRS[0]:
        named = set(re.findall(r"`([A-Z0-9_]+)`", read(readme)))
        assert {*caught.value.details["missing"], *ADDRESS_OF.values()} <= named


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_both_languages_show_the_same_commands_codes_and_variables(pair: tuple[Path, Path]) -> None:
    english, chinese = ({bare(line) for line in snippets(path) if bare(line).isascii()} for path in pair)
    diagram = {line for line in english if line.startswith("  ")}
    assert english - diagram <= chinese <= english
    for mark in ("## ", "- ", "| "):
        counts = [sum(line.startswith(mark) for line in read(path).splitlines()) for path in pair]
        assert counts[0] == counts[1], mark


def bare(line: str) -> str:
    """A line without its comment and the text of its last option."""
    return re.sub(r'"[^"]*"$', '""', re.sub(r"\s+# .*$", "", line))


# Decisions, licence, check, what is in git


def test_no_two_decisions_have_one_number() -> None:
    assert len({path.name[:4] for path in ADRS}) == len(ADRS)


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name)
def test_a_decision_has_number_status_date_and_a_page_at_most(path: Path) -> None:
    text = read(path)
    assert re.match(r"\d{4}-", path.name)
    assert re.match(rf"# {path.name[:4]} \S.*\n\nStatus: (accepted|proposed|replaced by \d{{4}})\. ", text)
    assert re.search(r"Date: 20\d\d-\d\d-\d\d\.$", text.split("\n\n")[1])
    assert {"## Question", "## Decision", "## Why", "## Cost", "## Instead"} >= set(re.findall(r"^## .*$", text, re.M))
    assert len(text.splitlines()) <= 60


def test_the_licence_is_whole_and_the_one_that_is_declared() -> None:
    text = read(ROOT / "LICENSE")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in read(ROOT / "pyproject.toml")


def test_make_check_is_style_types_and_import_rules() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n?)+)", read(ROOT / "Makefile"), re.MULTILINE)
    assert recipe
    for tool in ("ruff check .", "ruff format --check .", "mypy --strict issuance", "lint-imports"):
        assert f"$(BIN)/{tool}\n" in recipe[1] + "\n"


def test_the_whole_check_ends_with_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    steps = re.findall(r"^step make ([\w-]+)", read(script), re.MULTILINE)
    assert steps == ["install", "check", "demo", "test"]
    assert read(script).rstrip().endswith("step make test")
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_no_state_of_a_stack_is_in_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git here")
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert not [name for name in found if re.match(r"\.(stack|venv|uv|bench)", name) or name.endswith((".pem", ".env"))]
