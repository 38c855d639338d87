"""What `submit` is given: options and manifests, and packages that are refused quickly and leave nothing behind."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from desk_fixture import LogIn
from intake_fixture import Intakes, objects, person
from ledger_fixture import OPENS

from issuance.city.partners import load_registry
from issuance.cli import cli
from issuance.commands.submit import read_package
from issuance.docpages.partners import REGISTRY
from issuance.errors import Refused
from issuance.intake.package import Package, package_of
from issuance.intake.submit import submit_package
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from producers.generate import generate_cohort

GIVEN: dict[str, Any] = {
    "cohort": "c-1", "city": "110000", "category": "retiree", "opens": date(2025, 10, 9), "declared": 3,
    "amends": None, "photos": None,
}  # fmt: skip
NOTHING: dict[str, Any] = dict.fromkeys(GIVEN)
LITTLE = 400
"""MiB that reading bad files may take; the interpreter with its libraries is half of them."""


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own."""
    made = Intakes(stack, "submit", tmp_path_factory.mktemp("submit"))
    yield made
    made.close()


def package_for(url: str, files: tuple[Path, ...], fields: dict[str, Any]) -> Package:
    """What the command reads, as the desk takes it."""
    manifest, _, _ = read_package(files, fields)
    with connect(url) as connection:
        return package_of(connection, json.loads(json.dumps(manifest, default=str)))


def refused(url: str, files: list[Path], fields: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        package_for(url, tuple(files), fields)
    return caught.value


def test_options_and_a_manifest_say_the_same(intakes: Intakes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "faces").mkdir()
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(
        "files: [a.csv]\ncohort: c-1\ncity: '110000'\ncategory: retiree\nopens: 2025-10-09\ndeclared: 3\n"
        "photos: faces\n",
        encoding="utf-8",
    )
    by_options = package_for(intakes.url, (tmp_path / "a.csv",), GIVEN | {"photos": tmp_path / "faces"})
    assert package_for(intakes.url, (manifest,), NOTHING) == by_options
    assert read_package((manifest,), NOTHING)[1:] == ([tmp_path / "a.csv"], tmp_path / "faces")
    assert package_for(intakes.url, (manifest,), NOTHING | {"declared": 4}).declared == 4, "an option wins"


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"city": None, "declared": None}, "FIELDS_MISSING", ["city", "declared"]),
        ({"city": "110199", "declared": 0}, "FIELDS_INVALID", ["declared", "city"]),
        ({"category": "pensioner", "opens": "soon"}, "FIELDS_INVALID", ["category", "opens"]),
        ({"photos": Path("nowhere")}, "FILE_MISSING", ["nowhere"]),
        ({"amends": True, "cohort": "no-such-cohort"}, "COHORT_UNKNOWN", []),
    ],
)
def test_fields_that_are_missing_or_wrong_are_all_named(
    intakes: Intakes, tmp_path: Path, fields: dict[str, Any], code: str, named: list[str]
) -> None:
    (tmp_path / "a.csv").touch()
    error = refused(intakes.url, [tmp_path / "a.csv"], GIVEN | fields)
    assert error.code == code
    assert [entry for listed in error.details.values() for entry in listed] == named


@pytest.mark.parametrize("content", ["- a\n", "cohort: [", "cohort: c\nshoe_size: 44\n", "\0"])
def test_a_manifest_that_is_none(intakes: Intakes, tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.yml").write_text(content, encoding="utf-8")
    assert refused(intakes.url, [tmp_path / "manifest.yml"], NOTHING).code == "MANIFEST_INVALID"


def test_a_correction_takes_city_category_and_day_from_its_cohort(intakes: Intakes, tmp_path: Path) -> None:
    intakes.take_in("base", [person(1)])
    (tmp_path / "b.csv").touch()
    fields = NOTHING | {"cohort": "base", "declared": 1, "amends": True}
    package = package_for(intakes.url, (tmp_path / "b.csv",), fields)
    assert package == Package("base", "110000", "retiree", OPENS, 1, amends=True)


def test_after_a_refusal_the_next_package_says_anew_what_the_cohort_is(intakes: Intakes) -> None:
    intakes.take_in("anew", [person(n, phone="1") for n in range(2, 5)], "bad.csv")
    assert intakes.rows("SELECT state FROM cohort WHERE cohort_id = 'anew'") == [("REFUSED",)]
    good = intakes.file("anew-good.csv", [person(2)])
    submit_package(intakes.settings, Package("anew", "110000", "retiree", date(2025, 11, 1), 1), [good], "submitter")
    intakes.wire.await_read("cohort-submissions")
    assert intakes.rows("SELECT state, opens_on FROM cohort WHERE cohort_id = 'anew'") == [
        ("REGISTERED", date(2025, 11, 1))
    ]


def csv_of(intakes: Intakes, rows: int) -> bytes:
    return intakes.file("plain.csv", [person(n) for n in range(rows)]).read_bytes()


def bad_files(intakes: Intakes) -> dict[str, tuple[str, bytes]]:
    """A file of every sort of damage, with rows enough that good parts are sealed before it shows."""
    good = csv_of(intakes, 900)
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    book.save(intakes.directory / "far.xlsx")
    return {
        "FILE_EMPTY": ("a.csv", b""),
        "NO_ROWS": ("b.csv", good.split(b"\n")[0] + b"\n"),
        "NOT_TEXT": ("c.csv", os.urandom(1 << 20)),
        "GZIP_BROKEN": ("d.csv.gz", gzip.compress(good)[:-99]),
        "ENCODING_UTF16": ("e.csv", good.decode().encode("utf-16")),
        "NUL_BYTES": ("f.csv", good + b"\0"),
        "LAST_ROW_INCOMPLETE": ("g.csv", good[:-60]),
        "PARQUET_BROKEN": ("h.parquet", good),
        "EXCEL_BROKEN": ("i.xlsx", good),
        "EXCEL_TOO_LARGE": ("j.xlsx", (intakes.directory / "far.xlsx").read_bytes()),
        "COLUMNS_UNKNOWN": ("k.csv", good.replace(b"phone", b"telephone", 1)),
        "FIELD_COUNT": ("l.csv", good + b"1,2,3\n" + good.split(b"\n")[1] + b"\n"),
        "QUOTE_BROKEN": ("m.csv", good + b'"1,2\n'),
        "COUNT_DIFFERS": ("n.csv", good[: good.rindex(b"A-899")]),
    }


def test_bad_files_leave_nothing_behind(intakes: Intakes) -> None:
    before, submissions = objects(intakes.settings), intakes.rows("SELECT count(*) FROM submission")
    for code, (name, content) in bad_files(intakes).items():
        path = intakes.directory / name
        path.write_bytes(content)
        package = Package("refused", "110000", "retiree", OPENS, 900)
        with pytest.raises(Refused) as caught:
            submit_package(intakes.settings, package, [intakes.directory / "plain.csv", path][-1:], "submitter")
        assert caught.value.code == code
        assert objects(intakes.settings) == before, code
    assert intakes.rows("SELECT count(*) FROM submission") == submissions


def test_of_several_files_one_bad_refuses_all(intakes: Intakes) -> None:
    before = objects(intakes.settings)
    good, bad = intakes.file("good-1.csv", [person(n) for n in range(300)]), intakes.directory / "bad-2.csv"
    bad.write_bytes(b"")
    with pytest.raises(Refused, match="FILE_EMPTY"):
        submit_package(intakes.settings, Package("both", "110000", "retiree", OPENS, 300), [good, bad], "submitter")
    assert objects(intakes.settings) == before


READ = """
import re, sys
from pathlib import Path
from issuance.errors import Refused
from issuance.intake.read import read_rows
for name in sys.argv[1:]:
    try:
        for _ in read_rows(Path(name), 200_000):
            pass
    except Refused as error:
        print(error.code)
# not getrusage: that counts the parent too
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        for _ in range(400):
            file.write(b"a,b,c\n" * 200_000)
    with (
        zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w") as part,
    ):
        for _ in range(800):
            part.write(b"<c>" * (1 << 18))
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    book.save(tmp_path / "c.xlsx")
    (tmp_path / "d.csv").write_bytes(b"x" * (300 << 20))
    files = [str(tmp_path / name) for name in ("a.csv.gz", "b.xlsx", "c.xlsx", "d.csv")]
    done = subprocess.run([sys.executable, "-c", READ, *files], capture_output=True, text=True, check=True, cwd=ROOT)
    *codes, mib = done.stdout.split()
    assert codes == ["GZIP_BOMB", "EXCEL_TOO_LARGE", "EXCEL_TOO_LARGE", "LINE_TOO_LONG"]
    assert int(mib) < LITTLE


def test_the_state_of_a_submission_is_written_as_that_of_a_cohort(
    intakes: Intakes, tmp_path: Path, log_in: LogIn
) -> None:
    made = generate_cohort(tmp_path, 5, 3, OPENS, load_registry(REGISTRY))
    log_in(intakes.settings, "submitter")
    words = ["--cohort", "written", "--city", "110000", "--category", "retiree", "--opens", OPENS.isoformat()]
    done = CliRunner().invoke(cli, ["submit", str(made.applications), *words, "--declared", str(made.rows), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["state"] == "submitted"
