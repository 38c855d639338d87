"""What a factory gets: the granted fields and no more, photos and pack lists beside, postage as the policy says."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import fastavro
import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from joserfc import jws
from ledger_fixture import PERSON, tamper

from issuance.city.partners import GRANTABLE, load_registry
from issuance.city.policy import load_policy
from issuance.dispatch.plan import wave_to_plan
from issuance.dispatch.release import refuse_wave, release_wave
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal import Sealer
from issuance.errors import Misconfigured
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import JWS, key_of, open_sealed
from issuance.vault.keys import KeyService, NamedKey
from issuance.vault.objects import ObjectStore
from issuance.vault.photos import photo_key
from issuance.words.references import card_ref_of, hash_total

DUE = TODAY.replace(month=11)
PHOTO = b"\xff\xd8 a photo"
WAYS = ("outlet", "mail", "home_delivery", "employer", "employer", "service_point")


@pytest.fixture
def url(ledger_url: str) -> str:
    """The module's ledger, empty again."""
    empty(ledger_url)
    return ledger_url


class Own(NamedTuple):
    """A cohort of a test's own: what is stored of another one stays."""

    settings: Settings
    cohort_id: str

    def ref(self, number: int) -> str:
        """A card_ref."""
        return str(card_ref_of(self.cohort_id, f"A{number}"))


@pytest.fixture
def own(stack: Settings, url: str, tmp_path: Path) -> Own:
    """A cohort of ICBC cards, one by each way to collect (two of one employer), the last with a photo of its own."""
    cohort_id = f"sealing-{uuid4()}"
    keys, store = KeyService(stack.keys_dir), ObjectStore.of(stack)
    keys.create_cohort_key(cohort_id)
    sha256 = hashlib.sha256(PHOTO).hexdigest()
    name = photo_key(cohort_id, sha256)
    store.put(name, keys.seal(cohort_id, name, PHOTO))
    masked = {"masked": "王** 1***************2X"}
    persons = [PERSON | masked | ({"photo_ref": "p.jpg", "photo_sha256": sha256} if n == 5 else {}) for n in range(6)]
    Vault(store, keys, cohort_id).write_block(1, persons)
    with connect(url) as connection:
        add_cohort(connection, cohort_id, [("ICBC", DUE)] * 6)
        for n, method in enumerate(WAYS):
            place = {"employer": "E-77"}.get(method, "110105")
            connection.execute(
                "UPDATE card SET collection_method = %s, place = %s WHERE position = %s", (method, place, n)
            )
    return Own(changed(stack, url, tmp_path, {}, {}), cohort_id)


def dispatch(own: Own) -> str:
    """Plan, release and seal the cohort's next wave; returns the id of its only job."""
    with connect(own.settings.database_url) as connection:
        wave = wave_to_plan(connection, own.cohort_id)
    plan_as(own.settings, own.cohort_id, wave, "planner")
    release_wave(own.settings, own.cohort_id, wave, "releaser")
    assert Sealer(own.settings).seal_wave(own.cohort_id, wave) == 1
    with connect(own.settings.database_url) as connection:
        (job_id,) = connection.execute("SELECT job_id FROM job WHERE wave = %s", (wave,)).fetchone() or ("",)
    return str(job_id)


def opened(own: Own, name: str) -> bytes:
    """A file as F-ICBC opens it: sealed to it, and where it is signed, signed by us."""
    private = NamedKey("F-ICBC", (own.settings.partner_credentials_dir / "F-ICBC" / "private.pem").read_bytes())
    clear = open_sealed(private, ObjectStore.of(own.settings).get(f"factories/F-ICBC/jobs/{name}"))
    if name.count("/"):
        return clear
    ours = key_of((own.settings.partner_keys_dir / "issuance.pem").read_bytes())
    return jws.deserialize_compact(clear, ours, registry=JWS).payload


def records(own: Own, job_id: str) -> dict[str, dict[str, Any]]:
    """The records of a job file by way to collect."""
    found: Iterator[Any] = fastavro.reader(io.BytesIO(opened(own, f"{job_id}.jwe")))
    return {record["collection_method"]: record for record in found}


def test_letters_carry_an_address_and_nothing_else_does(own: Own) -> None:
    found = records(own, dispatch(own))
    for method, record in found.items():
        letter = method in ("mail", "home_delivery")
        assert (record["address"], record["phone"]) == (
            (PERSON["address"], PERSON["phone"]) if letter else (None, None)
        )
        assert (record["name"], record["id_number"]) == (PERSON["name"], PERSON["id_number"])
    assert {method: record["postage"] for method, record in found.items() if record["postage"]} == {"mail": "collect"}


def test_a_factory_with_fewer_fields_gets_fewer(own: Own, tmp_path: Path, stack: Settings, url: str) -> None:
    registry = {
        "factories": {"F-ICBC": {"capacity": 100, "fields": {"name": "to print"}}, "F-RESERVE": {"capacity": 9}}
    }
    banks = {"banks": {"ICBC": {"primary": "F-ICBC"}}}
    few = own._replace(settings=changed(stack, url, tmp_path, {}, registry | banks))
    for record in records(few, dispatch(few)).values():
        assert {name for name in GRANTABLE if record[name] is not None} == {"name"}


@pytest.mark.parametrize(
    ("fields", "said"), [({"name": ""}, "without a purpose"), ({"pin": "to print"}, "not a field that can be granted")]
)
def test_a_grant_has_a_purpose_and_is_one_of_the_record(tmp_path: Path, fields: Mapping[str, str], said: str) -> None:
    text = (ROOT / "policies" / "partners.demo.yaml").read_text(encoding="utf-8")
    wrong = text.replace("F-JING: {capacity: 6000}", f"F-JING: {{capacity: 6000, fields: {json.dumps(fields)}}}")
    (tmp_path / "r.yaml").write_text(wrong, encoding="utf-8")
    with pytest.raises(Misconfigured, match=said):
        load_registry(tmp_path / "r.yaml")


def test_a_photo_that_came_along_lies_beside_sealed_to_the_same_key(own: Own) -> None:
    job_id = dispatch(own)
    found = records(own, job_id)
    ref = own.ref(5)
    assert found["service_point"]["photo_ref"] == f"factories/F-ICBC/jobs/{job_id}.photos/{ref}.jwe"
    assert opened(own, f"{job_id}.photos/{ref}.jwe") == PHOTO
    assert found["outlet"]["photo_ref"] is None, "the photo on file with HRSS"


def test_an_employers_cards_are_one_pack_with_a_signed_list(own: Own) -> None:
    job_id = dispatch(own)
    found = records(own, job_id)
    assert {method: record["pack"] for method, record in found.items() if record["pack"]} == {
        "employer": f"{job_id}/E-77"
    }
    (pack,) = json.loads(opened(own, f"{job_id}.packs.jwe"))["packs"]
    refs = [own.ref(n) for n in (3, 4)]
    assert [line["card_ref"] for line in pack["plastics"]] == refs
    assert (pack["employer_code"], pack["count"], pack["hash_total"]) == ("E-77", 2, hash_total(refs))
    assert PERSON["id_number"] not in json.dumps(pack), "masked text only"


def test_a_job_without_employers_has_no_list(own: Own) -> None:
    with connect(own.settings.database_url) as connection:
        connection.execute("DELETE FROM card WHERE collection_method = 'employer'")
    job_id = dispatch(own)
    with pytest.raises(Exception, match="OBJECT_MISSING"):
        ObjectStore.of(own.settings).get(f"factories/F-ICBC/jobs/{job_id}.packs.jwe")


def test_sealing_again_adopts_what_stands(own: Own) -> None:
    job_id = dispatch(own)
    with connect(own.settings.database_url) as connection:
        before = connection.execute("SELECT sha256, key_id, algorithm FROM sealed_job").fetchall()
        tamper(connection, "DELETE FROM sealed_job")
    assert Sealer(own.settings).seal_wave(own.cohort_id, 1) == 1
    with connect(own.settings.database_url) as connection:
        again = connection.execute("SELECT sha256, key_id, algorithm FROM sealed_job").fetchall()
        sent = connection.execute("SELECT ce_id FROM outbox WHERE topic LIKE '%card-jobs%'").fetchall()
    assert again == before
    assert sent == [(f"{job_id}/ORDER",)]


def held_remakes(own: Own) -> None:
    """Every first plastic spoiled, and a release that covers none of the re-makes."""
    dispatch(own)
    with connect(own.settings.database_url) as connection:
        tamper(connection, "UPDATE release SET remakes_allowed = 0")
        connection.execute(
            "INSERT INTO plastic (card_ref, attempt, bank, factory) SELECT card_ref, 2, bank, factory FROM card"
        )
        connection.execute("UPDATE card SET last_attempt = 2, state = 'SPOILED'")
        assert plan_remakes(connection, TODAY) == 0


def test_remakes_that_no_release_covers_are_a_wave_of_their_own(own: Own) -> None:
    held_remakes(own)
    job_id = dispatch(own)
    assert len(records(own, job_id)) == 5
    with connect(own.settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM plastic WHERE job_id IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT plastics FROM wave WHERE wave = 2").fetchone() == (6,)


def test_a_refused_wave_of_remakes_can_be_planned_again(own: Own) -> None:
    held_remakes(own)
    plan_as(own.settings, own.cohort_id, 2, "planner")
    refuse_wave(own.settings, own.cohort_id, 2, "releaser", "wrong factory")
    with connect(own.settings.database_url) as connection:
        assert connection.execute("SELECT DISTINCT last_attempt FROM card").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM plastic WHERE attempt = 2").fetchone() == (0,)


def test_only_who_pays_before_is_held_and_a_first_card_is_free() -> None:
    policy = load_policy(ROOT / "policies", "110000")
    assert policy.charge("replacement", "outlet") == policy.card_fees.replacement > 0
    assert policy.charge("renewal", "outlet") == policy.charge("first", "mail") == 0
    paying = policy.model_copy(update={"postage": policy.postage.model_copy(update={"fee": 1500})})
    assert (paying.charge("first", "mail"), paying.charge("first", "outlet")) == (1500, 0)
    assert (paying.postage_of("mail"), policy.postage_of("mail"), policy.postage_of("outlet")) == (
        "prepaid", "collect", None
    )  # fmt: skip


@pytest.mark.parametrize("keeps", [True, False])
def test_a_replacement_keeps_the_account_of_the_old_card_if_the_city_allows_it(
    own: Own, keeps: bool, tmp_path: Path, stack: Settings, url: str
) -> None:
    keys, store = KeyService(own.settings.keys_dir), ObjectStore.of(own.settings)
    person = PERSON | {"masked": "王** 1***************2X", "old_card_number": "6222020200001234567"}
    Vault(store, keys, own.cohort_id).write_block(1, [person] * 6)
    with connect(url) as connection:
        for n, kind in enumerate(("replacement", "exchange", "renewal")):
            connection.execute("UPDATE card SET kind = %s WHERE position = %s", (kind, n))
    city = own._replace(settings=changed(stack, url, tmp_path, {"keep_account": keeps}, {}))
    found = records(city, dispatch(city))
    kept = {WAYS.index(method) for method, record in found.items() if record["old_card_number"]}
    assert kept == ({0, 1} if keeps else set())
