"""Every room's contract, as its `__init__` states it, against the SQL that stands in it and the imports of the others.

Tables are found in the text of statements; a fold writes the tables of its subjects (`{self.table}`).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from issuance.tracking.fold import FOLDS

ROOT = Path(__file__).parents[2]
ROOMS = sorted(entry.parent.name for entry in (ROOT / "issuance").glob("*/__init__.py"))
EDGES = ("consumers", "dags", "producers")
WRITING = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM|COPY|TRUNCATE)\s+([a-z_]+)\b")
MAKING = re.compile(r"CREATE TEMP TABLE (?:IF NOT EXISTS )?([a-z_]+)")
READING = re.compile(r"\b(?:FROM|JOIN|USING|INTO|UPDATE)\s+([a-z_]+)\b")


def tables() -> set[str]:
    """The ledger's tables by the names that they have now."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "issuance/ledger/migrations").glob("*.sql"))
    renamed = re.findall(r"ALTER TABLE (\w+) RENAME TO (\w+)", text)
    made = set(re.findall(r"CREATE TABLE (\w+) \(", text))
    dropped = set(re.findall(r"DROP TABLE (\w+);", text))
    return made - {old for old, _ in renamed} - dropped | {new for _, new in renamed}


def source(room: str) -> str:
    """A room's code, its split strings joined."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "issuance" / room).rglob("*.py"))
                   if path.name != "__init__.py")  # fmt: skip
    text = re.sub(r'"\s*\n\s*f?"', "", text)
    return text.replace("UPDATE {self.table}", " ".join(f"UPDATE {fold.table} " for fold in FOLDS))


def said(room: str, label: str) -> set[str]:
    """The names that a room's contract lists under a label."""
    contract = ast.get_docstring(ast.parse((ROOT / "issuance" / room / "__init__.py").read_text(encoding="utf-8")))
    found = re.search(rf"^{label}: ([^.]*)\.", contract or "", re.MULTILINE)
    return set(re.split(r",\s+", found[1])) if found else set()


def callers() -> dict[str, set[str]]:
    """Room → who imports it, lazily or not."""
    found: dict[str, set[str]] = defaultdict(set)
    for top in ("issuance", *EDGES):
        for path in (ROOT / top).rglob("*.py"):
            parts = path.relative_to(ROOT).parts
            who = top if top in EDGES else parts[1].removesuffix(".py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("issuance"):
                    names = (
                        [node.module or ""] if node.module != "issuance" else [f"issuance.{a.name}" for a in node.names]
                    )
                    for name in names:
                        found[name.split(".")[1]].add(who)
    return {room: found[room] - {room} for room in ROOMS}


SOURCES = {room: source(room) for room in ROOMS}
WRITERS: dict[str, set[str]] = defaultdict(set)
for _room, _text in SOURCES.items():
    for _table in set(WRITING.findall(_text)) & tables():
        WRITERS[_table].add(_room)
MADE = {room: set(MAKING.findall(text)) for room, text in SOURCES.items()}
CALLERS = callers()


def test_every_table_has_a_writer() -> None:
    assert tables() == set(WRITERS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_writes_what_its_contract_says(room: str) -> None:
    alone = {table for table, rooms in WRITERS.items() if rooms == {room}}
    shared = {table for table, rooms in WRITERS.items() if room in rooms} - alone
    assert said(room, "Writes alone") == alone
    assert said(room, "Writes with others") == shared


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_makes_and_needs_the_temporary_tables_of_its_contract(room: str) -> None:
    assert said(room, "Makes for one transaction") == MADE[room]
    others = set().union(*MADE.values()) - MADE[room] - tables()
    assert said(room, "Needs from its caller") == set(READING.findall(SOURCES[room])) & others


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_called_by_those_whom_its_contract_names(room: str) -> None:
    assert said(room, "Called by") == CALLERS[room]
