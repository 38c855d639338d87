"""Files, rules, keys and registries: the right outcome of each finding; marks name what is still to be mended."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from findings_fixture import reasons_of, refusal_of_file
from intake_fixture import person

from issuance.city.partners import load_registry
from issuance.errors import IssuanceError, Misconfigured
from issuance.intake.frames import defuse
from issuance.settings import ROOT
from issuance.vault.keys import KeyService

REGISTRY = (ROOT / "policies" / "partners.demo.yaml").read_text(encoding="utf-8")


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I8 a missing key directory is silently made anew")
def test_keys_that_are_gone_are_not_made_anew(tmp_path: Path) -> None:
    before = KeyService(tmp_path / "keys").person_hash("resident_id", "11010519491231002X")
    shutil.rmtree(tmp_path / "keys")
    try:
        after = KeyService(tmp_path / "keys").person_hash("resident_id", "11010519491231002X")
    except IssuanceError:
        return
    assert after == before


@pytest.mark.parametrize("code", ["11010519491231002X", "9.11100001000000E+17"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I13 employer_code has no rule")
def test_an_employer_code_is_no_id_number_and_no_damaged_number(code: str) -> None:
    assert reasons_of(person(1, collection_method="employer", outlet_code="", employer_code=code)) != {}


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I21 blanks around '=' hide a cell far away")
def test_a_cell_far_away_is_found_however_it_is_written(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    book.save(tmp_path / "plain.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "plain.xlsx") as plain,
        zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as odd,
    ):
        for part in plain.infolist():
            odd.writestr(part.filename, re.sub(rb' r="([A-Z]+[0-9]+)"', rb' r = "\1"', plain.read(part)))
    code = "from pathlib import Path; from issuance.intake.read import read_rows; import resource, sys;"
    code += "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); next(read_rows(Path(sys.argv[1]), 10))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.xlsx")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "EXCEL_TOO_LARGE" in done.stderr, done.stderr[-200:]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I21 a dictionary that unpacks to 100 MB passes")
def test_a_parquet_dictionary_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    rows = 100
    columns = {name: pa.array([value] * rows) for name, value in person(1).items()}
    far = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({**columns, "address": far}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 64 << 10
    error = refusal_of_file(tmp_path / "a.parquet")
    assert error is not None and error.code == "PARQUET_TOO_LARGE"


def registry_error(directory: Path, text: str) -> Misconfigured | None:
    """What a registry of this text is refused with."""
    (directory / "partners.yaml").write_text(text, encoding="utf-8")
    try:
        load_registry(directory / "partners.yaml")
    except Misconfigured as error:
        return error
    return None


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I32 of two entries of a bank the last wins silently")
def test_a_bank_that_stands_twice_in_the_registry_is_named(tmp_path: Path) -> None:
    twice = REGISTRY.replace("  ICBC: {primary: F-ICBC}\n", "  ICBC: {primary: F-ICBC}\n  ICBC: {primary: F-ABC}\n")
    error = registry_error(tmp_path, twice)
    assert error is not None and "ICBC" in error.message


@pytest.mark.parametrize("section", ["carriers", "hrss", "notifiers"])
@pytest.mark.xfail(strict=True, raises=KeyError, reason="I32 a missing section is a KeyError")
def test_a_section_that_the_registry_lacks_is_named(tmp_path: Path, section: str) -> None:
    error = registry_error(tmp_path, re.sub(rf"(?m)^{section}:.*\n", "", REGISTRY))
    assert error is not None and section in error.message


@pytest.mark.parametrize("applied_at", ["1025-10-09", "1900-01-01"])
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I36 applied_at of a thousand years ago passes")
def test_an_application_of_long_ago_is_quarantined(applied_at: str) -> None:
    assert reasons_of(person(1, applied_at=applied_at)) != {}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason="I36 formula guard"))
        for value in ("\n=1+1", "＝1+1", "＋1+1", "－1+1", "＠SUM(A1)")
    ]
    + ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"],
)
def test_what_a_spreadsheet_takes_for_a_formula_is_defused(value: str) -> None:
    assert defuse(value) == f"'{value}"


READ_DAGS = """
import sys
from airflow.dag_processing.dagbag import DagBag
for dag in DagBag(sys.argv[1]).dags.values():
    print(*(f"task {dag.dag_id}.{task.task_id}" for task in dag.tasks if task.execution_timeout is None), sep="\\n")
"""


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I36 no execution_timeout")
def test_every_task_has_a_time_after_which_it_is_ended(tmp_path: Path) -> None:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = keep | {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, str(ROOT / "dags")], env=env, capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("task ")] == []
