"""Quarantine is work: rows go back to who submitted them, corrections name quarantined lines only and are taken in."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from desk_fixture import LogIn
from intake_fixture import SUBMITTER, Intakes, Row, number, objects, person
from wire_fixture import wait_for

from issuance.cli import cli
from issuance.errors import Refused
from issuance.intake.columns import NAMES
from issuance.intake.decide_rows import decide_rows
from issuance.intake.package import Package
from issuance.intake.parts import package_hash
from issuance.intake.quarantine import export_quarantine, list_quarantine
from issuance.intake.sources import source_of
from issuance.intake.submit import submit_package
from issuance.intake.wait import submission_standing
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import connect
from issuance.reconcile.equations import INTAKE, ORDER, balance
from issuance.settings import Settings
from issuance.vault.envelopes import open_sealed
from issuance.vault.keys import NamedKey

COHORTS = ("whole", "mine", "sealed", "named", "twice", "chain", "rank", "still")


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own."""
    made = Intakes(stack, "corrections", tmp_path_factory.mktemp("corrections"))
    yield made
    made.close()


def cohort_of(intakes: Intakes, cohort: str, *bad: Row) -> None:
    """A cohort of 200 good rows and a few bad ones at its end (lines 202 …), taken in; 1 % never asks an operator."""
    intakes.take_in(cohort, [*(_of_cohort(person(n), cohort) for n in range(800, 1000)), *bad])


def _of_cohort(row: Row, cohort: str) -> Row:
    """People of one cohort are not those of another: each has a year of birth of its own."""
    born = f"{1930 + COHORTS.index(cohort)}-12-31"
    return row | {"birth_date": born, "id_number": number(f"110105{born.replace('-', '')}{row['id_number'][14:17]}")}


def exported(intakes: Intakes, cohort: str, target: Path) -> list[dict[str, str]]:
    """What the submitter gets back."""
    content, _ = export_quarantine(intakes.settings, cohort, SUBMITTER, "to correct", None)
    target.write_bytes(content)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def open_lines(intakes: Intakes, cohort: str, everything: bool = False) -> list[tuple[str, int, list[str]]]:
    with connect(intakes.url) as connection:
        found = list_quarantine(connection, cohort, everything)
    return [(row["file"], row["line"], row["reasons"]) for row in found]


def correction(cohort: str, line: int, row: Row, file: str = "rows.csv") -> Row:
    return row | {"file": f"{cohort}-{file}", "line": str(line)}


def test_quarantined_rows_go_back_corrected_and_every_row_stays_accounted_for(intakes: Intakes, tmp_path: Path) -> None:
    cohort_of(intakes, "whole", person(1, phone="12"), person(2, name="=王小明", phone="+86 154-0000-00"))
    assert open_lines(intakes, "whole") == [
        ("whole-rows.csv", 202, ["PHONE_SHAPE"]),
        ("whole-rows.csv", 203, ["NAME_SHAPE", "PHONE_SHAPE"]),
    ]
    rows = exported(intakes, "whole", tmp_path / "back.csv")
    assert list(rows[0]) == [*NAMES, "file", "line", "reasons", "remedy"]
    assert [(row["file"], row["line"], row["reasons"]) for row in rows] == [
        ("whole-rows.csv", "202", "PHONE_SHAPE"),
        ("whole-rows.csv", "203", "NAME_SHAPE PHONE_SHAPE"),
    ]
    assert "11 位手机号" in rows[0]["remedy"]
    assert "mobile number" in rows[0]["remedy"]
    assert (rows[1]["name"], rows[1]["phone"]) == ("'=王小明", "'+86 154-0000-00")
    assert {name: rows[0][name] for name in person(1)} == person(1, phone="12")
    fixed = [rows[0] | {"phone": "'+8615400000001"}, rows[1] | {"name": "王小明", "phone": "15400000002"}]
    result = intakes.submit("whole", intakes.file("fixed.csv", fixed), 2, amends=True)
    assert result["submission"] == 1
    assert intakes.finish(intakes.validate("whole", 1)) == "VALIDATED"
    assert intakes.outcomes("whole", 1) == {2: ("accepted", None), 3: ("accepted", None)}
    assert open_lines(intakes, "whole") == []
    assert len(open_lines(intakes, "whole", everything=True)) == 2
    with pytest.raises(Refused, match="NOTHING_TO_EXPORT"):
        exported(intakes, "whole", tmp_path / "again.csv")
    with connect(intakes.url) as connection:
        (number,) = connection.execute("SELECT cohort_no FROM cohort WHERE cohort_id = 'whole'").fetchone() or (0,)
        intake, order = balance(connection, INTAKE, number), balance(connection, ORDER, number)
    assert (intake.holds, intake.left) == (True, 204)
    assert intake.buckets == {"accepted": 202, "quarantined": 2, "duplicate": 0}
    assert (order.holds, order.left) == (True, 202)


def refused(*words: str) -> str:
    """The code with which a command is refused."""
    done = CliRunner().invoke(cli, list(words))
    assert isinstance(done.exception, Refused), done.output
    return done.exception.code


def test_who_may_have_the_rows_and_what_is_written_about_it(intakes: Intakes, tmp_path: Path, log_in: LogIn) -> None:
    cohort_of(intakes, "mine", person(3, phone="12"))
    log_in(intakes.settings, "planner")
    target = tmp_path / "back.csv"
    assert refused("quarantine", "export", "mine", str(target)) == "NOT_YOUR_SUBMISSION"
    assert not target.exists()
    log_in(intakes.settings, SUBMITTER)
    assert CliRunner().invoke(cli, ["quarantine", "export", "mine", str(target)]).exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert refused("quarantine", "export", "mine", str(target)) == "FILE_EXISTS"
    assert refused("quarantine", "export", "mine", str(tmp_path / "none" / "x")) == "FILE_UNWRITABLE"
    with connect(intakes.url) as connection:
        acts = connection.execute(
            "SELECT \"user\", details FROM audit WHERE act = 'export quarantine' AND subject = 'mine'"
        ).fetchall()
        assert [(user, details["rows"], details["sealed_to"]) for user, details in acts] == [(SUBMITTER, 1, None)]
        assert verify_audit(connection) == []


def test_the_rows_can_be_sealed_to_a_key(intakes: Intakes) -> None:
    cohort_of(intakes, "sealed", person(4, phone="12"))
    for name, key in (("rsa", rsa.generate_private_key(65537, 2048)), ("ec", ec.generate_private_key(ec.SECP256R1()))):
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        content, _ = export_quarantine(intakes.settings, "sealed", SUBMITTER, "r", public)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        opened = open_sealed(NamedKey(name, private), content)
        assert person(4)["id_number"] in opened.decode("utf-8-sig")
    signing = ed25519.Ed25519PrivateKey.generate().public_key()
    for content in (signing.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), b"no key"):
        with pytest.raises(Refused, match="KEY_UNUSABLE"):
            export_quarantine(intakes.settings, "sealed", SUBMITTER, "r", content)


def refusal(intakes: Intakes, cohort: str, name: str, rows: list[Row]) -> Refused:
    """The refusal of a correction, of which nothing is left."""
    before, submissions = objects(intakes.settings), intakes.rows("SELECT cohort_no, number FROM submission")
    with pytest.raises(Refused) as caught:
        intakes.submit(cohort, intakes.file(name, rows), len(rows), amends=True)
    assert objects(intakes.settings) == before
    assert intakes.rows("SELECT cohort_no, number FROM submission") == submissions
    return caught.value


def test_a_correction_names_open_quarantined_lines_only(intakes: Intakes) -> None:
    bad = [person(5, phone="12"), person(6, phone="12"), person(7), person(7, application_id="A-7b")]
    cohort_of(intakes, "named", *bad)
    assert intakes.outcomes("named")[205] == ("duplicate", ["DUPLICATE_PERSON"])
    wrong = [
        correction("named", 204, person(7)),
        correction("named", 205, person(7)),
        correction("named", 9999, person(8)),
        correction("named", 202, person(9), file="elsewhere.csv"),
        correction("named", 202, person(5)),
        correction("named", 202, person(5)),
        correction("named", 203, person(6)),
    ]
    error = refusal(intakes, "named", "named-wrong.csv", wrong)
    assert error.code == "LINES_NOT_CORRECTABLE"
    assert [(entry["file"], entry["line"], entry["code"]) for entry in error.details["lines"]] == [
        ("named-elsewhere.csv", 202, "LINE_UNKNOWN"),
        ("named-rows.csv", 202, "LINE_NAMED_TWICE"),
        ("named-rows.csv", 204, "LINE_ACCEPTED"),
        ("named-rows.csv", 205, "LINE_DUPLICATE"),
        ("named-rows.csv", 9999, "LINE_UNKNOWN"),
    ]
    assert "holder event" in error.message
    assert "持卡人事件" in error.message
    assert refusal(intakes, "named", "named-rows.csv", [correction("named", 202, person(5))]).code == "FILE_NAME_USED"
    unreadable = [correction("named", 202, person(5)) | {"line": "2O2"}]
    assert refusal(intakes, "named", "named-o.csv", unreadable).code == "LINES_UNREADABLE"
    plain = intakes.file("named-plain.csv", [correction("named", 202, person(5))])
    with pytest.raises(Refused, match="SUBMISSION_LIVE"):
        intakes.submit("named", plain, 1)


def test_a_line_is_corrected_once_also_when_two_corrections_come_at_the_same_time(intakes: Intakes) -> None:
    cohort_of(intakes, "twice", person(10, phone="12"))
    for name in ("a.csv", "b.csv"):
        row = correction("twice", 202, person(10, application_id=f"A-10{name[0]}"))
        intakes.submit("twice", intakes.file(f"twice-{name}", [row]), 1, amends=True)
    first, second = intakes.validate("twice", 1), intakes.validate("twice", 2)
    assert (intakes.finish(second), intakes.finish(first)) == ("VALIDATED", "VALIDATED")
    assert intakes.outcomes("twice", 2) == {2: ("accepted", None)}
    assert intakes.outcomes("twice", 1) == {2: ("quarantined", ["LINE_CORRECTED"])}
    again = [correction("twice", 2, person(10), file="a.csv")]
    error = refusal(intakes, "twice", "twice-c.csv", again)
    assert error.details["lines"][0]["code"] == "LINE_UNKNOWN", "a row that corrects nothing is no line to correct"
    third = [correction("twice", 202, person(10))]
    assert refusal(intakes, "twice", "twice-d.csv", third).details["lines"][0]["code"] == "LINE_CORRECTED"


def test_a_correction_of_a_corrections_quarantined_line(intakes: Intakes, tmp_path: Path) -> None:
    cohort_of(intakes, "chain", person(11, phone="12"))
    intakes.take_in("chain", [correction("chain", 202, person(11, phone="13"))], "first.csv", amends=True)
    assert open_lines(intakes, "chain") == [("chain-first.csv", 2, ["PHONE_SHAPE"])], "the newer row is the open one"
    (row,) = exported(intakes, "chain", tmp_path / "chain.csv")
    assert (row["file"], row["line"], row["phone"]) == ("chain-first.csv", "2", "13")
    intakes.take_in("chain", [row | {"phone": "15400000000"}], "second.csv", amends=True)
    assert intakes.outcomes("chain", 2) == {2: ("accepted", None)}
    assert open_lines(intakes, "chain") == []


def test_a_correction_displaces_no_accepted_card_and_knows_no_thresholds(intakes: Intakes) -> None:
    cohort_of(intakes, "rank", person(12, phone="12"), person(13, phone="12"))
    rows = [
        correction("rank", 202, person(12)),
        correction("rank", 203, person(12, application_id="A-12b")),
    ]
    for row, name in zip(rows, ("a.csv", "b.csv"), strict=True):
        intakes.submit("rank", intakes.file(f"rank-{name}", [row]), 1, amends=True)
    first, second = intakes.validate("rank", 1), intakes.validate("rank", 2)
    intakes.finish(second)
    intakes.finish(first)
    assert intakes.outcomes("rank", 2) == {2: ("accepted", None)}
    assert intakes.outcomes("rank", 1) == {2: ("duplicate", ["DUPLICATE_PERSON"])}
    ref = intakes.rows("SELECT card_ref FROM card WHERE application_id = 'A-12b'")
    with connect(intakes.url) as connection:
        (row,) = [row for row in list_quarantine(connection, "rank") if row["outcome"] == "duplicate"]
    assert ([(row["card_ref"],)], row["card_cohort"]) == (ref, "rank")


def test_all_rows_of_a_correction_may_be_quarantined_again(intakes: Intakes) -> None:
    cohort_of(intakes, "still", person(14, phone="12"))
    intake = intakes.take_in("still", [correction("still", 202, person(14, phone="12"))], "bad.csv", amends=True)
    assert intakes.outcomes("still", 1) == {2: ("quarantined", ["PHONE_SHAPE"])}
    assert decide_rows(intake) == "ACCEPTED"


def test_a_correction_needs_a_submission_whose_intake_has_ended(intakes: Intakes) -> None:
    row = correction("early", 2, person(15))
    with pytest.raises(Refused, match="NOTHING_TO_AMEND"):
        intakes.submit("early", intakes.file("early-x.csv", [row]), 1, amends=True)
    intakes.submit("early", intakes.file("early-rows.csv", [person(15, phone="12")]), 1)
    with pytest.raises(Refused, match="SUBMISSION_UNDECIDED"):
        intakes.submit("early", intakes.file("early-x.csv", [row]), 1, amends=True)


def test_registration_and_submit_agree(intakes: Intakes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `submit` refuses is refused by registration too, when it was announced all the same."""
    from issuance.intake import submit

    monkeypatch.setattr(submit, "may_not_submit", lambda standing, amends: None)
    monkeypatch.setattr(submit, "check_correction", lambda *given: None)
    path = intakes.file("nothing.csv", [correction("nothing", 2, person(16))])
    package = Package("nothing", "110000", "retiree", intakes.validate("still", 1).opens_on, 1, amends=True)
    submit_package(intakes.settings, package, [path], SUBMITTER)
    sha256 = package_hash([source_of(path)], package.manifest())

    def refusals() -> list[str]:
        with connect(intakes.url) as connection:
            return list(submission_standing(connection, "nothing", sha256)["refusals"])

    wait_for(lambda: bool(refusals()))
    assert refusals() == ["NOTHING_TO_AMEND"]
    assert intakes.rows("SELECT FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = 'nothing'") == []
    intakes.take_in("still", [correction("still", 202, person(17))], "late.csv", amends=True)
    assert intakes.outcomes("still", 2) == {2: ("quarantined", ["LINE_CORRECTED"])}


def test_rows_that_name_no_line_correct_nothing(intakes: Intakes, monkeypatch: pytest.MonkeyPatch) -> None:
    """`submit` asks for the columns; what another program seals is held against the lines all the same."""
    from issuance.intake import submit
    from issuance.intake.read import read_rows

    monkeypatch.setattr(submit, "read_rows", lambda path, rows, amends: read_rows(path, rows))
    monkeypatch.setattr(submit, "lines_named", lambda frame, path: [])
    intakes.take_in("still", [person(19)], "unnamed.csv", amends=True)
    (number,) = intakes.rows("SELECT max(number) FROM submission JOIN cohort USING (cohort_no)"
                             " WHERE cohort_id = 'still'")[0]  # fmt: skip
    assert intakes.outcomes("still", number) == {2: ("quarantined", ["LINE_UNKNOWN"])}


def test_files_of_one_name_are_refused(intakes: Intakes, tmp_path: Path) -> None:
    path = intakes.file("same.csv", [person(18)])
    other: Any = tmp_path / "same.csv"
    other.write_bytes(path.read_bytes())
    package = replace(Package("same", "110000", "retiree", intakes.validate("still", 1).opens_on, 2))
    with pytest.raises(Refused, match="FILE_NAMES_REPEATED"):
        submit_package(intakes.settings, package, [path, other], SUBMITTER)
