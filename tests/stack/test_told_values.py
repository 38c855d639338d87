"""Personal values at the desk: told changes, a phone in clear, a person found by ID number; none is left about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cohort_fixture import every_row
from desk_fixture import LogIn
from intake_fixture import Intakes, person
from ledger_fixture import OPENS

from issuance.cli import cli
from issuance.errors import Refused
from issuance.intake.accept import VAULT_FIELDS
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import Connection, connect
from issuance.ledger.overlays import overlays
from issuance.settings import Settings
from issuance.tracking.told import Telling, list_told, tell_event
from issuance.vault.blocks import Vault
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore

NEW_PHONE = "13911112222"


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    made = Intakes(stack, "told", tmp_path_factory.mktemp("told"))
    made.take_in("told", [person(1), person(2)])
    yield made
    made.close()


@pytest.fixture
def card(intakes: Intakes) -> str:
    return str(intakes.rows("SELECT card_ref FROM card WHERE application_id = 'A-1'")[0][0])


def run(*words: str, stdin: str = "") -> Any:
    done = CliRunner().invoke(cli, [*words, "--json"], input=stdin)
    if isinstance(done.exception, Refused):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_phone_is_changed_shown_with_a_reason_and_stands_nowhere_else(
    intakes: Intakes, card: str, log_in: LogIn, capfd: pytest.CaptureFixture[str]
) -> None:
    log_in(intakes.settings, "clerk")
    before = run("card", "phone", card, "--reason", "the letter came back")
    assert before == {"card_ref": card, "phone": person(1)["phone"]}
    tell = ("event", "add", card, "PHONE_CHANGED", "--on", "2025-10-01", "--paper", "form 12", "--ask", "phone")
    assert run(*tell, stdin=f"{NEW_PHONE}\n")["acts"] == "now"
    assert run("card", "phone", card, "--reason", "to tell them")["phone"] == NEW_PHONE
    with pytest.raises(Refused, match="REASON_MISSING"):
        run("card", "phone", card, "--reason", " ")
    acts = intakes.rows("SELECT act, details ->> 'reason' FROM audit WHERE act = 'unmask phone' ORDER BY number")
    assert acts == [("unmask phone", "the letter came back"), ("unmask phone", "to tell them")]
    everything = json.dumps(every_row(intakes.url)) + capfd.readouterr().err
    assert NEW_PHONE not in everything
    assert person(1)["phone"] not in everything
    with connect(intakes.url) as connection:
        assert verify_audit(connection) == []


NEW_ADDRESS = {"address": "河北省燕郊二号", "postcode": "065201"}
CHANGES = {
    "ADDRESS_CHANGED": NEW_ADDRESS,
    "NAME_CHANGED": {"name": "王小军"},
    "COLLECTION_CHANGED": {"collection_method": "mail", **NEW_ADDRESS},
}


def ref_of(connection: Connection) -> str:
    """The second card."""
    (row,) = connection.execute("SELECT card_ref::text FROM card WHERE application_id = 'A-2'").fetchall()
    return str(row[0])


@pytest.mark.parametrize("event", CHANGES)
def test_what_is_told_with_a_paper_acts_at_once_and_lies_in_the_vault_alone(intakes: Intakes, event: str) -> None:
    with connect(intakes.url) as connection:
        ref = ref_of(connection)
        told = tell_event(
            connection, intakes.settings, ref, Telling(event, OPENS, "form 3", CHANGES[event]), "operator"
        )
        assert told["acts"] == "now"
    with connect(intakes.url) as connection:
        held = connection.execute(
            f"SELECT block, position, overlays FROM card c {overlays()} WHERE card_ref = %s", (ref,)
        ).fetchall()
        vault = Vault(ObjectStore.of(intakes.settings), KeyService(intakes.settings.keys_dir), "told")
        (found,) = vault.read_persons(held)
        assert {name: found.get(name) for name in CHANGES[event] if name in VAULT_FIELDS} == {
            name: value for name, value in CHANGES[event].items() if name in VAULT_FIELDS
        }
    everything = json.dumps(every_row(intakes.url), ensure_ascii=False)
    assert not [value for value in CHANGES[event].values() if value in everything and value != "mail"]


@pytest.mark.parametrize(
    ("event", "values", "code"),
    [
        ("ADDRESS_CHANGED", {"address": "河北"}, "FIELD_MISSING"),
        ("NAME_CHANGED", {"name": "?"}, "FIELD_INVALID"),
        ("NAME_CHANGED", {"name": "王小军", "phone": NEW_PHONE}, "FIELD_INVALID"),
    ],
)
def test_values_that_are_refused_leave_no_event(
    intakes: Intakes, event: str, values: dict[str, str], code: str
) -> None:
    with connect(intakes.url) as connection:
        before = list_told(connection)
        with pytest.raises(Refused, match=code):
            tell_event(
                connection, intakes.settings, ref_of(connection), Telling(event, OPENS, "form 3", values), "operator"
            )
        assert list_told(connection) == before


def test_a_value_that_the_rules_of_intake_refuse_is_refused(intakes: Intakes, card: str, log_in: LogIn) -> None:
    log_in(intakes.settings, "clerk")
    tell = ("event", "add", card, "PHONE_CHANGED", "--on", "2025-10-01", "--paper", "form 12", "--ask", "phone")
    with pytest.raises(Refused, match="FIELD_INVALID"):
        run(*tell, stdin="12\n")


def test_a_person_is_found_by_number_which_is_in_no_address(
    intakes: Intakes, card: str, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    address = log_in(intakes.settings, "clerk", ("view",))
    number = person(1)["id_number"]
    with caplog.at_level("INFO"):
        assert [row["card_ref"] for row in run("person", "find", stdin=f" {number.lower()}\n")] == [card]
        headers = {"Authorization": "Bearer token-of-clerk"}
        httpx.get(f"{address}/api/v1/cards", params={"words": number}, headers=headers)  # somebody will type it there
        httpx.get(f"{address}/api/v1/cards/{number}", headers=headers)
    own = [record.getMessage() for record in caplog.records if record.name.startswith(("issuance", "uvicorn"))]
    assert "GET /api/v1/cards/{card_ref} 404" in " ".join(own)
    assert not [line for line in own if number in line]
    with pytest.raises(Refused, match="PERSON_UNKNOWN"):
        run("person", "find", stdin="110105194912310021\n")


def test_nobody_without_the_right_sees_a_phone(intakes: Intakes, card: str, log_in: LogIn) -> None:
    log_in(intakes.settings, "viewer", ("view", "tell", "resolve", "admin"))
    with pytest.raises(Refused, match="NOT_ALLOWED"):
        run("card", "phone", card, "--reason", "curious")


def test_a_packages_files_and_photos_come_in_by_the_desk_and_the_key_of_others_opens_nothing(
    intakes: Intakes, log_in: LogIn, tmp_path: Path
) -> None:
    log_in(intakes.settings, "submitter", ("view", "submit"))
    file = intakes.file("desk.csv", [person(7), person(8)])
    words = ["--cohort", "by-desk", "--city", "110000", "--category", "retiree", "--opens", "2025-10-09"]
    tried = run("submit", str(file), *words, "--declared", "2", "--dry-run")
    assert (tried["state"], tried["rows"]) == ("acceptable", 2)
    assert intakes.rows("SELECT FROM cohort WHERE cohort_id = 'by-desk'") == []
    made = run("submit", str(file), *words, "--declared", "2")
    assert (made["state"], made["rows"], made["parts"]) == ("submitted", 2, 1)
    with pytest.raises(Refused, match="COUNT_DIFFERS"):
        run("submit", str(file), *[w.replace("by-desk", "other") for w in words], "--declared", "3")
    with pytest.raises(Refused, match="CITY_NOT_SERVED"):
        run("submit", str(file), *[w.replace("110000", "310000") for w in words], "--declared", "2", "--dry-run")
