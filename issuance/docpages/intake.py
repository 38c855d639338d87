"""docs/rules.md, generated from the tables of rules, refusals of files and notes; a test holds it in step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from issuance.docpages.markdown import table
from issuance.intake.columns import CODES, COLUMNS, CONDITIONS
from issuance.intake.duplicates import STANDINGS, STATES, VERDICTS
from issuance.intake.normalise import NOTES
from issuance.intake.refusals import PACKAGE_REFUSALS, REFUSALS
from issuance.intake.rules import ROW_RULES, SET_RULES, Rule
from issuance.settings import ROOT
from issuance.words.regions import FILE


def _rule_row(rule: Rule) -> tuple[str, ...]:
    columns = ", ".join(rule.columns) if len(rule.columns) < len(COLUMNS) else "(all)"
    return (
        f"`{rule.id}`",
        rule.severity,
        rule.waived_by,
        columns,
        rule.zh,
        rule.en,
        f"{rule.remedy_zh}<br>{rule.remedy_en}",
    )


def _code_rows() -> Iterable[tuple[str, ...]]:
    return ((column, code, "、".join(words)) for column, codes in CODES.items() for code, words in codes.items())


def _duplicate_rows() -> Iterable[tuple[str, ...]]:
    for kind, by_standing in VERDICTS.items():
        verdicts = (by_standing[standing] for standing in STANDINGS)
        yield f"{kind} {CODES['kind'][kind][0]}", *(v if v == "accept" else f"`{v}`" for v in verdicts)


def _standing_rows() -> Iterable[tuple[str, ...]]:
    other = {"none": "—", "under_way": "every other, or not a card yet"}
    for name, (_, en) in STANDINGS.items():
        yield name, en, other.get(name) or ", ".join(STATES[name])


def rules_markdown() -> str:
    """The whole of docs/rules.md."""
    needed = {c.column: "with " + (f"{c.when} {'/'.join(c.values)}" if c.values else c.when) for c in CONDITIONS}
    rules_head = ("Code", "Severity", "Waived by", "Columns", "说明", "Meaning", "Remedy")
    lines = [
        "# Rules of a cohort package",
        "",
        "Generated from `issuance/intake/` by `make docs`; do not edit.",
        "An error quarantines the row, a warning is only counted. A row carries the reason that names the cause.",
        "A city waives a rule by `waived_rules` of its policy; the rule then only warns.",
        "",
        "## Columns",
        "",
        *table(
            ("Column", "Chinese headers", "Required"),
            ((c.name, "、".join(c.zh), "always" if c.required else needed.get(c.name, "")) for c in COLUMNS),
        ),
        "## Codes",
        "",
        *table(("Column", "Code", "Chinese aliases"), _code_rows()),
        f"Region codes: `issuance/words/{FILE.name}`, GB/T 2260 with abolished codes; its header names the source.",
        "",
        "## Row rules",
        "",
        *table(rules_head, map(_rule_row, ROW_RULES)),
        "## Decided over the whole set",
        "",
        *table(rules_head, map(_rule_row, SET_RULES)),
        "## Duplicates",
        "",
        "What becomes of a valid row, by its kind and the status of the person's earlier card in any cohort. Of a",
        "person's rows in one submission the first is treated so, the others are duplicates of it.",
        "",
        *table(("Kind", *(f"{zh} {name}" for name, (zh, _) in STANDINGS.items())), _duplicate_rows()),
        *table(("Standing", "Meaning", "States of the card"), _standing_rows()),
        "## Refusals of a file",
        "",
        *table(("Code", "说明", "Meaning and remedy"), ((f"`{code}`", zh, en) for code, (zh, en) in REFUSALS.items())),
        "## Refusals of a package, a correction or an export",
        "",
        *table(
            ("Code", "说明", "Meaning and remedy"),
            ((f"`{code}`", zh, en) for code, (zh, en) in PACKAGE_REFUSALS.items()),
        ),
        "## Harmless variants, normalised and counted",
        "",
        *table(("Note", "说明", "Meaning"), ((f"`{code}`", zh, en) for code, (zh, en) in NOTES.items())),
    ]
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """docs/rules.md as it has to be."""
    return {ROOT / "docs" / "rules.md": rules_markdown()}
