"""CSV files: compression, encoding and damage found first, then rows in a stream with the lines where they start."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa

from issuance.intake.frames import LISTED, columns_of, frame_of
from issuance.intake.refusals import refuse

GZIP = b"\x1f\x8b"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
LINE_BREAK = re.compile(r"\r\n|\r|\n")
CHUNK = 1 << 20
BOMB_BYTES, BOMB_RATIO = 64 << 20, 100
"""A gzip file may unpack to the first, or to the second times its own size. Rows of people pack to about a tenth."""


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP or path.suffix == ".gz"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _encoding(path: Path) -> str:
    """Read all bytes once: complete gzip of a reasonable size, no binary content, and which of the two encodings."""
    most = max(BOMB_BYTES, BOMB_RATIO * path.stat().st_size)
    utf8 = codecs.getincrementaldecoder("utf-8")()
    valid, size = True, 0
    try:
        with _open(path) as file:
            while chunk := file.read(CHUNK):
                _check_bytes(chunk, path, first=not size)
                size += len(chunk)
                if size > most:
                    refuse("GZIP_BOMB", path)
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
    # a chunk without any line break: whoever reads line by line would have to hold the whole of it
    if len(chunk) == CHUNK and b"\n" not in chunk and b"\r" not in chunk:
        refuse("LINE_TOO_LONG", path)


def _encoding_beside_utf8(path: Path) -> str:
    """GB18030, unless the file is damaged UTF-8: that could decode to wrong but plausible names."""
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


def read_text(path: Path, rows_per_batch: int, amends: bool) -> Iterator[pd.DataFrame]:
    """Rows of a CSV file, as `read_rows` says."""
    with io.TextIOWrapper(_open(path), encoding=_encoding(path), newline="") as stream:
        first = stream.readline()
        delimiter = "\t" if "\t" in first and "," not in first else ","
        names = columns_of(next(csv.reader([first], delimiter=delimiter), []), path, amends)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        line, empty = 2, True
        while rows := _some_rows(reader, rows_per_batch, line, path):
            lines, line = _start_lines(rows, line)
            if any(len(row) != len(names) for row in rows):
                rows, lines = _whole_rows(rows, lines, reader, len(names), path)
            if rows:
                empty = False
                columns = zip(names, zip(*rows, strict=True), strict=True)
                yield frame_of({name: pa.array(values, pa.large_string()) for name, values in columns}, lines)
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
    return refuse("LAST_ROW_INCOMPLETE" if cut else "FIELD_COUNT", path, named, expected=width, lines=wrong)


def _ended(reader: Iterator[list[str]]) -> bool:
    try:
        return not any(reader)
    except csv.Error:
        return False  # more rows follow and are broken too; those found first are named
