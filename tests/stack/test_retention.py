"""Erasure: on its day and not earlier, everywhere, once, also after a crash; what is restored opens no more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from cohort_fixture import changed, every_row
from desk_fixture import LogIn
from intake_fixture import Intakes
from ledger_fixture import CITIES, fresh_database, tamper
from retention_fixture import CLOSED, Cohort, everything_readable, hashes_of, raw_bodies, values_of

from issuance.breaks.resolve import resolve_break
from issuance.breaks.settle import difference, settle
from issuance.city.policy import load_policy
from issuance.cli import cli
from issuance.dispatch.seal import Job, Sealer
from issuance.errors import IssuanceError, Refused, Unavailable
from issuance.intake.accept import accept_part
from issuance.ledger.connection import connect
from issuance.proof.verify import verify_ledger
from issuance.retention import cohorts as erasing
from issuance.retention import erase as erasing_persons
from issuance.retention.cohorts import erase_cohort, run_retention
from issuance.retention.due import list_retention
from issuance.retention.erase import complete_erasures, erase_person
from issuance.retention.export import export_person
from issuance.retention.persons import Named
from issuance.settings import ROOT, Settings
from issuance.stack.postgres import binary
from issuance.tracking.notices import send_notices
from issuance.tracking.told import Telling, drop_event, tell_event
from issuance.vault.blocks import PersonErased, Vault
from issuance.vault.envelopes import open_sealed
from issuance.vault.keys import KeyDestroyed, KeyService, NamedKey
from issuance.vault.objects import ObjectStore
from issuance.words.codes import ERASURE_GROUNDS, KEPT_REASONS

DUE = CLOSED + timedelta(days=180)


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own, of a city that takes cohorts in whatever share of them is quarantined."""
    directory = tmp_path_factory.mktemp("retention")
    made = Intakes(stack, "retention", directory)
    tolerant = changed(stack, made.url, directory, {"warn_ratio": 1.0, "refuse_ratio": 1.0}, {})
    keys_dir = shutil.copytree(stack.keys_dir, directory / "keys", ignore=lambda *_: {"cohorts"})
    made.settings = replace(tolerant, part_rows=250, keys_dir=Path(keys_dir))
    yield made
    made.close()


def on(intakes: Intakes, day: date) -> None:
    """It is this day: the business clock, which only ever goes on, set by hand."""
    with connect(intakes.url) as connection:
        connection.execute("UPDATE business_clock SET day = %s", (day,))


def standing_of(settings: Settings, cohort: str) -> tuple[str, dict[str, Any]]:
    with connect(settings.database_url) as connection:
        (found,) = list_retention(connection, settings, cohort)
    return found.status, found.as_dict()


def verified(intakes: Intakes) -> list[str]:
    with connect(intakes.url) as connection:
        return verify_ledger(connection, CITIES)


# A cohort


def test_a_cohort_is_erased_on_its_day_and_not_a_day_earlier(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "day", 10).take_in()
    on(intakes, DUE + timedelta(days=400))
    with pytest.raises(Refused, match="NOT_CLOSED"):
        erase_cohort(intakes.settings, "day", "clerk")
    cohort.close()
    on(intakes, DUE - timedelta(days=1))
    with pytest.raises(Refused, match=rf"NOT_DUE.*{DUE}"):
        erase_cohort(intakes.settings, "day", "clerk")
    assert run_retention(intakes.settings, "pipeline") == []
    assert standing_of(intakes.settings, "day")[0] == "waits"
    on(intakes, DUE)
    (certificate,) = run_retention(intakes.settings, "pipeline")
    assert (certificate["cohort_id"], certificate["content"]["finished_on"]) == ("day", str(DUE))
    assert standing_of(intakes.settings, "day")[0] == "erased"


def test_open_breaks_keep_a_cohort(intakes: Intakes) -> None:
    Cohort(intakes, "breaks", 20).take_in().close()
    on(intakes, DUE)
    with connect(intakes.url) as connection:
        found = difference(
            "'CONFLICT'", cohort_no="cohort_no", reference="'r'", expected="'one value'", actual="'two values'"
        )
        settle(connection, CLOSED, ["CONFLICT"], f"SELECT {found} FROM cohort WHERE cohort_id = 'breaks'")
        (break_id,) = connection.execute("SELECT break_id::text FROM break").fetchone() or ("",)
    with pytest.raises(Refused, match="BREAKS_OPEN"):
        erase_cohort(intakes.settings, "breaks", "clerk")
    assert run_retention(intakes.settings, "pipeline") == []
    with connect(intakes.url) as connection:
        resolve_break(connection, break_id, "clerk", "seen", CLOSED)
    assert len(run_retention(intakes.settings, "pipeline")) == 1


def test_what_tells_of_a_person_is_found_everywhere_before_and_nowhere_after(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "canary", 30).take_in().dispatch().close()
    on(intakes, DUE)
    opening = KeyService(intakes.settings.keys_dir).opening_key()
    canaries = [value.encode() for row in cohort.rows for value in values_of(row)] + [cohort.new_phone.encode()]
    mine = [key for key in everything_readable(intakes.settings) if "canary" in key]
    before = everything_readable(intakes.settings)
    found_in = {key.split("/")[0] for key, content in before.items() if any(c in content for c in canaries)}
    assert found_in == {"inbox", "vault", "factories", "notices"}
    assert sum(b"\xff\xd8\xff" in before[key] for key in mine) == 2, "the photo in the vault and at the factory"
    with connect(intakes.url) as connection:
        assert "金丝雀死信".encode() in raw_bodies(connection, opening)
    tables = json.dumps(every_row(intakes.url), ensure_ascii=False)
    assert any(found in tables for found in hashes_of(intakes.settings, cohort.rows))

    certificate = erase_cohort(intakes.settings, "canary", "clerk")["content"]

    after = everything_readable(intakes.settings)
    assert not [key for key, content in after.items() for c in canaries if c in content]
    assert not [key for key in after if "/canary/" in key or "/canary." in key]
    with connect(intakes.url) as connection:
        assert "金丝雀死信".encode() not in raw_bodies(connection, opening)
    tables = json.dumps(every_row(intakes.url), ensure_ascii=False)
    assert not [found for found in hashes_of(intakes.settings, cohort.rows) if found in tables]
    assert not [c for c in canaries if c.decode() in tables]
    names = [path.name for path in intakes.settings.keys_dir.rglob("*canary*")]
    assert names == ["canary.destroyed"]
    assert (intakes.settings.keys_dir / "cohorts" / "canary.destroyed").read_bytes() == b""
    assert certificate["objects"] == {
        "part": 1, "validated": 1, "manifest": 1, "photo": 1, "block": 1, "overlay": 1, "data_docs": 2,
        "job_file": 1, "job_photo": 1, "pack_list": 1, "contact_file": 1,
    }  # fmt: skip
    assert certificate["dead_letters"] == 1
    assert certificate["hashes"] == {"row_outcome": 4, "card": 4, "holder_event": 0, "told_event": 0, "acceptance": 4}
    assert verified(intakes) == []


def test_facts_and_decisions_stay_and_can_be_shown(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "facts", 40).take_in().dispatch().make_and_hand_over().close()
    kept = "SELECT t::text FROM {} t WHERE card_ref = ANY (%s) ORDER BY 1"
    before = {table: intakes.rows(kept.format(table), cohort.refs) for table in ("fact", "decision", "plastic")}
    on(intakes, DUE)
    erase_cohort(intakes.settings, "facts", "clerk")
    assert {table: intakes.rows(kept.format(table), cohort.refs) for table in before} == before
    assert all(before.values())
    assert verified(intakes) == []


def test_erasing_twice_is_once(intakes: Intakes) -> None:
    Cohort(intakes, "twice", 50).take_in().close()
    on(intakes, DUE)
    first = erase_cohort(intakes.settings, "twice", "clerk")
    rows = every_row(intakes.url)
    assert erase_cohort(intakes.settings, "twice", "somebody else") == first
    assert run_retention(intakes.settings, "pipeline") == []
    assert every_row(intakes.url) == rows


@pytest.mark.parametrize("step", ["destroy_cohort_key", "_erase_objects", "_finish"])
def test_a_run_that_broke_off_is_ended_by_the_next(
    intakes: Intakes, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"crash{len(step)}"
    Cohort(intakes, name, 60 + len(step) * 10).take_in().close()
    on(intakes, DUE)

    def crash(*given: Any) -> None:
        raise Unavailable("S3_UNAVAILABLE", "the process was killed here")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(KeyService if step == "destroy_cohort_key" else erasing, step, crash)
        erase_cohort(intakes.settings, name, "clerk")
    assert standing_of(intakes.settings, name)[0] == "begun"
    with connect(intakes.url) as connection:  # late evidence reopens the cohort meanwhile
        connection.execute("UPDATE cohort SET state = 'DISPATCHED', closed_on = NULL WHERE cohort_id = %s", (name,))
    (certificate,) = run_retention(intakes.settings, "pipeline")
    content = certificate["content"]
    assert (content["begun_by"], content["finished_by"]) == ("clerk", "pipeline")
    assert content["objects"]["part"] == content["objects"]["block"] == 1, "counts are those of the beginning"
    assert not [key for key in ObjectStore.of(intakes.settings).list("") if f"/{name}/" in key]


def test_a_live_card_is_guarded_until_it_is_live_no_more(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "live", 400).take_in().close(states="ACTIVE")
    on(intakes, DUE)
    content = erase_cohort(intakes.settings, "live", "clerk")["content"]
    assert content["kept"] == [{"what": "acceptance", "count": 4, "reason": "LIVE_CARD"}]
    again = [
        row | {"application_id": f"B-{n}", "photo_ref": "", "photo_sha256": ""} for n, row in enumerate(cohort.rows[:4])
    ]
    intakes.take_in("live2", again)
    assert {outcome for outcome, _ in intakes.outcomes("live2").values()} == {"duplicate"}
    with connect(intakes.url) as connection:
        connection.execute("UPDATE card SET state = 'CANCELLED' WHERE card_ref = %s", (cohort.refs[0],))
        connection.execute("UPDATE tally SET cards = 3 WHERE state = 'ACTIVE'")
        connection.execute("INSERT INTO tally SELECT cohort_no, 'CANCELLED', 1 FROM cohort WHERE cohort_id = 'live'")
    (released,) = run_retention(intakes.settings, "pipeline")
    assert released["content"]["hashes"] == {"acceptance": 1}
    assert verified(intakes) == []


def test_a_reopened_cohort_is_not_dispatched_anew(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "reopened", 410).take_in().dispatch().close()
    on(intakes, DUE)
    erase_cohort(intakes.settings, "reopened", "clerk")
    with connect(intakes.url) as connection:
        connection.execute("UPDATE cohort SET state = 'DISPATCHED', closed_on = NULL WHERE cohort_id = 'reopened'")
        tamper(connection, "DELETE FROM sealed_job USING job WHERE job.job_id = sealed_job.job_id")
        connection.execute(
            "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
            " VALUES (%s, 1, 'NOTICE', 'late', 'REMADE', %s, 'rules')", (cohort.refs[0], DUE)
        )  # fmt: skip
        assert cohort.event(connection, "late", "NAME_CHANGED", name="王小二") == "DATA_ERASED"
        assert cohort.event(connection, "dead", "DEATH") is None, "what needs no values is recorded"
        connection.rollback()
    with pytest.raises(KeyDestroyed, match=r"reopened 的个人数据已清除.*submitted anew"):
        with connect(intakes.url) as connection:
            job = Job(*connection.execute(
                "SELECT job_id, cohort_no, cohort_id, wave, bank, factory, due_on, card_count, hash_total FROM job"
                " JOIN cohort USING (cohort_no) WHERE cohort_id = 'reopened'"
            ).fetchone())  # type: ignore[misc]  # fmt: skip
        Sealer(intakes.settings).seal_job(job)
    with pytest.raises(KeyDestroyed):
        intakes.submit("reopened", intakes.file("more.csv", cohort.rows), len(cohort.rows), amends=True)
    assert send_notices(intakes.settings) == 0, "others' notices do not wait for one that nobody can send"


def test_yesterdays_backups_open_nothing(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "backup", 420).take_in().dispatch().close()
    store = ObjectStore.of(intakes.settings)
    dump = subprocess.run(
        [binary("pg_dump"), "--format=custom", intakes.url], capture_output=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    yesterday = {key: store.get(key) for key in store.list("") if "/backup/" in key or "/backup." in key}
    on(intakes, DUE)
    erase_cohort(intakes.settings, "backup", "clerk")

    restored = replace(intakes.settings, database_url=fresh_database(intakes.url, "ledger_restored"))
    subprocess.run(
        [binary("pg_restore"), "--no-owner", "--dbname", restored.database_url], input=dump, check=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    for key, content in yesterday.items():
        store.put(key, content)
    with connect(restored.database_url) as connection:
        places = connection.execute(
            "SELECT block, position FROM card WHERE card_ref = ANY (%s)", (cohort.refs,)
        ).fetchall()
    assert len(places) == 4
    keys = KeyService(restored.keys_dir)
    for block, position in places:
        with pytest.raises(KeyDestroyed):
            next(Vault(store, keys, "backup").read_persons([(block, position, [])]))
    ours = [keys.opening_key(), keys.signing_key(DUE)]
    sealed = [key for key in yesterday if not key.startswith("data-docs/") and not key.endswith("manifest.json")]
    assert len(sealed) == 9
    for key in sealed:
        with pytest.raises(KeyDestroyed):
            keys.open("backup", key, yesterday[key])
        for private in ours:
            with pytest.raises(IssuanceError):
                open_sealed(private, yesterday[key])
    store.delete_all(yesterday)


def test_a_refused_cohort_is_erased_too(intakes: Intakes, tmp_path: Path, stack: Settings) -> None:
    cohort = Cohort(intakes, "refused", 430)
    intakes.submit("refused", intakes.file("refused.csv", cohort.rows), len(cohort.rows))
    with connect(intakes.url) as connection:
        connection.execute("UPDATE submission SET declared = 99 WHERE sha256 = (SELECT sha256 FROM submission s"
                           " JOIN cohort USING (cohort_no) WHERE cohort_id = 'refused')")  # fmt: skip
    on(intakes, CLOSED)
    assert intakes.finish(intakes.validate("refused")) == "REFUSED"
    assert standing_of(intakes.settings, "refused")[1]["due_on"] == DUE
    on(intakes, DUE)
    assert erase_cohort(intakes.settings, "refused", "clerk")["content"]["objects"]["part"] == 1


# A person


def test_one_person_is_erased_and_the_neighbours_are_as_they_were(intakes: Intakes) -> None:
    on(intakes, CLOSED)
    cohort = Cohort(intakes, "person", 500).take_in().dispatch().make_and_hand_over().close()
    on(intakes, CLOSED + timedelta(days=10))
    vault = Vault(ObjectStore.of(intakes.settings), KeyService(intakes.settings.keys_dir), "person")
    of = "SELECT card_ref, block, position FROM card WHERE card_ref = ANY (%s) ORDER BY block, position"
    places = {ref: (block, position, []) for ref, block, position in intakes.rows(of, cohort.refs)}
    before = {ref: next(vault.read_persons([place])) for ref, place in places.items()}
    paper = f"户口簿 {cohort.rows[0]['name']}"
    with connect(intakes.url) as connection:
        told = Telling("DEATH", CLOSED, paper, {})
        event_no = tell_event(connection, intakes.settings, str(cohort.refs[0]), told, "clerk")["event_no"]
        drop_event(connection, event_no, f"alive: {paper}", "clerk")
    assert json.dumps(every_row(intakes.url), ensure_ascii=False).count(paper) == 2
    canaries = [value.encode() for value in [*values_of(cohort.rows[0]), cohort.new_phone]]
    assert sum(c in content for content in everything_readable(intakes.settings).values() for c in canaries) > 8

    certificate = erase_person(intakes.settings, Named(str(cohort.refs[0])), "REQUESTED", "clerk")["content"]

    after = everything_readable(intakes.settings)
    assert not [key for key, content in after.items() for c in canaries if c in content]
    vault = Vault(ObjectStore.of(intakes.settings), KeyService(intakes.settings.keys_dir), "person")
    with pytest.raises(PersonErased):
        next(vault.read_persons([places[cohort.refs[0]]]))
    for ref in cohort.refs[1:]:
        assert next(vault.read_persons([places[ref]])) == before[ref]
    raw = next(content for key, content in after.items() if "/person/" in key and key.endswith("part-00001"))
    assert all(row["id_number"].encode() in raw for row in cohort.rows[1:]), "the others' rows, quarantined ones too"
    tables = json.dumps(every_row(intakes.url), ensure_ascii=False)
    first, *others = hashes_of(intakes.settings, cohort.rows[:4])
    assert first not in tables
    assert paper not in tables
    assert certificate["hashes"]["told_event"] == 1
    assert all(other in tables for other in others)
    assert certificate["positions"] == certificate["rows"] == 1
    assert certificate["kept"] == []
    assert set(certificate["objects"]) == {
        "validated", "overlay", "photo", "job_file", "job_photo", "pack_list", "contact_file"
    }  # fmt: skip
    assert verified(intakes) == []


def test_a_card_in_use_is_erased_only_for_a_legal_reason(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "using", 510).take_in()
    named = Named(application=("using", "A-1"))
    with pytest.raises(Refused, match=r"PERSON_IN_USE.*WAITING"):
        erase_person(intakes.settings, named, "REQUESTED", "clerk")
    content = erase_person(intakes.settings, named, "CONSENT_WITHDRAWN", "clerk")["content"]
    assert content["cards"] == [str(cohort.refs[1])]
    assert intakes.rows("SELECT withdrawn FROM card WHERE card_ref = %s", cohort.refs[1]) == [("WITHDRAWN",)]
    cohort.dispatch()
    assert intakes.rows("SELECT FROM job_item WHERE card_ref = %s", cohort.refs[1]) == []


def test_a_job_that_has_not_ended_keeps_its_file_and_an_unsealed_one_refuses(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "keeping", 520).take_in().dispatch()
    content = erase_person(intakes.settings, Named(str(cohort.refs[0])), "UNLAWFUL", "clerk")["content"]
    assert {entry["reason"] for entry in content["kept"]} == {"JOB_NOT_ENDED", "NOTICE_RECENT"}
    assert {entry["reason"] for entry in content["kept"]} <= set(KEPT_REASONS)
    with connect(intakes.url) as connection:
        statement = "DELETE FROM sealed_job s USING job_item i WHERE i.job_id = s.job_id AND card_ref = %s"
        tamper(connection, statement, (cohort.refs[2],))
    with pytest.raises(Refused, match=r"CARD_BEING_ORDERED.*keeping\.1\.ICBC"):
        erase_person(intakes.settings, Named(str(cohort.refs[2])), "UNLAWFUL", "clerk")


@pytest.mark.parametrize("step", [pytest.param("_drop_lines", marks=pytest.mark.slow), "_finish"])
def test_a_persons_erasure_that_broke_off_is_ended(
    intakes: Intakes, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Cohort(intakes, f"torn{len(step)}", 600 + 10 * len(step)).take_in().close()
    named = Named(str(cohort.refs[0]))

    def crash(*given: Any) -> None:
        raise Unavailable("S3_UNAVAILABLE", "the process was killed here")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(erasing_persons, step, crash)
        erase_person(intakes.settings, named, "REQUESTED", "clerk")
    (certificate,) = complete_erasures(intakes.settings, "pipeline")
    assert (certificate["content"]["begun_by"], certificate["content"]["rows"]) == ("clerk", 1)
    rows = every_row(intakes.url)
    assert erase_person(intakes.settings, named, "REQUESTED", "clerk") == certificate
    assert every_row(intakes.url) == rows
    number = cohort.rows[0]["id_number"].encode()
    assert not [key for key, content in everything_readable(intakes.settings).items() if number in content]


def test_acceptance_is_not_repeated_over_an_erased_person(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "repeat", 530).take_in().close()
    erase_person(intakes.settings, Named(str(cohort.refs[0])), "REQUESTED", "clerk")
    intake = intakes.validate("repeat")  # writes the validated part anew, without the person
    with pytest.raises(IssuanceError, match="ROWS_MISSING"):
        accept_part(intake, 1)
    assert len(intake.parts.read(part_of(intakes, "repeat"))) == 4


def part_of(intakes: Intakes, cohort: str) -> str:
    """The object key of a cohort's only inbox part."""
    ((key,),) = intakes.rows("SELECT object FROM part JOIN cohort USING (cohort_no) WHERE cohort_id = %s", cohort)
    return str(key)


def test_a_person_gets_everything_that_is_held(intakes: Intakes) -> None:
    cohort = Cohort(intakes, "copy", 540).take_in().dispatch().make_and_hand_over()
    hash_ = KeyService(intakes.settings.keys_dir).person_hash("resident_id", cohort.rows[0]["id_number"])

    with connect(intakes.url) as connection:
        tell_event(connection, intakes.settings, str(cohort.refs[0]), Telling("DEATH", CLOSED, "form 9", {}), "clerk")

    def export(key: bytes | None) -> tuple[bytes, dict[str, int]]:
        with connect(intakes.url) as connection:
            return export_person(connection, intakes.settings, Named(person=hash_), "clerk", "asked", key)

    content, counts = export(None)
    assert counts == {"cards": 1, "rows": 1, "photos": 1}
    told = json.loads(content)
    (card,) = told["cards"]
    assert (card["person"]["phone"], card["changes"]) == (cohort.new_phone, [{"phone": cohort.new_phone}])
    assert told["rows"][0]["values"]["phone"] == cohort.rows[0]["phone"], "as it was submitted"
    assert {fact["milestone"] for fact in card["facts"]} == {"MADE", "HANDED_OVER"}
    assert [notice["template"] for notice in card["notices"]] == ["RECEIVED"]
    assert card["plastics"][0]["factory"] == "F-ICBC"
    assert [told["paper"] for told in card["told_events"]] == ["form 9"]
    others = [value for row in cohort.rows[1:] for value in values_of(row)]
    assert not [value for value in others if value.encode() in content]
    private = intakes.settings.partner_credentials_dir / "F-ICBC" / "private.pem"
    public = intakes.settings.partner_keys_dir / "F-ICBC.pem"
    sealed, _ = export(public.read_bytes())
    clear = open_sealed(NamedKey("F-ICBC", private.read_bytes()), sealed)
    assert json.loads(clear)["cards"][0]["person"] == card["person"]
    acts = intakes.rows("SELECT act, subject FROM audit WHERE act = 'export person'")
    assert acts == [("export person", str(cohort.refs[0]))] * 2


# The command line


@pytest.fixture
def invoke(intakes: Intakes, log_in: LogIn) -> Callable[..., Any]:
    """The command line of this module's ledger, as the user 'clerk'; returns what a command says, as JSON."""
    log_in(intakes.settings, "clerk")

    def run(*words: str, stdin: str = "") -> Any:
        done = CliRunner().invoke(cli, [*words, "--json"], input=stdin)
        if isinstance(done.exception, IssuanceError):
            raise done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    return run


def test_commands_of_retention(intakes: Intakes, invoke: Callable[..., Any]) -> None:
    Cohort(intakes, "words", 550).take_in().close()
    on(intakes, DUE - timedelta(days=1))
    (waits,) = [row for row in invoke("retention", "list") if row["cohort_id"] == "words"]
    assert (waits["status"], waits["due_on"]) == ("waits", str(DUE))
    with pytest.raises(Refused, match="NOT_DUE"):
        invoke("retention", "run", "words")
    on(intakes, DUE)
    (certificate,) = invoke("retention", "run", "words")
    assert invoke("retention", "certificate", "words") == [certificate]
    assert invoke("retention", "certificate", "--number", str(certificate["certificate"])) == [certificate]
    (entry,) = intakes.rows('SELECT "user", act, details FROM audit WHERE number = %s', certificate["audit_entry"])
    named = {"certificate": certificate["certificate"], "sha256": certificate["sha256"]}
    assert entry == ("clerk", "erase", named)
    with pytest.raises(Refused, match="CERTIFICATE_UNKNOWN"):
        invoke("retention", "certificate", "never")


def test_commands_of_a_person(intakes: Intakes, invoke: Callable[..., Any], tmp_path: Path) -> None:
    cohort = Cohort(intakes, "spoken", 560).take_in()
    number = cohort.rows[2]["id_number"]
    by_number = ("--id-type", "resident_id", "--reason", "the person asks")
    counts = invoke("person", "export", str(tmp_path / "copy.json"), *by_number, stdin=f"{number.lower()}\n")
    assert counts["cards"] == counts["rows"] == 1
    with pytest.raises(Refused, match="PERSON_UNKNOWN"):
        invoke("person", "export", str(tmp_path / "none.json"), *by_number, stdin="110105194912310000\n")
    assert not (tmp_path / "none.json").exists()
    with pytest.raises(Refused, match="PERSON_IN_USE"):
        invoke("person", "erase", "--application", "spoken", "A-2")
    found = invoke("person", "erase", "--application", "spoken", "A-2", "--ground", "OTHER_LAW")
    assert (found["content"]["cards"], found["content"]["ground"]) == ([str(cohort.refs[2])], "OTHER_LAW")
    acts = intakes.rows('SELECT "user", act FROM audit WHERE subject = %s ORDER BY number', str(cohort.refs[2]))
    assert acts == [("clerk", "export person"), ("clerk", "erase person")]


@pytest.mark.parametrize("words", [(), ("--card", "x", "--id-type", "passport")])
def test_a_person_is_named_in_one_way(intakes: Intakes, invoke: Callable[..., Any], words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["person", "erase", *words])
    assert done.exit_code == 2


# Certificates and tables


def test_a_certificate_that_was_altered_or_taken_away_is_found(intakes: Intakes) -> None:
    (first, second) = (row[0] for row in intakes.rows("SELECT min(certificate_no) FROM certificate"
                       " UNION ALL SELECT max(certificate_no) FROM certificate"))  # fmt: skip
    with connect(intakes.url) as connection:
        connection.execute(
            'UPDATE certificate SET content = content || \'{"key": "x"}\' WHERE certificate_no = %s', (first,)
        )
        connection.execute("DELETE FROM certificate WHERE certificate_no = %s", (second,))
        said = verify_ledger(connection, CITIES)
        connection.rollback()
    assert said[0] == f"certificate {first} was altered"
    assert said[1].startswith(f"certificate {second} of audit entry ")
    assert said[1].endswith("is missing")
    assert len(said) == 2


def test_sealed_values_leave_kafka_before_their_cohort_is_erased() -> None:
    topics = yaml.safe_load((ROOT / "schemas" / "topics.yaml").read_text(encoding="utf-8"))
    kept = max(topics["families"]["holder-events"]["retention_days"], topics["dlq"]["retention_days"])
    cities = [path.stem for path in sorted((ROOT / "policies").glob("[0-9]*.yaml"))]
    assert kept <= min(load_policy(ROOT / "policies", city).retention_days for city in cities)


def test_every_ground_and_reason_is_said_in_both_languages() -> None:
    assert all(zh and en for zh, en in [*ERASURE_GROUNDS.values(), *KEPT_REASONS.values()])
