"""Cases that others have met, in files and rows: the right outcome of each; marks name what is to be mended."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from findings_fixture import (
    csv_text,
    judged,
    normal_form,
    read_all,
    reasons_of,
    refusal_of_file,
    settings_of,
    wire_value,
)
from intake_fixture import person
from ledger_fixture import OPENS, as_read, item
from PIL import Image

from issuance.clock import end_of, milliseconds
from issuance.commands.submit import read_package
from issuance.errors import Refused
from issuance.intake.package import Package, package_of
from issuance.intake.photos import judge_photo
from issuance.intake.submit import submit_package
from issuance.tracking.reports import Reporter, check_items, check_structure

NUMBER = "11010519491231002X"
NOW = milliseconds(end_of(OPENS.replace(month=12)))


@pytest.mark.parametrize(
    ("partner", "milestone", "field"),
    [
        ("EMS", "POSTED", "tracking_no"),
        ("EMS", "POSTED", "code"),
        ("EMS", "POSTED", "return_tracking_no"),
        ("F-ICBC", "MADE", "serial"),
        ("F-ICBC", "MADE", "place"),
    ],
)
def test_a_nul_character_in_a_text_refuses_its_item(partner: str, milestone: str, field: str) -> None:
    kind = {"EMS": "carrier", "F-ICBC": "factory"}[partner]
    values = {"card_ref": "00000000-0000-0000-0000-000000000001", "attempt": 1, "tracking_no": "T1"} | {field: "a\0"}
    value = as_read(wire_value(partner, "r", [item(milestone, None, 5) | values]))
    _, refused = check_items(value, 0, Reporter(partner, kind), NOW)
    assert [refusal.code for refusal in refused] == ["FIELD_INVALID"]


@pytest.mark.parametrize("field", ["report_id", "stream", "job_id", "handover_id", "to_place", "sha256"])
def test_a_nul_character_in_the_head_refuses_the_report(field: str) -> None:
    value = wire_value("F-ICBC", "r", [item("MADE", None, 5)], **({} if field == "report_id" else {field: "a\0"}))
    value |= {"report_id": "a\0"} if field == "report_id" else {}
    assert check_structure(as_read(value), Reporter("F-ICBC", "factory"), NOW) == "FIELD_INVALID"


def parquet_with_name(path: Path, name: bytes) -> Path:
    """A package of one row whose name is these bytes, in a column that says it is UTF-8."""
    columns = {column: pa.array([value]) for column, value in person(1).items()}
    columns["name"] = pa.Array.from_buffers(pa.string(), 1, pa.array([name], pa.binary()).buffers())
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            b"\xff\xfeCANARY",
            marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason="P7 bytes that are no UTF-8"),
        ),
        pytest.param(
            "王明CANARY".encode("gbk"),
            marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason="P8 GBK in a UTF-8 column"),
        ),
    ],
)
def test_a_parquet_text_that_is_no_utf8_is_refused_by_line_without_its_value(tmp_path: Path, name: bytes) -> None:
    error = refusal_of_file(parquet_with_name(tmp_path / "a.parquet", name))
    assert error is not None and error.details["line"] == 2
    assert "CANARY" not in f"{error.as_dict()}"
    assert error.__cause__ is None, "the library's exception quotes the value"


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P9 the check digit alone takes serials for ID numbers")
def test_serial_numbers_of_applications_are_no_id_numbers() -> None:
    rows = [person(1, application_id=f"20251009{number:010d}") for number in range(1000)]
    assert {code for codes in reasons_of(*rows).values() for code in codes} == set()


@pytest.mark.parametrize("application_id", [NUMBER, f"A-{NUMBER}", f"{NUMBER}_1"])
def test_an_application_id_with_an_id_number_stays_refused(application_id: str) -> None:
    assert "APPLICATION_ID_PERSONAL" in reasons_of(person(7, application_id=application_id))[0]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P10 error cells are read as empty")
def test_an_error_cell_in_an_optional_column_is_quarantined(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append([*person(1), "address"])
    book.active.append([*person(1).values(), "#N/A"])
    book.save(tmp_path / "a.xlsx")
    assert judged(read_all(tmp_path / "a.xlsx")) != {}


MIXED = "P11 two encodings in one file"


@pytest.mark.parametrize(
    ("encoding", "other", "line"),
    [
        pytest.param("gbk", "utf-8", 7, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=MIXED)),
        pytest.param("utf-8", "gbk", 7, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=MIXED)),
        pytest.param("utf-8", "gbk", 20, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=MIXED)),
    ],
)
def test_a_line_in_another_encoding_refuses_the_file_and_is_named(
    tmp_path: Path, encoding: str, other: str, line: int
) -> None:
    lines = csv_text([person(n, name="王明") for n in range(20)]).splitlines(keepends=True)
    raw = b"".join(text.encode(other if n == line else encoding) for n, text in enumerate(lines, 1))
    (tmp_path / "a.csv").write_bytes(raw)
    error = refusal_of_file(tmp_path / "a.csv")
    assert error is not None, "accepted, with a name that is another's"
    assert error.details.get("line") == line


@pytest.mark.parametrize("name", ["锟斤拷明", "王锟斤拷"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P12 destroyed UTF-8 passes as a name")
def test_a_name_of_destroyed_characters_is_quarantined(name: str) -> None:
    assert reasons_of(person(1, name=name)) != {}


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("phone", "\u202d15400000000\u202c", "15400000000"),
        ("phone", "\u2066 15400000000\u2069", "15400000000"),
        ("id_number", f"\u200e{NUMBER}", NUMBER),
        ("id_number", "110105\u00a019491231002X", NUMBER),
        ("phone", "154\u00a00000\u00a00000", "15400000000"),
    ],
)
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P13 marks of direction and inner no-break spaces stay")
def test_invisible_characters_are_taken_out_and_noted(column: str, value: str, expected: str) -> None:
    found, notes = normal_form(column, value)
    assert (found, bool(notes)) == (expected, True)


@pytest.mark.parametrize("value", [f'="{NUMBER}"', f"‘{NUMBER}", f"’{NUMBER}"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P14 what exports put before a text stays")
def test_marks_that_force_text_are_taken_off_and_noted(value: str) -> None:
    found, notes = normal_form("id_number", value)
    assert (found, bool(notes)) == (NUMBER, True)


@pytest.mark.parametrize("name", ["买买提﹒艾力", "买买提｡艾力", "买买提ㆍ艾力", "买买提 · 艾力", "买买提· 艾力"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P15 dots of other input methods, blanks beside the dot")
def test_every_dot_of_a_name_becomes_the_middle_dot(name: str) -> None:
    found, notes = normal_form("name", name)
    assert (found, "name_dot" in notes) == ("买买提·艾力", True)


@pytest.mark.parametrize("name", ["RAJ A/L KUMAR", "NGUYỄN VĂN AN", "Jose\u0301", "O"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P16 names of foreigners")
def test_names_of_foreigners_are_accepted(name: str) -> None:
    paper = {"category": "foreigner", "id_type": "passport", "id_number": "E12345678", "nationality": "IRL"}
    assert reasons_of(person(1, name=name, social_security_number="IRLE1234567890", **paper)) == {}


@pytest.mark.parametrize(
    ("column", "value"), [("old_card_generation", "1"), ("region_code", "110105"), ("postcode", "100001")]
)
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P17 whole numbers with .0")
def test_a_code_that_was_held_as_a_number_is_normalised_and_noted(column: str, value: str) -> None:
    found, notes = normal_form(column, f"{value}.0")
    assert (found, bool(notes)) == (value, True)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P19 rows of commas alone")
def test_rows_of_commas_alone_are_skipped(tmp_path: Path) -> None:
    empty = "," * (len(person(0)) - 1) + "\n"
    (tmp_path / "a.csv").write_text(csv_text([person(1)]) + empty * 3, encoding="utf-8")
    assert read_all(tmp_path / "a.csv")["line"].tolist() == [2]


@pytest.mark.xfail(strict=True, raises=Refused, reason="P19 columns without name at the right")
def test_empty_columns_without_a_name_at_the_right_are_skipped(tmp_path: Path) -> None:
    lines = [f"{line},,\n" for line in csv_text([person(1)]).splitlines()]
    (tmp_path / "a.csv").write_text("".join(lines), encoding="utf-8")
    assert read_all(tmp_path / "a.csv")["line"].tolist() == [2]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P20 only the encoding is named")
def test_a_byte_that_the_encoding_lacks_is_named_by_line_and_column(tmp_path: Path, encoding: str) -> None:
    lines = csv_text([person(n) for n in range(9)]).encode(encoding).splitlines(keepends=True)
    lines[4] = lines[4].replace("王".encode(encoding), b"\xff")
    (tmp_path / "a.csv").write_bytes(b"".join(lines))
    error = refusal_of_file(tmp_path / "a.csv")
    assert error is not None and error.details.get("line") == 5
    assert "name" in f"{error.details.get('column')}"


@pytest.mark.xfail(strict=True, raises=UnicodeEncodeError, reason="P21 a file name that is no UTF-8")
def test_a_file_whose_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xb8\xf7.csv"))
    path.write_text(csv_text([person(1)]), encoding="utf-8")
    package = Package("named", "110000", "retiree", OPENS, 1)
    with pytest.raises(Refused) as caught:
        submit_package(settings_of("nowhere"), package, [path], "submitter")  # refused before any is needed
    assert caught.value.message.encode(), "the refusal can be written"


def refusal_of_manifest(directory: Path, **fields: Any) -> Refused | None:
    """What a manifest with these fields is refused with."""
    (directory / "a.csv").touch()
    base = {"cohort": "c-1", "city": "110000", "category": "retiree", "opens": "2025-10-09", "declared": 1}
    text = yaml.safe_dump({**base, "files": ["a.csv"], **fields})
    (directory / "m.yaml").write_text(text, encoding="utf-8")
    options = dict.fromkeys(("cohort", "city", "category", "opens", "declared", "amends", "photos"))
    try:
        manifest, _, _ = read_package((directory / "m.yaml",), options)
        package_of(None, json.loads(json.dumps(manifest, default=str)))  # type: ignore[arg-type]  # only a correction asks
    except Refused as error:
        return error
    return None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("files", "a.csv"), ("files", 7), ("category", ["retiree"]), ("cohort", ["c-1"]), ("photos", ["faces"]),
        ("photos", 3), ("city", ["110000"]), ("declared", [1]), ("declared", True), ("opens", ["2025-10-09"]),
    ],
)  # fmt: skip
def test_a_manifest_field_of_another_kind_is_refused_by_name(tmp_path: Path, field: str, value: object) -> None:
    error = refusal_of_manifest(tmp_path, **{field: value})
    assert error is not None and error.code in ("FIELDS_INVALID", "MANIFEST_INVALID")
    assert field in error.message


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="P28 EXIF orientation is not looked at")
def test_a_photo_that_lies_on_its_side_is_turned_or_refused() -> None:
    image = Image.new("RGB", (358, 441), (255,) * 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees: 441×358
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    content = out.getvalue()
    assert judge_photo(content, hashlib.sha256(content).hexdigest()) != ""
