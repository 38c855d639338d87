"""Files of every kind and every damage: rows with their lines, or a refusal that says what to do."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from issuance.errors import Refused
from issuance.intake.columns import ALWAYS, COLUMNS, HEADERS, NAMES
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
        (gzip.compress(b""), "a.csv.gz", "FILE_EMPTY"),
        (text([ROW]).split("\n")[0].encode() + b"\n", "a.csv", "NO_ROWS"),
        (text([ROW]).split("\n")[0].encode() + b"\n\n\n", "a.csv", "NO_ROWS"),
        (random.Random(1).randbytes(5000), "a.csv", "NOT_TEXT"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + random.Random(1).randbytes(500), "a.csv", "NOT_TEXT"),
        (b"PK\x03\x04xlsx", "a.csv", "EXCEL_NOT_READ"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.xls", "EXCEL_NOT_READ"),
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


def test_missing_columns_are_named_all_at_once(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name not in ("phone", "sex", "address")}
    error = refusal(written(tmp_path, text([row]).encode()))
    assert (error.code, error.details["columns"]) == ("COLUMNS_MISSING", ["sex", "phone"])


def test_a_column_under_two_names_is_refused(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, text([ROW | {"手机号": "1"}]).encode()))
    assert (error.code, error.details["columns"]) == ("COLUMNS_REPEATED", ["phone"])


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
    whole = (tmp_path / "a.parquet").read_bytes()
    assert refusal(written(tmp_path, whole[:-8], "a.parquet")).code == "PARQUET_BROKEN"


def test_every_refusal_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [code for code in REFUSALS if f'"{code}"' not in source] == []
