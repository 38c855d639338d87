"""The files of a cohort package as batches of text, read in a stream; a file that is not whole is refused by name.

A text file is read twice: first its bytes (compression, encoding, binary content), so that most refusals come before
the first batch, then its rows. What only the rows show (a half last row) is refused when the stream gets there, so a
caller keeps nothing of a package until every file has been read to its end.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from issuance.errors import Refused
from issuance.intake.columns import ALWAYS, HEADERS, LABELS, NAMES
from issuance.intake.identifiers import TEXT

REFUSALS: dict[str, tuple[str, str]] = {
    "FILE_UNREADABLE": ("文件无法打开，请检查路径和权限。", "The file cannot be opened: check path and permissions."),
    "FILE_EMPTY": ("文件为空，请重新导出。", "The file is empty: export it again."),
    "NO_ROWS": ("文件只有表头、没有数据行，请重新导出。", "The file has a header and no rows: export it again."),
    "NOT_TEXT": ("文件不是 CSV 或 Parquet，请另存为 CSV UTF-8。", "No CSV and no Parquet: save it as CSV UTF-8."),
    "EXCEL_NOT_READ": (
        "这是 Excel 文件，请将号码列设为文本后另存为 CSV UTF-8。",
        "This is an Excel file: make number columns text and save it as CSV UTF-8.",
    ),
    "ENCODING_UTF16": ("文件是 UTF-16 编码，请另存为 CSV UTF-8。", "The file is UTF-16: save it as CSV UTF-8."),
    "ENCODING_UNKNOWN": (
        "文件既不是 UTF-8 也不是 GB18030 编码，请另存为 CSV UTF-8。",
        "The file is neither UTF-8 nor GB18030: save it as CSV UTF-8.",
    ),
    "ENCODING_DAMAGED": (
        "UTF-8 文件中有损坏的字符，请从源系统重新导出。",
        "Characters of this UTF-8 file are damaged: export it again from the source.",
    ),
    "NUL_BYTES": ("文件含有空字节，请重新导出。", "The file holds NUL bytes: export it again."),
    "GZIP_BROKEN": (
        "压缩文件不完整或已损坏，请重新压缩或重新传输。",
        "The gzip file is cut or damaged: pack or send it again.",
    ),
    "PARQUET_BROKEN": (
        "Parquet 文件不完整或不是 Parquet，请重新导出。",
        "The file is no Parquet file or not a whole one: write it again.",
    ),
    "PARQUET_TYPE": (
        "Parquet 列的类型不能无损转为文本，请以字符串写出。",
        "Columns of types that do not become text without loss: write them as strings.",
    ),
    "COLUMNS_UNKNOWN": ("有未知列，请删除或改名。", "Unknown columns: remove or rename them."),
    "COLUMNS_REPEATED": ("有重复列，请只保留一列。", "Columns that stand twice: keep one of each."),
    "COLUMNS_MISSING": ("缺少必需列，请补齐。", "Required columns are missing: add them."),
    "FIELD_COUNT": (
        "有的行字段数与表头不同，请检查逗号和引号。",
        "Rows whose number of fields differs from the header: check commas and quotes.",
    ),
    "LAST_ROW_INCOMPLETE": (
        "最后一行不完整，文件可能在传输中被截断，请重新传输。",
        "The last row is incomplete, the file was probably cut: send it again.",
    ),
    "QUOTE_BROKEN": ("引号未闭合或位置有误，请检查该行。", "A quote is misplaced or never closed: check that row."),
}
"""Code of a refused file: what it means and what to do, in Chinese and English."""

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
LINE_BREAK = re.compile(r"\r\n|\r|\n")
CHUNK = 1 << 20
LISTED = 20
"""Lines named in a refusal at most."""


def refuse(code: str, path: Path, named: str = "", **details: object) -> NoReturn:
    """Raise the refusal of a file; `named` is what exactly (columns, lines), never a value of a row."""
    zh, en = REFUSALS[code]
    what = f" [{named}]" if named else ""
    raise Refused(code, f"{path.name}: {zh} {en}{what}", file=path.name, **details)


def read_rows(path: Path, rows_per_batch: int) -> Iterator[pd.DataFrame]:
    """Rows of a file in batches: the contract's columns as text ('' when empty), and `line` (int, header = 1).

    `line` is the physical line where a row starts; of Parquet row number + 1, so that its first row is line 2.
    Columns that the file lacks are ''. Blank lines are skipped and counted as lines.

    Raises:
        Refused: with a code of REFUSALS; what only a later row shows is raised after earlier batches.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        refuse("FILE_UNREADABLE", path)
    if not head:
        refuse("FILE_EMPTY", path)
    if head.startswith(EXCEL):
        refuse("EXCEL_NOT_READ", path)
    if head.startswith(PARQUET) or path.suffix == ".parquet":
        return _read_parquet(path, rows_per_batch)
    return _read_text(path, rows_per_batch)


def columns_of(header: Sequence[str], path: Path) -> list[str]:
    """The contract's column of each header cell, English or Chinese, in any letter case and width.

    Raises:
        Refused: names all unknown, repeated or missing columns at once.
    """
    cells = [cell.strip(" \t\r\n\u3000\ufeff").strip("*＊") for cell in header]
    unknown = [cell or f"#{position}" for position, cell in enumerate(cells, 1) if cell.lower() not in HEADERS]
    if unknown:
        refuse("COLUMNS_UNKNOWN", path, ", ".join(unknown), columns=unknown)
    names = [HEADERS[cell.lower()] for cell in cells]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        refuse("COLUMNS_REPEATED", path, ", ".join(repeated), columns=repeated)
    missing = [name for name in ALWAYS if name not in names]
    if missing:
        refuse("COLUMNS_MISSING", path, ", ".join(f"{n} {LABELS[n]}" for n in missing), columns=missing)
    return names


def _frame(columns: dict[str, pa.Array], lines: Sequence[int] | range) -> pd.DataFrame:
    empty = pa.array([""], pa.large_string()).take(pa.array(np.zeros(len(lines), dtype=np.int64)))
    table = pa.table({name: columns.get(name, empty) for name in NAMES})
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): TEXT}.get)
    frame["line"] = np.asarray(lines, dtype=np.int64)
    return frame


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP or path.suffix == ".gz"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _encoding(path: Path) -> str:
    """Read all bytes once: whole gzip, no binary, and which of the two encodings they are."""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    valid, size = True, 0
    try:
        with _open(path) as file:
            while chunk := file.read(CHUNK):
                _check_bytes(chunk, path, first=not size)
                size += len(chunk)
                valid = valid and _accepts(utf8, chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        refuse("GZIP_BROKEN", path)
    if not size:
        refuse("FILE_EMPTY", path)
    if valid and _accepts(utf8, b"", final=True):
        return "utf-8-sig"
    return _encoding_beside_utf8(path)


def _accepts(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _check_bytes(chunk: bytes, path: Path, first: bool) -> None:
    head = chunk[:100] if first else b""
    # UTF-16 without a mark has a NUL beside every ASCII character of the header
    if head.startswith(UTF16) or max(head[::2].count(0), head[1::2].count(0)) > len(head) // 4 > 0:
        refuse("ENCODING_UTF16", path)
    if first and len(CONTROL.findall(chunk)) > len(chunk) // 100:
        refuse("NOT_TEXT", path)
    if b"\0" in chunk:
        refuse("NUL_BYTES", path)


def _encoding_beside_utf8(path: Path) -> str:
    """GB18030, unless the file is UTF-8 with damaged characters: those may decode as wrong but possible names."""
    gb18030 = codecs.getincrementaldecoder("gb18030")()
    lenient = codecs.getincrementaldecoder("utf-8")("replace")
    whole, good, bad = True, 0, 0
    with _open(path) as file:
        while chunk := file.read(CHUNK):
            whole = whole and _accepts(gb18030, chunk)
            text = lenient.decode(chunk)
            bad += text.count("\ufffd")
            # bytes of GB18030 seldom form a three-byte character of UTF-8
            good += len(re.findall("[\u0800-\ufffc]", text))
    if good > bad:
        refuse("ENCODING_DAMAGED", path, f"{bad + lenient.decode(b'', True).count(chr(0xFFFD))}")
    if not whole or not _accepts(gb18030, b"", final=True):
        refuse("ENCODING_UNKNOWN", path)
    return "gb18030"


def _read_text(path: Path, rows_per_batch: int) -> Iterator[pd.DataFrame]:
    with io.TextIOWrapper(_open(path), encoding=_encoding(path), newline="") as stream:
        first = stream.readline()
        delimiter = "\t" if "\t" in first and "," not in first else ","
        names = columns_of(next(csv.reader([first], delimiter=delimiter), []), path)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        line, empty = 2, True
        while rows := _some_rows(reader, rows_per_batch, line, path):
            lines, line = _start_lines(rows, line)
            if any(len(row) != len(names) for row in rows):
                rows, lines = _whole_rows(rows, lines, reader, len(names), path)
            if rows:
                empty = False
                columns = zip(names, zip(*rows, strict=True), strict=True)
                yield _frame({name: pa.array(values, pa.large_string()) for name, values in columns}, lines)
        if empty:
            refuse("NO_ROWS", path)


def _some_rows(reader: Iterator[list[str]], count: int, line: int, path: Path) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        rows.extend(islice(reader, count))
    except csv.Error:
        # the rows before the error are in the list, so the bad one begins where they end
        line = _start_lines(rows, line)[1]
        refuse("QUOTE_BROKEN", path, f"line {line}", line=line)
    return rows


def _start_lines(rows: list[list[str]], line: int) -> tuple[list[int], int]:
    """The physical line where each row starts when the first starts at `line`, and the line after the last row.

    `reader.line_num` cannot say: it knows only where the last row that was read ended.
    """
    lines = []
    for row in rows:
        lines.append(line)
        line += 1
        text = "".join(row)
        if "\n" in text or "\r" in text:
            line += sum(len(LINE_BREAK.findall(field)) for field in row)
    return lines, line


def _whole_rows(
    rows: list[list[str]], lines: list[int], reader: Iterator[list[str]], width: int, path: Path
) -> tuple[list[list[str]], list[int]]:
    """A batch without its blank lines; if another row has the wrong width, the file's first such rows are refused."""
    whole = [(row, line) for row, line in zip(rows, lines, strict=True) if row]
    if all(len(row) == width for row, _ in whole):
        return [row for row, _ in whole], [line for _, line in whole]
    wrong = [{"line": line, "fields": len(row)} for row, line in whole if len(row) != width][:LISTED]
    named = ", ".join(f"line {entry['line']}: {entry['fields']}/{width}" for entry in wrong)
    cut = wrong[0]["line"] == whole[-1][1] and wrong[0]["fields"] < width and _ended(reader)
    refuse("LAST_ROW_INCOMPLETE" if cut else "FIELD_COUNT", path, named, expected=width, lines=wrong)


def _ended(reader: Iterator[list[str]]) -> bool:
    try:
        return not any(reader)
    except csv.Error:
        return False  # more rows follow and are broken too; those found first are named


def _read_parquet(path: Path, rows_per_batch: int) -> Iterator[pd.DataFrame]:
    try:
        with pq.ParquetFile(path) as file:
            names = columns_of(file.schema_arrow.names, path)
            lossy = [field.name for field in file.schema_arrow if not _is_text_like(field.type)]
            if lossy:
                refuse("PARQUET_TYPE", path, ", ".join(lossy), columns=lossy)
            if not file.metadata.num_rows:
                refuse("NO_ROWS", path)
            line = 2
            for batch in file.iter_batches(batch_size=rows_per_batch):
                columns = {name: _as_text(values) for name, values in zip(names, batch.columns, strict=True)}
                yield _frame(columns, range(line, line + batch.num_rows))
                line += batch.num_rows
    except (pa.ArrowException, OSError):
        refuse("PARQUET_BROKEN", path)


def _is_text_like(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text_like(kind.value_type)
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    return any(check(kind) for check in (*checks, pa.types.is_date, pa.types.is_timestamp, pa.types.is_null))


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string()).fill_null("")
