"""The files of a cohort package as batches of text, read in a stream; an incomplete file is refused by name.

A text file is read twice: first its bytes (compression, encoding, binary content), so that most refusals come before
the first batch, then its rows. What only the rows show (a half last row) is refused when the stream gets there, so a
caller keeps nothing of a package until every file has been read to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from issuance.intake.read_excel import COMPOUND, SUFFIXES, ZIP, read_excel
from issuance.intake.read_parquet import PARQUET, read_parquet
from issuance.intake.read_text import read_text
from issuance.intake.refusals import REFUSALS, refuse
from issuance.intake.sources import Source, source_of

__all__ = ["REFUSALS", "read_rows"]


def read_rows(file: Path | Source, rows_per_batch: int, amends: bool = False) -> Iterator[pd.DataFrame]:
    """Rows of a file in batches: the contract's columns as text ('' when empty), and `line` (int, header = 1).

    `line` is the physical line where a row starts; of Excel the row number; of Parquet row number + 1, so that its
    first row is line 2. Columns that the file lacks are ''. Blank lines are skipped and counted as lines. Of a
    correction (`amends`) the columns of_file and of_line say which line each row corrects.

    Raises:
        Refused: with a code of REFUSALS; what only a later row shows is raised after earlier batches.
    """
    source = source_of(file)
    try:
        with source.open() as stream:
            head = stream.read(8)
    except OSError:
        refuse("FILE_UNREADABLE", source)
    if not head:
        refuse("FILE_EMPTY", source)
    if head.startswith((ZIP, COMPOUND)) or source.suffix.lower() in SUFFIXES:
        return read_excel(source, rows_per_batch, amends)
    if head.startswith(PARQUET) or source.suffix.lower() == ".parquet":
        return read_parquet(source, rows_per_batch, amends)
    return read_text(source, rows_per_batch, amends)
