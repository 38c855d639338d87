"""A file's header and cells as the frame that every later step reads: the contract's columns as text, and lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from issuance.intake.columns import ALWAYS, HEADERS, LABELS, NAMES
from issuance.intake.identifiers import TEXT
from issuance.intake.refusals import refuse
from issuance.intake.sources import Named

AMENDS = {"file": "of_file", "文件": "of_file", "line": "of_line", "行号": "of_line"}
"""Header of a correction that says which line it corrects: its column in the frame."""
IGNORED = {"reasons": "", "原因": "", "remedy": "", "处理办法": ""}
"""Headers that `quarantine export` adds for people; a correction may keep them."""
LISTED = 20
"""The maximum number of columns or lines named in a refusal."""

FORMULA = r"\A'*[=+\-@\t\r]"
"""The start of a cell that a spreadsheet would take for a formula, however often it was defused."""
DEFUSED = r"\A'('*[=+\-@\t\r])"
_FORMULA = re.compile(FORMULA)


def defuse(value: str) -> str:
    """A cell that a spreadsheet does not execute: an apostrophe before what looks like a formula. `fuse` undoes it."""
    return f"'{value}" if _FORMULA.match(value) else value


def fuse(values: pa.Array) -> pa.Array:
    """Texts without the apostrophe that `defuse` put there."""
    if not pc.any(pc.starts_with(values, "'")).as_py():
        return values
    return pc.replace_substring_regex(values, DEFUSED, r"\1")


def columns_of(header: Sequence[str], file: Named, amends: bool = False) -> list[str]:
    """The column of each header cell, English or Chinese, in any letter case and width; '' for an ignored one.

    A correction (`amends`) has the columns of_file and of_line too.

    Raises:
        Refused: names all unknown, repeated or missing columns at once.
    """
    cells = [cell.strip(" \t\r\n\u3000\ufeff").strip("*＊") for cell in header]
    known = HEADERS | (AMENDS | IGNORED if amends else {})
    unknown = [cell or f"#{position}" for position, cell in enumerate(cells, 1) if cell.lower() not in known]
    if len(unknown) == len(cells):
        refuse("HEADER_MISSING", file)  # and quote nothing: the first line may be a person's row
    if unknown and {cell.lower() for cell in unknown} <= set(AMENDS | IGNORED):
        refuse("CORRECTION_COLUMNS", file, ", ".join(unknown), columns=unknown)
    if unknown:
        refuse("COLUMNS_UNKNOWN", file, ", ".join(cell[:40] for cell in unknown[:LISTED]), columns=unknown[:LISTED])
    names = [known[cell.lower()] for cell in cells]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        refuse("COLUMNS_REPEATED", file, ", ".join(repeated), columns=repeated)
    missing = [name for name in ALWAYS if name not in names]
    named = [f"{name} {LABELS[name]}" for name in missing]
    for name, column in (("file", "of_file"), ("line", "of_line")):
        if amends and column not in names:
            missing.append(name)
            named.append(name)
    if missing:
        refuse("COLUMNS_MISSING", file, ", ".join(named), columns=missing)
    return names


def frame_of(columns: Mapping[str, pa.Array], lines: Sequence[int] | range) -> pd.DataFrame:
    """A batch of rows: every column of the contract as text, '' where the file lacks it, and the rows' lines."""
    empty = pa.array([""], pa.large_string()).take(pa.array(np.zeros(len(lines), dtype=np.int64)))
    extra = [name for name in ("of_file", "of_line") if name in columns]
    table = pa.table({name: fuse(columns[name]) if name in columns else empty for name in (*NAMES, *extra)})
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): TEXT}.get)
    frame["line"] = np.asarray(lines, dtype=np.int64)
    return frame
