"""The table of cases in docs/conformance.md, generated: `make docs` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from issuance.conformance.run import PLAYS, cases_of
from issuance.docpages.markdown import table
from issuance.settings import ROOT

FILE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- cases: make docs -->", "<!-- end of cases -->"
KINDS = {
    "factory": "制卡厂 / factory",
    "bank": "银行 / bank",
    "hrss": "人社 / HRSS",
    "carrier": "承运方 / carrier",
    "platform": "平台 / platform",
    "notifier": "通知方 / notifier",
}


def cases_markdown() -> str:
    """The tables, one a kind of partner, between their marks."""
    return "\n".join([BEGIN, *_lines(), END])


def _lines() -> Iterator[str]:
    yield ""
    for kind in PLAYS:
        yield from (f"### {KINDS[kind]}", "")
        head = ("用例 / case", "要求", "Sentence of [partners.md](partners.md) that it proves")
        yield from table(head, ((f"`{case.name}`", case.zh, case.sentence) for case in cases_of(kind)))


def written(text: str) -> str:
    """The document with its tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + cases_markdown() + after


def pages() -> dict[Path, str]:
    """docs/conformance.md as it has to be: the text around the tables is written by hand."""
    return {FILE: written(FILE.read_text(encoding="utf-8"))}
