"""Files of every kind and every damage: rows with their lines, or a refusal that says what to do."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import xlwt  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from issuance.errors import Refused
from issuance.intake import read_parquet, read_text
from issuance.intake.columns import ALWAYS, COLUMNS, HEADERS, NAMES
from issuance.intake.frames import columns_of, defuse, fuse
from issuance.intake.read import REFUSALS, read_rows

ROW = {name: f"{name}-值" for name in ALWAYS} | {"name": "㼆𠮷", "address": '朝阳区"甲"1号,\r\n2室'}


def text(rows: list[dict[str, str]], delimiter: str = ",", newline: str = "\n", quoted: bool = False) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(
        out,
        list(rows[0]),
        delimiter=delimiter,
        lineterminator=newline,
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(path: Path, rows_per_batch: int = 1000) -> pd.DataFrame:
    return pd.concat(read_rows(path, rows_per_batch), ignore_index=True)


def written(directory: Path, content: bytes, name: str = "a.csv") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def refusal(path: Path, rows_per_batch: int = 1000) -> Refused:
    with pytest.raises(Refused) as caught:
        read(path, rows_per_batch)
    error = caught.value
    assert all(words in error.message for words in REFUSALS[error.code]), "the message is Chinese and English"
    assert error.details["file"] == path.name
    return error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_text_files(tmp_path: Path, encoding: str, delimiter: str, packed: bool, newline: str) -> None:
    content = text([ROW, ROW], delimiter, newline).encode(encoding)
    frame = read(written(tmp_path, gzip.compress(content) if packed else content, "a.csv.gz" if packed else "a.txt"))
    assert list(frame.columns) == [*NAMES, "line"]
    for name in NAMES:
        assert frame[name].tolist() == [ROW.get(name, "")] * 2
    assert frame["line"].tolist() == [2, 4]
    assert frame["line"].dtype == "int64"


def test_the_last_line_break_may_be_missing(tmp_path: Path) -> None:
    assert len(read(written(tmp_path, text([ROW, ROW]).strip().encode()))) == 2


def test_chinese_headers_in_any_width_and_case(tmp_path: Path) -> None:
    labels = {column.name: column.zh[-1] for column in COLUMNS}
    row = {f" {labels[name]}* " if name == "phone" else labels[name].lower(): value for name, value in ROW.items()}
    frame = read(written(tmp_path, text([row]).encode("utf-8-sig")))
    assert frame.iloc[0]["phone"] == "phone-值"
    assert len(HEADERS) == len(NAMES) + sum(len(column.zh) for column in COLUMNS), "no header means two columns"


@pytest.mark.parametrize(
    ("alias", "name"), [(alias, column.name) for column in COLUMNS for alias in (column.name.upper(), *column.zh)]
)
def test_every_alias_stands_for_its_column(alias: str, name: str) -> None:
    header = [alias if column == name else column for column in NAMES]
    assert columns_of(header, Path("a.csv")) == list(NAMES)


@pytest.mark.parametrize("rows_per_batch", [1, 2, 3, 7, 1000])
def test_lines_are_those_of_an_editor_in_any_batching(tmp_path: Path, rows_per_batch: int) -> None:
    rng = random.Random(5)
    rows = [ROW | {"address": rng.choice(["", "a\nb", "a\r\n\nb", "甲,乙", "a\rb"])} for _ in range(20)]
    lines, content, line = [], text(rows[:1]).split("\n")[0] + "\n", 2
    for row in rows:
        blank = "\n" * rng.choice([0, 0, 0, 2])
        content += blank + text([row], quoted=True).split("\n", 1)[1]
        lines.append(line + len(blank))
        line = len((content + "x").splitlines())
    frames = list(read_rows(written(tmp_path, content.encode()), rows_per_batch))
    assert max(len(frame) for frame in frames) <= rows_per_batch
    assert [line for frame in frames for line in frame["line"]] == lines
    assert [value for frame in frames for value in frame["address"]] == [row["address"] for row in rows]


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.csv", "FILE_EMPTY"),
        (gzip.compress(b"", mtime=0), "a.csv.gz", "FILE_EMPTY"),
        (text([ROW]).split("\n")[0].encode() + b"\n", "a.csv", "NO_ROWS"),
        (text([ROW]).split("\n")[0].encode() + b"\n\n\n", "a.csv", "NO_ROWS"),
        (random.Random(1).randbytes(5000), "a.csv", "NOT_TEXT"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + random.Random(1).randbytes(500), "a.csv", "NOT_TEXT"),
        (b"PK\x03\x04xlsx", "a.csv", "EXCEL_BROKEN"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.xls", "EXCEL_BROKEN"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(1).randbytes(4000), "a.xls", "EXCEL_BROKEN"),
        (text([ROW]).encode(), "a.xlsx", "EXCEL_BROKEN"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "a.xls", "EXCEL_BROKEN"),
        (b"," * (3 << 20), "a.csv", "LINE_TOO_LONG"),
        (text([ROW]).encode("utf-16"), "a.csv", "ENCODING_UTF16"),
        (text([ROW]).encode("utf-16-le"), "a.csv", "ENCODING_UTF16"),
        (text([ROW]).encode("utf-16-be"), "a.csv", "ENCODING_UTF16"),
        (text([ROW] * 50).replace("phone-值", "\0").encode(), "a.csv", "NUL_BYTES"),
        (text([ROW] * 9).encode("big5", "ignore") + b"\xff\xff", "a.csv", "ENCODING_UNKNOWN"),
        (text([ROW] * 9).encode().replace("值".encode(), b"\xe5\x80", 1), "a.csv", "ENCODING_DAMAGED"),
        (gzip.compress(text([ROW] * 500).encode())[:-20], "a.csv.gz", "GZIP_BROKEN"),
        (gzip.compress(text([ROW]).encode())[:-4] + b"xxxx", "a.csv.gz", "GZIP_BROKEN"),
        (text([ROW]).encode(), "a.csv.gz", "GZIP_BROKEN"),
        (text([ROW]).encode(), "a.parquet", "PARQUET_BROKEN"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "a.parquet", "PARQUET_BROKEN"),
        (b"PAR1", "a.csv", "PARQUET_BROKEN"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, name: str, code: str) -> None:
    assert refusal(written(tmp_path, content, name)).code == code


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv").code == "FILE_UNREADABLE"
    assert refusal(tmp_path).code == "FILE_UNREADABLE"


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, text([ROW | {"shoe_size": "44", "": "x"}]).encode()))
    assert (error.code, error.details["columns"]) == ("COLUMNS_UNKNOWN", ["shoe_size", f"#{len(ROW) + 2}"])
    assert "shoe_size" in error.message


def test_a_file_without_a_header_is_refused_and_nothing_of_its_first_row_is_named(tmp_path: Path) -> None:
    for content in ("CANARY1,CANARY2\nCANARY1,CANARY2\n", "application_id;CANARY1\n1;CANARY2\n"):
        error = refusal(written(tmp_path, content.encode()))
        assert error.code == "HEADER_MISSING"
        assert "CANARY" not in str(error.as_dict())


def test_missing_columns_are_named_all_at_once(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name not in ("phone", "sex", "address")}
    error = refusal(written(tmp_path, text([row]).encode()))
    assert (error.code, error.details["columns"]) == ("COLUMNS_MISSING", ["sex", "phone"])


def test_a_column_under_two_names_is_refused(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, text([ROW | {"手机号": "1"}]).encode()))
    assert (error.code, error.details["columns"]) == ("COLUMNS_REPEATED", ["phone"])


def test_a_gzip_that_unpacks_to_a_huge_size_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress((text([ROW]) + "a,b\n" * 2_000_000).encode())
    assert len(bomb) * read_text.BOMB_RATIO < read_text.BOMB_BYTES
    pieces = written(tmp_path, bomb * 12, "a.csv.gz")
    assert refusal(pieces).code == "GZIP_BOMB"


def workbook(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def old_workbook(path: Path, rows: list[list[object]]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("a")
    for line, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write(line, column, value)
    book.save(str(path))
    return path


@pytest.mark.parametrize(("name", "make"), [("a.xlsx", workbook), ("a.xls", old_workbook)])
def test_excel(tmp_path: Path, name: str, make: Callable[[Path, list[list[object]]], Path]) -> None:
    labels = {column.name: column.zh[0] for column in COLUMNS}
    row: list[object] = [ROW[column] for column in ALWAYS]
    rows = [[], [labels[column] for column in ALWAYS], row, [], row, row]
    frames = list(read_rows(make(tmp_path / name, rows), 2))
    frame = pd.concat(frames, ignore_index=True)
    assert [len(frame) for frame in frames] == [2, 1]
    assert frame["line"].tolist() == [3, 5, 6]
    assert frame["name"].tolist() == [ROW["name"]] * 3
    assert list(frame.columns) == [*NAMES, "line"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (13800001111, "13800001111"),
        (110105194912310029, "1.10105194912310E+17"),
        (999999999999999, "999999999999999"),
        (1.5, "1.5"),
        (date(1960, 1, 5), "1960-01-05"),
        (datetime(2025, 10, 8, 9, 30), "2025-10-08 09:30:00"),
        (True, "TRUE"),
        ("'110105", "'110105"),
        ("'=1+1", "=1+1"),
        ("", ""),
    ],
)
def test_cells_of_excel_are_the_text_that_people_see(tmp_path: Path, value: object, expected: str) -> None:
    row = [value if column == "id_number" else "x" for column in ALWAYS]
    frame = read(workbook(tmp_path / "a.xlsx", [list(ALWAYS), row]))
    found = frame["id_number"].iat[0]
    assert found.removesuffix(" 00:00:00") == expected


def test_a_workbook_with_a_cell_far_away_is_refused_in_little_memory(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    book.save(tmp_path / "a.xlsx")
    assert refusal(tmp_path / "a.xlsx").code == "EXCEL_TOO_LARGE"


def test_a_zip_that_is_no_workbook_or_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text([ROW]))
    assert refusal(tmp_path / "a.xlsx").code == "EXCEL_BROKEN"
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(520 << 20))
    assert refusal(tmp_path / "a.xlsx").code == "EXCEL_TOO_LARGE"
    whole = workbook(tmp_path / "b.xlsx", [list(ALWAYS), ["x"] * len(ALWAYS)]).read_bytes()
    assert refusal(written(tmp_path, whole[: len(whole) // 2], "b.xlsx")).code == "EXCEL_BROKEN"


def test_excel_refusals_name_columns_and_lines(tmp_path: Path) -> None:
    assert refusal(workbook(tmp_path / "a.xlsx", [])).code == "FILE_EMPTY"
    assert refusal(workbook(tmp_path / "a.xlsx", [list(ALWAYS)])).code == "NO_ROWS"
    assert refusal(workbook(tmp_path / "a.xlsx", [["姓名", "鞋号"]])).details["columns"] == ["鞋号"]
    wide = workbook(tmp_path / "a.xlsx", [list(ALWAYS), ["x"] * (len(ALWAYS) + 1)])
    assert (refusal(wide).code, refusal(wide).details["lines"]) == ("FIELD_COUNT", [2])


CORRECTION = ROW | {"file": "a.csv", "line": "7", "reasons": "PHONE_SHAPE", "remedy": "改"}


def test_a_correction_says_which_line_each_row_corrects(tmp_path: Path) -> None:
    frame = pd.concat(read_rows(written(tmp_path, text([CORRECTION]).encode()), 10, amends=True))
    assert list(frame.columns) == [*NAMES, "of_file", "of_line", "line"]
    assert frame[["of_file", "of_line", "line"]].values.tolist() == [["a.csv", "7", 2]]
    assert refusal(tmp_path / "a.csv").code == "CORRECTION_COLUMNS"
    plain = written(tmp_path, text([ROW]).encode())
    with pytest.raises(Refused) as caught:
        list(read_rows(plain, 10, amends=True))
    assert (caught.value.code, caught.value.details["columns"]) == ("COLUMNS_MISSING", ["file", "line"])


@given(st.text(st.sampled_from("'=+-@\t\ra1"), max_size=6))
def test_a_defused_cell_comes_back_and_is_no_formula(value: str) -> None:
    assert fuse(pa.array([defuse(value)], pa.large_string())).to_pylist() == [value]
    assert not defuse(value).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("rows_per_batch", [1, 2, 1000])
def test_half_a_last_row(tmp_path: Path, rows_per_batch: int) -> None:
    inside_a_quote = text([ROW, ROW, ROW]).encode()[:-5]
    assert refusal(written(tmp_path, inside_a_quote), rows_per_batch).code == "QUOTE_BROKEN"
    plain = text([{name: "x" for name in ALWAYS}] * 3)
    error = refusal(written(tmp_path, plain[:-5].encode()), rows_per_batch)
    assert error.code == "LAST_ROW_INCOMPLETE"
    assert error.details["lines"] == [{"line": 4, "fields": len(ALWAYS) - 2}]


def test_rows_of_another_width_are_named_with_their_lines(tmp_path: Path) -> None:
    lines = text([{name: "x" for name in ALWAYS}] * 6).splitlines()
    lines[2] += ",y"
    lines[4] = "x,x"
    error = refusal(written(tmp_path, "\n".join(lines).encode()))
    assert (error.code, error.details["expected"]) == ("FIELD_COUNT", len(ALWAYS))
    assert error.details["lines"] == [{"line": 3, "fields": len(ALWAYS) + 1}, {"line": 5, "fields": 2}]
    assert "line 3" in error.message


@pytest.mark.parametrize("rows_per_batch", [1, 3, 1000])
@pytest.mark.parametrize("bad", ['"open', '"a"b'])
def test_a_broken_quote_is_named_by_the_first_line_of_its_row(tmp_path: Path, rows_per_batch: int, bad: str) -> None:
    lines = [*text([ROW | {"address": "a\nb"}, ROW | {"address": "c"}]).splitlines(), *text([ROW] * 3).splitlines()[1:]]
    lines[3] = ",".join([bad, *lines[3].split(",")[1:]])
    error = refusal(written(tmp_path, "\n".join(lines).encode()), rows_per_batch)
    assert (error.code, error.details["line"]) == ("QUOTE_BROKEN", 4)


def test_messages_hold_no_value_of_a_row(tmp_path: Path) -> None:
    lines = text([{name: "CANARY" for name in ALWAYS}] * 6).splitlines()
    for damage in ("CANARY", '"CANARY', ",".join(["CANARY"] * 99)):
        error = refusal(written(tmp_path, "\n".join([*lines, damage]).encode()))
        assert "CANARY" not in str(error.as_dict())


def test_parquet(tmp_path: Path) -> None:
    columns = {name: pa.array([f"{name}{row}" for row in range(5)]) for name in ALWAYS}
    columns |= {
        "phone": pa.array(range(15400000000, 15400000005)),
        "birth_date": pa.array([0, 1, 2, 3, None], pa.date32()),
        "sex": pa.array(["male"] * 5).dictionary_encode(),
        "photo_ref": pa.nulls(5),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
    frames = list(read_rows(tmp_path / "a.parquet", 3))
    frame = pd.concat(frames, ignore_index=True)
    assert list(frame.columns) == [*NAMES, "line"]
    assert frame["line"].tolist() == [2, 3, 4, 5, 6]
    assert frame["phone"].tolist()[0] == "15400000000"
    assert frame["birth_date"].tolist() == ["1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04", ""]
    assert set(frame["sex"]) == {"male"}
    assert set(frame["photo_ref"]) == set(frame["address"]) == {""}


def test_parquet_refusals(tmp_path: Path) -> None:
    columns = {name: pa.array(["x"]) for name in ALWAYS}
    pq.write_table(pa.table(columns | {"phone": pa.array([1.5e10])}), tmp_path / "a.parquet")
    error = refusal(tmp_path / "a.parquet")
    assert (error.code, error.details["columns"]) == ("PARQUET_TYPE", ["phone"])
    pq.write_table(pa.table(columns).slice(0, 0), tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet").code == "NO_ROWS"
    pq.write_table(pa.table(columns | {"shoe": pa.array(["x"])}), tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet").code == "COLUMNS_UNKNOWN"
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_parquet, "GROUP_BYTES", 10)
        assert refusal(tmp_path / "a.parquet").code == "PARQUET_TOO_LARGE"
    whole = (tmp_path / "a.parquet").read_bytes()
    assert refusal(written(tmp_path, whole[:-8], "a.parquet")).code == "PARQUET_BROKEN"


def test_every_refusal_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    source += (Path(__file__).parents[1] / "stack" / "test_corrections.py").read_text(encoding="utf-8")
    assert [code for code in REFUSALS if f'"{code}"' not in source] == []
