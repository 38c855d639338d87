"""Excel workbooks (.xlsx, .xls), the first sheet: cells as the text that a person sees in them.

Numbers past 15 digits have lost their end in Excel itself; they come out as 1.10105194912310E+17, which a rule names.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa
from python_calamine import CalamineWorkbook

from issuance.errors import IssuanceError
from issuance.intake.frames import LISTED, columns_of, frame_of
from issuance.intake.refusals import refuse
from issuance.intake.sources import Source

ZIP, COMPOUND = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SUFFIXES = (".xlsx", ".xlsm", ".xls")
UNPACKED_BYTES = 512 << 20
"""The maximum unpacked size of a workbook in bytes: about 600,000 rows."""
COMPOUND_BYTES = 256 << 20
CELLS = 16_000_000
"""Cells between the first and the last that has a value; the library holds 32 bytes for each, empty or not."""
EXACT = 10**15
"""Excel keeps 15 digits."""
CELL = re.compile(rb'<(?:\w+:)?c\s(?:[^>]*?\s)?r="([A-Z]{1,3})([0-9]{1,7})"[^>]*(?<!/)>')
CHUNK, OVERLAP = 4 << 20, 256


def read_excel(source: Source, rows_per_batch: int, amends: bool) -> Iterator[pd.DataFrame]:
    """Rows of the first sheet, as `read_rows` says; `line` is the row number that Excel shows."""
    rows = ((line, row) for line, row in enumerate(_rows(source), 1) if any(row))
    _, header = next(rows, (0, [""]))
    if not any(header):
        refuse("FILE_EMPTY", source)
    while not header[-1]:
        header.pop()
    names = columns_of(header, source, amends)
    empty = True
    while batch := list(islice(rows, rows_per_batch)):
        _check_width(batch, len(names), source)
        empty = False
        columns = zip(names, zip(*(row[: len(names)] for _, row in batch), strict=True), strict=True)
        texts = {name: pa.array(values, pa.large_string()) for name, values in columns if name}
        yield frame_of(texts, [line for line, _ in batch])
    if empty:
        refuse("NO_ROWS", source)


def _check_width(batch: list[tuple[int, list[str]]], width: int, source: Source) -> None:
    wrong = [line for line, row in batch if any(row[width:])][:LISTED]
    if wrong:
        named = ", ".join(f"line {line}" for line in wrong)
        refuse("FIELD_COUNT", source, named, expected=width, lines=wrong)


def _rows(source: Source) -> Iterator[list[str]]:
    """Rows as texts; files that unpack to an unreasonable size never reach the library."""
    with source.open() as file:
        head = file.read(len(COMPOUND))
    if head.startswith(ZIP):
        _check_archive(source)
    elif head != COMPOUND:
        refuse("EXCEL_BROKEN", source)
    elif source.size > COMPOUND_BYTES:
        refuse("EXCEL_TOO_LARGE", source)
    try:
        with source.open() as file:
            for row in CalamineWorkbook.from_filelike(file).get_sheet_by_index(0).iter_rows():
                yield [cell_text(value) for value in row]
    except (KeyboardInterrupt, SystemExit, GeneratorExit, IssuanceError):
        raise
    except BaseException:  # the library's own errors, and panics of the code beneath it
        refuse("EXCEL_BROKEN", source)


def _check_archive(source: Source) -> None:
    """Check every part of a workbook against its checksum, and its size and last cell against our limits."""
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > UNPACKED_BYTES:
                refuse("EXCEL_TOO_LARGE", source)
            for part in parts:
                with archive.open(part) as stream:
                    if _last_cell(stream) > CELLS:
                        refuse("EXCEL_TOO_LARGE", source)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        refuse("EXCEL_BROKEN", source)


def _last_cell(stream: Any) -> int:
    """Cells of the rectangle from A1 to the last row and column that have a value, of one part of an archive."""
    width = height = 0
    kept = b""
    while chunk := stream.read(CHUNK):
        for column, row in set(CELL.findall(kept + chunk)) if b'r="' in chunk else ():
            height = max(height, int(row))
            width = max(width, _column_number(column))
        kept = chunk[-OVERLAP:]
    return width * height


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def cell_text(value: Any) -> str:
    """A cell's value as the text that stands for it; a number past 15 digits as Excel shows it, damaged."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        if abs(value) >= EXACT:
            return f"{value:.14E}"
        return str(int(value)) if float(value).is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return value.isoformat() if isinstance(value, date | time) else str(value) if isinstance(value, timedelta) else ""
