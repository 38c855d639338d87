"""Submitting and deciding on real S3, Kafka and ledger: the same package twice, other content, refusals, repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ledger_fixture import OPENS, REGISTRY, fresh_database, new_ledger
from wire_fixture import Wire, wait_for

from issuance.errors import Refused
from issuance.intake.accept import accept_part, finish_submission
from issuance.intake.decide_rows import decide_rows
from issuance.intake.session import Intake, list_parts, open_intake
from issuance.intake.submit import Package, submit_package
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import connect, set_business_day
from issuance.settings import Settings
from issuance.vault.keys import KeyDestroyed, KeyService
from producers.generate import generate_cohort

Place = tuple[Settings, Path, int]


@pytest.fixture(scope="module")
def place(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A ledger with its submissions consumer, and a generated package of 600 cards."""
    url = fresh_database(stack.database_url, "ledger_intake")
    new_ledger(url)
    with connect(url) as connection:
        set_business_day(connection, OPENS)
    directory = tmp_path_factory.mktemp("package")
    made = generate_cohort(directory, 600, 11, OPENS, REGISTRY)
    wire = Wire(stack, url)
    wire.start("submissions")
    yield replace(stack, database_url=url, part_rows=250), made.applications, made.rows
    wire.close()


def package(cohort: str, declared: int) -> Package:
    """A package of Beijing retirees."""
    return Package(cohort, "110000", "retiree", date(2025, 10, 9), declared)


def rows(settings: Settings, query: str, *values: Any) -> list[Any]:
    """Rows of the ledger."""
    with connect(settings.database_url) as connection:
        return connection.execute(query, values).fetchall()


def outcomes_of(settings: Settings, cohort: str) -> dict[str, int]:
    """Rows by outcome."""
    query = "SELECT outcome, count(*) FROM row_outcome JOIN cohort USING (cohort_no) WHERE cohort_id = %s GROUP BY 1"
    return dict(rows(settings, query, cohort))


def refusal_of(settings: Settings, cohort: str) -> str:
    """Why a cohort's submission was refused."""
    query = "SELECT refusal ->> 'code' FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = %s"
    return str(rows(settings, query, cohort)[0][0])


def submit(place: Place, cohort: str, declared: int | None = None) -> dict[str, Any]:
    """Submit the package and wait until it is registered."""
    settings, file, count = place
    result = submit_package(settings, package(cohort, declared or count), [file], "submitter")
    registered = "SELECT FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = %s"
    wait_for(lambda: bool(rows(settings, registered, cohort)))
    return result


def take_in(settings: Settings, cohort: str, submission: int = 0) -> Intake:
    """Run every step of intake."""
    intake = open_intake(settings, cohort, submission)
    parts = list_parts(intake)
    for part in parts:
        validate_part(intake, part)
    if decide_rows(intake) == "VALIDATED":
        for part in parts:
            accept_part(intake, part)
        finish_submission(intake)
    return intake


def test_a_package_is_taken_in_once_and_every_row_is_accounted_for(place: Place) -> None:
    settings, _file, count = place
    first = submit(place, "once")
    again = submit(place, "once")
    assert (again["submission"], again["sha256"], again["state"]) == (0, first["sha256"], "REGISTERED")
    take_in(settings, "once")
    take_in(settings, "once")
    outcomes = outcomes_of(settings, "once")
    assert outcomes["accepted"] == 600
    assert sum(outcomes.values()) == count
    assert rows(settings, "SELECT count(*), count(DISTINCT (block, position)) FROM card") == [(600, 600)]
    assert submit(place, "once")["state"] == "ACCEPTED"


def test_planted_defects_are_found_line_by_line(place: Place) -> None:
    import json

    settings, file, _ = place
    truth = json.loads((file.parent / "truth.json").read_text(encoding="utf-8"))["defects"]
    found = rows(
        settings,
        "SELECT file, line, unnest(reasons) FROM row_outcome JOIN cohort USING (cohort_no)"
        " WHERE cohort_id = 'once' AND outcome <> 'accepted'",
    )
    assert set(found) == {(d["file"], d["line"], d["rule"]) for d in truth}


def test_a_persons_block_opens_only_with_the_cohorts_key(place: Place) -> None:
    settings, _, _ = place
    intake = open_intake(settings, "once", 0)
    (block,) = rows(settings, "SELECT block FROM card LIMIT 1")[0]
    assert next(intake.vault.read_persons([(block, 0, ())]))["name"]
    keys = KeyService(settings.keys_dir)
    keys.destroy_cohort_key("gone")
    with pytest.raises(KeyDestroyed):
        keys.create_cohort_key("gone")


def test_other_content_under_a_live_submission_is_refused(place: Place, tmp_path: Path) -> None:
    settings, file, count = place
    other = tmp_path / file.name
    other.write_bytes(file.read_bytes().replace(b"retiree", b"Retiree", 1))
    with pytest.raises(Refused, match="SUBMISSION_LIVE"):
        submit_package(settings, package("once", count), [other], "submitter")


def test_a_wrong_count_is_refused_and_leaves_nothing(place: Place) -> None:
    settings, file, count = place
    with pytest.raises(Refused, match="COUNT_DIFFERS"):
        submit_package(settings, package("miscounted", count + 1), [file], "submitter")
    assert rows(settings, "SELECT FROM cohort WHERE cohort_id = 'miscounted'") == []


def test_totals_that_differ_refuse_the_cohort_and_the_next_takes_the_next_number(place: Place) -> None:
    settings, _, _count = place
    submit(place, "short")
    with connect(settings.database_url) as connection:
        connection.execute(
            "UPDATE submission s SET declared = declared + 5 FROM cohort c"
            " WHERE s.cohort_no = c.cohort_no AND cohort_id = 'short'"
        )
    take_in(settings, "short")
    assert rows(
        settings,
        "SELECT c.state, s.state, s.refusal ->> 'code' FROM cohort c JOIN submission s USING (cohort_no)"
        " WHERE cohort_id = 'short'",
    ) == [("REFUSED", "REFUSED", "TOTALS_DIFFER")]
    assert rows(settings, "SELECT count(*) FROM card JOIN cohort USING (cohort_no) WHERE cohort_id = 'short'") == [(0,)]


def test_too_many_quarantined_rows_refuse_the_submission(place: Place, tmp_path: Path) -> None:
    settings, file, _ = place
    lines = file.read_text(encoding="utf-8").split("\n")
    broken = tmp_path / "broken.csv"
    header = lines[0].split(",")
    phone = header.index("phone")
    bad = [
        ",".join("" if n == phone else cell for n, cell in enumerate(line.split(",")))
        for line in lines[1:40]
        if line.count(",") == len(header) - 1 and '"' not in line
    ]
    broken.write_text("\n".join([lines[0], *bad]) + "\n", encoding="utf-8")
    submit_package(settings, package("bad", len(bad)), [broken], "submitter")
    wait_for(lambda: bool(rows(settings, "SELECT FROM cohort WHERE cohort_id = 'bad'")))
    take_in(settings, "bad")
    assert rows(
        settings, "SELECT refusal ->> 'code' FROM submission JOIN cohort USING (cohort_no) WHERE cohort_id = 'bad'"
    ) == [("TOO_MANY_QUARANTINED",)]


def test_a_person_with_a_card_under_way_in_another_cohort_is_a_duplicate(place: Place) -> None:
    settings, _, _count = place
    submit(place, "second")
    take_in(settings, "second")
    outcomes = outcomes_of(settings, "second")
    assert outcomes.get("accepted", 0) == 0
    assert outcomes["duplicate"] >= 600
    standing = rows(
        settings,
        "SELECT count(*) FROM row_outcome r JOIN cohort o USING (cohort_no) JOIN card c ON c.card_ref = r.card_ref"
        " WHERE cohort_id = 'second' AND outcome = 'duplicate'",
    )
    assert standing == [(outcomes["duplicate"],)]
