"""Packages and files on real S3, Kafka and ledger: the right outcome of each finding; marks name what is open."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from cohort_fixture import plan_as
from intake_fixture import SUBMITTER, Intakes, Row, person
from ledger_fixture import OPENS, item, merge, report
from PIL import Image
from wire_fixture import wait_for

from issuance.city.marked_yaml import read_marked
from issuance.dispatch.release import release_wave
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.rescheduling import withdraw_cohort
from issuance.dispatch.seal import Sealer
from issuance.dispatch.seal_remakes import seal_remakes
from issuance.errors import IssuanceError, Misconfigured, Refused
from issuance.intake.accept import accept_part
from issuance.intake.session import open_intake
from issuance.intake.submit import Package, submit_package
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import connect
from issuance.retention.export import export_person
from issuance.retention.persons import Named
from issuance.settings import Settings
from issuance.tracking.decide import decide
from issuance.tracking.notices import send_notices
from issuance.vault.envelopes import SealingKey, seal_to
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body
from issuance.words.references import card_ref_of

LATER = date(2025, 11, 1)


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own with its submissions consumer."""
    found = Intakes(stack, "findings_intake", tmp_path_factory.mktemp("findings"))
    yield found
    found.close()


def people(first: int, count: int, **values: str) -> list[Row]:
    """Valid rows; another `first` is other people."""
    return [person(first + n, **values) for n in range(count)]


def submit(intakes: Intakes, cohort: str, rows: list[Row], opens: date = OPENS, **of: Any) -> dict[str, Any]:
    """Submit rows as a cohort of their own, and wait until it is registered."""
    package = Package(cohort, of.pop("city", "110000"), "retiree", opens, len(rows))
    result = submit_package(
        intakes.settings, package, [intakes.file(f"{cohort}.csv", rows)], SUBMITTER, of.get("photos")
    )
    wait_for(lambda: bool(intakes.rows("SELECT FROM submission WHERE sha256 = %s", result["sha256"])), 10)
    return result


def exported(settings: Settings, cohort: str, application: str) -> Any:
    """Everything that is held of a person."""
    with connect(settings.database_url) as connection:
        named = Named(application=(cohort, application))
        return json.loads(export_person(connection, settings, named, "operator", "asked", None)[0])


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I2 accepting again puts persons under others' cards")
def test_accepting_a_part_again_leaves_every_card_its_person(intakes: Intakes, tmp_path: Path) -> None:
    abc = {"bank_code": "ABC", "outlet_code": "ABC-0101"}
    intakes.take_in("again", [person(1), person(2, **abc)])
    registry = read_marked(intakes.settings.partners_file.read_text(encoding="utf-8")).data
    text = yaml.safe_dump({**registry, "suspended": {"F-ABC": "a flood"}}, allow_unicode=True, sort_keys=False)
    (tmp_path / "partners.yaml").write_text(text, encoding="utf-8")
    changed = replace(intakes.settings, partners_file=tmp_path / "partners.yaml")
    with suppress(IssuanceError, psycopg.Error):
        accept_part(open_intake(changed, "again", 0), 1)
    for sequence in (1, 2):
        (card,) = exported(intakes.settings, "again", f"A-{sequence}")["cards"]
        assert card["person"]["id_number"] == person(sequence)["id_number"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I4 a withdrawn cohort that waited keeps its people")
def test_people_of_a_cohort_withdrawn_while_it_waited_are_accepted_elsewhere(intakes: Intakes) -> None:
    rows = [*people(100, 9), person(109, phone="1")]
    submit(intakes, "waiting", rows, LATER)
    assert intakes.finish(intakes.validate("waiting")) == "WAITING_FOR_OPERATOR"
    withdraw_cohort(intakes.settings, "waiting", "another list", "operator")
    intakes.take_in("instead-of-waiting", rows[:9])
    assert {outcome for outcome, _ in intakes.outcomes("instead-of-waiting").values()} == {"accepted"}


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I5 right after a withdrawal every row is a duplicate")
def test_people_of_a_cohort_withdrawn_a_moment_ago_are_accepted_elsewhere(intakes: Intakes) -> None:
    rows = people(120, 3)
    submit(intakes, "withdrawn", rows, LATER)
    assert intakes.finish(intakes.validate("withdrawn")) == "VALIDATED"
    withdraw_cohort(intakes.settings, "withdrawn", "another list", "operator")
    intakes.take_in("instead-of-withdrawn", rows)
    assert {outcome for outcome, _ in intakes.outcomes("instead-of-withdrawn").values()} == {"accepted"}


@pytest.mark.parametrize(
    ("city", "opens", "code"),
    [("310000", OPENS, "CITY_NOT_SERVED"), ("110000", date(2026, 12, 20), "CALENDAR_UNKNOWN")],
)
def test_a_package_that_nobody_can_plan_is_refused_at_submit(
    intakes: Intakes, city: str, opens: date, code: str
) -> None:
    try:
        submit(intakes, f"no-{code}".lower(), people(140, 1), opens, city=city)
    except Refused as error:
        assert error.code == code
        return
    raise AssertionError("it was taken")


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I7 the line behind a correction is missed")
def test_an_export_holds_the_quarantined_line_behind_a_correction(intakes: Intakes, tmp_path: Path) -> None:
    wrong = person(150, id_number="110105194912311500")
    intakes.take_in("behind", [*people(151, 60), wrong])
    assert intakes.outcomes("behind")[62] == ("quarantined", ["ID_CHECK_DIGIT"])
    intakes.take_in("behind", [person(150, file="behind-rows.csv", line="62")], "fixed.csv", amends=True)
    rows = exported(intakes.settings, "behind", "A-150")["rows"]
    assert sorted((row["submission"], row["line"]) for row in rows) == [(0, 62), (1, 2)]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I9 a part is overwritten before its state is checked")
def test_what_was_decided_is_not_written_again(intakes: Intakes) -> None:
    intake = intakes.take_in("decided", people(220, 3))
    store = ObjectStore.of(intakes.settings)
    before = {key: store.get(key) for key in store.list("inbox/decided/")}
    with suppress(IssuanceError):
        validate_part(intake, 1)
    assert {key: store.get(key) for key in store.list("inbox/decided/")} == before


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I13 the raw text of a shifted row stands in the ledger")
def test_no_personal_value_of_a_shifted_row_stands_in_the_ledger(intakes: Intakes) -> None:
    intakes.take_in("shifted", [*people(230, 60), person(299, kind="15988887777")])
    found = intakes.rows("SELECT r::text FROM row_outcome r JOIN cohort USING (cohort_no) WHERE cohort_id = 'shifted'")
    assert not [text for (text,) in found if "15988887777" in text]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I16 what stands in the store is adopted")
def test_another_file_under_a_jobs_name_is_not_sent(intakes: Intakes) -> None:
    settings = intakes.settings
    intakes.take_in("planted", people(300, 2))
    plan_as(settings, "planted", 1, "planner")
    release_wave(settings, "planted", 1, "releaser")
    sealer = Sealer(settings)
    (job,) = sealer.unsealed("planted", 1)
    pem = (settings.partner_keys_dir / "F-ICBC.pem").read_bytes()
    ObjectStore.of(settings).put(job.object, seal_to(SealingKey("F-ICBC", "RSA-OAEP-256", pem), b"another list"))
    with suppress(IssuanceError):
        sealer.seal_wave("planted", 1)
    assert intakes.rows("SELECT job_id FROM sealed_job WHERE job_id = %s", job.job_id) == []


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I20 the identical package cannot follow a refusal")
def test_the_identical_package_is_a_new_submission_after_a_refusal(intakes: Intakes) -> None:
    rows = people(320, 3, phone="1")
    assert submit(intakes, "refused", rows)["submission"] == 0
    assert intakes.finish(intakes.validate("refused")) == "REFUSED"
    assert submit(intakes, "refused", rows)["submission"] == 1


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I20 photos do not belong to the package")
def test_a_package_whose_photo_came_meanwhile_is_another_one(intakes: Intakes, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (358, 441), (255,) * 3).save(out, "JPEG")
    named = {"photo_ref": "1.jpg", "photo_sha256": hashlib.sha256(out.getvalue()).hexdigest()}
    submit(intakes, "photos", people(340, 1, **named), photos=tmp_path)
    (tmp_path / "1.jpg").write_bytes(out.getvalue())
    try:
        submit(intakes, "photos", people(340, 1, **named), photos=tmp_path)
    except Refused as error:
        assert error.code == "SUBMISSION_LIVE"
        return
    raise AssertionError("it was taken for the same package")


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I17 every small file is a part of its own")
def test_small_files_share_a_part(intakes: Intakes) -> None:
    files = [intakes.file(f"small-{n}.csv", people(350 + n, 1)) for n in range(3)]
    result = submit_package(intakes.settings, Package("small", "110000", "retiree", OPENS, 3), files, SUBMITTER)
    assert result["parts"] == 1


@pytest.mark.xfail(strict=True, raises=Misconfigured, reason="I18 one factory's missing key ends all re-makes")
def test_a_factory_without_a_key_holds_up_no_other_factorys_remakes(intakes: Intakes, tmp_path: Path) -> None:
    settings = intakes.settings
    intakes.take_in("keyless", [*people(400, 21), person(421, bank_code="ABC", outlet_code="ABC-0101")])
    plan_as(settings, "keyless", 1, "planner")
    release_wave(settings, "keyless", 1, "releaser")
    Sealer(settings).seal_wave("keyless", 1)
    with connect(intakes.url) as connection:
        for factory, application in (("F-ICBC", "A-400"), ("F-ABC", "A-421")):
            ref = card_ref_of("keyless", application)
            merge(connection, report(factory, "s", [item("SPOILED", ref, 1, reason="CHIP_FAULT")]))
    decide(settings)
    with connect(intakes.url) as connection:
        assert plan_remakes(connection, OPENS) == 2
    (tmp_path / "F-ICBC.pem").write_bytes((settings.partner_keys_dir / "F-ICBC.pem").read_bytes())
    seal_remakes(replace(settings, partner_keys_dir=tmp_path))
    sealed = intakes.rows("SELECT factory FROM sealed_job JOIN job USING (job_id) WHERE remake")
    assert sealed == [("F-ICBC",)]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="I25 way to collect and place are not frozen at release")
def test_a_job_file_holds_the_terms_of_its_release(intakes: Intakes) -> None:
    settings = intakes.settings
    intakes.take_in("terms", people(430, 1))
    plan_as(settings, "terms", 1, "planner")
    release_wave(settings, "terms", 1, "releaser")
    with connect(intakes.url) as connection:
        ref = card_ref_of("terms", "A-430")
        connection.execute("UPDATE card SET place = 'ICBC-0999' WHERE card_ref = %s", (ref,))
    sealer = Sealer(settings)
    (job,) = sealer.unsealed("terms", 1)
    assert [record["place"] for record in sealer.contents(job).records] == ["ICBC-0101"]


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="L24 a notice decided meanwhile is claimed, never sent")
def test_every_decided_notice_is_in_a_file(intakes: Intakes) -> None:
    intakes.take_in("told", people(440, 1))
    decide_notice = (
        "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
        " SELECT card_ref, 1, 'NOTICE', %s, 'READY', %s, 'policy' FROM card"
        " WHERE card_ref = %s"
    )
    ref = card_ref_of("told", "A-440")
    with connect(intakes.url) as connection:
        connection.execute(decide_notice, ("READY:H:1", OPENS, ref))
    sending = threading.Thread(target=send_notices, args=(intakes.settings,))
    with connect(intakes.url) as connection:
        connection.execute("LOCK TABLE partner_key IN ACCESS EXCLUSIVE MODE")
        sending.start()
        sending.join(2)  # it has read what is to be told, and waits for the notifier's key
        connection.execute(decide_notice, ("READY:H:2", OPENS, ref))
    sending.join(10)
    send_notices(intakes.settings)
    bodies = intakes.rows("SELECT body FROM outbox WHERE record = 'notice' AND key = 'told'")
    assert sum(decode_body("notice", bytes(body))["count"] for (body,) in bodies) == 2
