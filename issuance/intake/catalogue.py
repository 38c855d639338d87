"""docs/rules.md, generated from the tables of rules, refusals of files and notes; a test holds it in step."""

from __future__ import annotations

from collections.abc import Iterable

from issuance.intake.columns import COLUMNS, CONDITIONS
from issuance.intake.normalise import NOTES
from issuance.intake.read import REFUSALS
from issuance.intake.rules import ROW_RULES, SET_RULES, Rule


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def _rule_row(rule: Rule) -> tuple[str, ...]:
    columns = ", ".join(rule.columns) if len(rule.columns) < len(COLUMNS) else "(all)"
    return f"`{rule.id}`", rule.severity, columns, rule.zh, rule.en, f"{rule.remedy_zh}<br>{rule.remedy_en}"


def rules_markdown() -> str:
    """The whole of docs/rules.md."""
    needed = {c.column: "with " + (f"{c.when} {'/'.join(c.values)}" if c.values else c.when) for c in CONDITIONS}
    rules_head = ("Code", "Severity", "Columns", "说明", "Meaning", "Remedy")
    lines = [
        "# Rules of a cohort package",
        "",
        "Generated from `issuance/intake/` by `python -m issuance.intake.catalogue > docs/rules.md`; do not edit.",
        "An error quarantines the row, a warning is only counted. A row carries the reason that names the cause.",
        "",
        "## Columns",
        "",
        *_table(
            ("Column", "Chinese headers", "Required"),
            ((c.name, "、".join(c.zh), "always" if c.required else needed.get(c.name, "")) for c in COLUMNS),
        ),
        "## Row rules",
        "",
        *_table(rules_head, map(_rule_row, ROW_RULES)),
        "## Decided over the whole set",
        "",
        *_table(rules_head, map(_rule_row, SET_RULES)),
        "## Refusals of a file",
        "",
        *_table(("Code", "说明", "Meaning and remedy"), ((f"`{code}`", zh, en) for code, (zh, en) in REFUSALS.items())),
        "## Harmless variants, normalised and counted",
        "",
        *_table(("Note", "说明", "Meaning"), ((f"`{code}`", zh, en) for code, (zh, en) in NOTES.items())),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(rules_markdown(), end="")
