"""CSV files: compression, encoding and damage found first, then rows in a stream with the lines where they start."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO

import pandas as pd
import pyarrow as pa

from issuance.intake.frames import LISTED, columns_of, frame_of
from issuance.intake.refusals import refuse
from issuance.intake.sources import Source

GZIP = b"\x1f\x8b"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
LINE_BREAK = re.compile(r"\r\n|\r|\n")
CHUNK = 1 << 20
BOMB_BYTES, BOMB_RATIO = 64 << 20, 100
"""A gzip file may unpack to the first, or to the second times its own size. Rows of people pack to about a tenth."""


@contextmanager
def _opened(source: Source) -> Iterator[IO[bytes]]:
    with source.open() as file:
        zipped = file.read(len(GZIP)) == GZIP or source.suffix == ".gz"
        file.seek(0)
        if not zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield unpacked  # type: ignore[misc]


def _encoding(source: Source) -> str:
    """Read all bytes once: complete gzip of a reasonable size, no binary content, and which of the two encodings."""
    most = max(BOMB_BYTES, BOMB_RATIO * source.size)
    utf8 = codecs.getincrementaldecoder("utf-8")()
    valid, size = True, 0
    try:
        with _opened(source) as file:
            while chunk := file.read(CHUNK):
                _check_bytes(chunk, source, first=not size)
                size += len(chunk)
                if size > most:
                    refuse("GZIP_BOMB", source)
                valid = valid and _accepts(utf8, chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        refuse("GZIP_BROKEN", source)
    if not size:
        refuse("FILE_EMPTY", source)
    if valid and _accepts(utf8, b"", final=True):
        return "utf-8-sig"
    return _encoding_beside_utf8(source)


def _accepts(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _check_bytes(chunk: bytes, source: Source, first: bool) -> None:
    head = chunk[:100] if first else b""
    # UTF-16 without a mark has a NUL beside every ASCII character of the header
    if head.startswith(UTF16) or max(head[::2].count(0), head[1::2].count(0)) > len(head) // 4 > 0:
        refuse("ENCODING_UTF16", source)
    if first and len(CONTROL.findall(chunk)) > len(chunk) // 100:
        refuse("NOT_TEXT", source)
    if b"\0" in chunk:
        refuse("NUL_BYTES", source)
    # a chunk without any line break: whoever reads line by line would have to hold the whole of it
    if len(chunk) == CHUNK and b"\n" not in chunk and b"\r" not in chunk:
        refuse("LINE_TOO_LONG", source)


def _encoding_beside_utf8(source: Source) -> str:
    """GB18030, unless the file is damaged UTF-8: that could decode to wrong but plausible names."""
    gb18030 = codecs.getincrementaldecoder("gb18030")()
    lenient = codecs.getincrementaldecoder("utf-8")("replace")
    whole, good, bad = True, 0, 0
    with _opened(source) as file:
        while chunk := file.read(CHUNK):
            whole = whole and _accepts(gb18030, chunk)
            text = lenient.decode(chunk)
            bad += text.count("\ufffd")
            # bytes of GB18030 seldom form a three-byte character of UTF-8
            good += len(re.findall("[\u0800-\ufffc]", text))
    if good > bad:
        refuse("ENCODING_DAMAGED", source, f"{bad + lenient.decode(b'', True).count(chr(0xFFFD))}")
    if not whole or not _accepts(gb18030, b"", final=True):
        refuse("ENCODING_UNKNOWN", source)
    return "gb18030"


def read_text(source: Source, rows_per_batch: int, amends: bool) -> Iterator[pd.DataFrame]:
    """Rows of a CSV file, as `read_rows` says."""
    encoding = _encoding(source)
    with _opened(source) as file, io.TextIOWrapper(file, encoding=encoding, newline="") as stream:
        first = stream.readline()
        delimiter = "\t" if "\t" in first and "," not in first else ","
        names = columns_of(next(csv.reader([first], delimiter=delimiter), []), source, amends)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        line, empty = 2, True
        while rows := _some_rows(reader, rows_per_batch, line, source):
            lines, line = _start_lines(rows, line)
            if any(len(row) != len(names) for row in rows):
                rows, lines = _whole_rows(rows, lines, reader, len(names), source)
            if rows:
                empty = False
                columns = zip(names, zip(*rows, strict=True), strict=True)
                yield frame_of({name: pa.array(values, pa.large_string()) for name, values in columns}, lines)
        if empty:
            refuse("NO_ROWS", source)


def _some_rows(reader: Iterator[list[str]], count: int, line: int, source: Source) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        rows.extend(islice(reader, count))
    except csv.Error:
        # the rows before the error are in the list, so the bad one begins where they end
        line = _start_lines(rows, line)[1]
        refuse("QUOTE_BROKEN", source, f"line {line}", line=line)
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
    rows: list[list[str]], lines: list[int], reader: Iterator[list[str]], width: int, source: Source
) -> tuple[list[list[str]], list[int]]:
    """A batch without its blank lines; if another row has the wrong width, the file's first such rows are refused."""
    whole = [(row, line) for row, line in zip(rows, lines, strict=True) if row]
    if all(len(row) == width for row, _ in whole):
        return [row for row, _ in whole], [line for _, line in whole]
    wrong = [{"line": line, "fields": len(row)} for row, line in whole if len(row) != width][:LISTED]
    named = ", ".join(f"line {entry['line']}: {entry['fields']}/{width}" for entry in wrong)
    cut = wrong[0]["line"] == whole[-1][1] and wrong[0]["fields"] < width and _ended(reader)
    return refuse("LAST_ROW_INCOMPLETE" if cut else "FIELD_COUNT", source, named, expected=width, lines=wrong)


def _ended(reader: Iterator[list[str]]) -> bool:
    try:
        return not any(reader)
    except csv.Error:
        return False  # more rows follow and are broken too; those found first are named
