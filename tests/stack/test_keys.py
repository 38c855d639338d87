"""Keys change without anybody missing a file: two are valid at a time, the newer one takes over on its day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from ledger_fixture import OPENS, REGISTRY

from issuance.dispatch.jobfile import seal_signed
from issuance.errors import Misconfigured, Refused
from issuance.ledger.connection import Connection
from issuance.settings import Settings
from issuance.vault.envelopes import JWS, SealingKey, key_of, open_sealed
from issuance.vault.keys import KeyService, NamedKey
from issuance.vault.partner_keys import add_key, announce_signing_key, list_keys, retire_key, sealing_key

FACTORY = "F-ICBC"
TOMORROW = OPENS + timedelta(days=1)


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The public half of a key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The private half of a key."""
    none = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


NEW = ec.generate_private_key(ec.SECP256R1())
OTHER = rsa.generate_private_key(65_537, 2048)


def add(ledger: Connection, pem: bytes, key_id: str = "K2", first: date = TOMORROW) -> SealingKey:
    """Take a key of F-ICBC on the opening day."""
    return add_key(ledger, REGISTRY, FACTORY, key_id, pem, first, "planner", OPENS)


def sealed_to(ledger: Connection, settings: Settings, day: date) -> tuple[str, str]:
    """Id and algorithm of the key that files are sealed to on a day."""
    key = sealing_key(ledger, settings, REGISTRY, FACTORY, day)
    return key.key_id, key.algorithm


def test_the_new_key_takes_over_on_its_day(ledger: Connection, stack: Settings) -> None:
    add(ledger, public_pem(NEW))
    assert sealed_to(ledger, stack, OPENS) == (FACTORY, "RSA-OAEP-256")
    assert sealed_to(ledger, stack, TOMORROW) == ("K2", "ECDH-ES+A256KW")
    key = sealing_key(ledger, stack, REGISTRY, FACTORY, TOMORROW)
    ours = NamedKey("signing", private_pem(OTHER))
    signed = open_sealed(NamedKey("K2", private_pem(NEW)), seal_signed(b"job", ours, key))
    assert jws.deserialize_compact(signed, key_of(public_pem(OTHER)), registry=JWS).payload == b"job"


def test_the_partner_is_told_once_and_the_audit_keeps_who(ledger: Connection) -> None:
    for _ in range(2):
        add(ledger, public_pem(NEW))
    told = ledger.execute("SELECT ce_id FROM outbox WHERE ce_id LIKE 'F-ICBC/KEY_ROTATION/%'").fetchall()
    assert told == [(f"F-ICBC/KEY_ROTATION//K2/{TOMORROW}",)]
    assert ("planner", "F-ICBC/K2") in ledger.execute('SELECT "user", subject FROM audit').fetchall()


def test_a_retired_key_is_sealed_to_until_its_last_day(ledger: Connection, stack: Settings) -> None:
    add(ledger, public_pem(NEW))
    add(ledger, public_pem(OTHER), "K3", OPENS + timedelta(days=9))
    retire_key(ledger, REGISTRY, FACTORY, "K2", OPENS + timedelta(days=12), "planner", OPENS)
    days = (1, 8, 9, 12, 13)
    assert [sealed_to(ledger, stack, OPENS + timedelta(days=n))[0] for n in days] == ["K2", "K2", "K3", "K3", "K3"]
    retire_key(ledger, REGISTRY, FACTORY, FACTORY, OPENS, "planner", OPENS)
    assert [row["key_id"] for row in list_keys(ledger, stack, REGISTRY) if row["partner"] == FACTORY] == [
        FACTORY, "K2", "K3"
    ]  # fmt: skip


def test_the_last_valid_key_is_not_retired(ledger: Connection, stack: Settings) -> None:
    with pytest.raises(Refused, match="KEY_NEEDED"), ledger.transaction():
        retire_key(ledger, REGISTRY, FACTORY, FACTORY, OPENS, "planner", OPENS)
    add(ledger, public_pem(NEW), first=OPENS + timedelta(days=9))
    with pytest.raises(Refused, match="KEY_NEEDED"), ledger.transaction():
        retire_key(ledger, REGISTRY, FACTORY, FACTORY, OPENS, "planner", OPENS)
    retire_key(ledger, REGISTRY, FACTORY, FACTORY, OPENS + timedelta(days=8), "planner", OPENS)
    with pytest.raises(Refused, match="KEY_NEEDED"), ledger.transaction():
        retire_key(ledger, REGISTRY, FACTORY, "K2", OPENS + timedelta(days=20), "planner", OPENS)
    assert sealed_to(ledger, stack, OPENS + timedelta(days=30))[0] == "K2"


@pytest.mark.parametrize(
    ("pem", "key_id", "first", "code"),
    [
        (b"rubbish", "K2", TOMORROW, "KEY_INVALID"),
        (private_pem(NEW), "K2", TOMORROW, "KEY_INVALID"),
        (public_pem(rsa.generate_private_key(65_537, 1024)), "K2", TOMORROW, "KEY_INVALID"),
        (public_pem(NEW), FACTORY, TOMORROW, "KEY_INVALID"),
        (public_pem(NEW), "K2", OPENS - timedelta(days=1), "KEY_INVALID"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(
    ledger: Connection, pem: bytes, key_id: str, first: date, code: str
) -> None:
    with pytest.raises(Refused, match=code):
        add(ledger, pem, key_id, first)
    assert ledger.execute("SELECT count(*) FROM partner_key").fetchone() == (0,)


def test_an_id_names_one_key(ledger: Connection) -> None:
    add(ledger, public_pem(NEW))
    with pytest.raises(Refused, match="KEY_ID_REUSED"):
        add(ledger, public_pem(OTHER))


@pytest.mark.parametrize("partner", ["ICBC", "NOBODY"])
def test_only_who_gets_sealed_files_has_keys(ledger: Connection, partner: str) -> None:
    with pytest.raises(Refused, match="PARTNER_UNKNOWN"):
        add_key(ledger, REGISTRY, partner, "K2", public_pem(NEW), TOMORROW, "planner", OPENS)


def test_a_partner_without_any_key_is_named(ledger: Connection, stack: Settings, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="PARTNER_KEY_MISSING"):
        sealing_key(ledger, replace(stack, partner_keys_dir=tmp_path), REGISTRY, FACTORY, OPENS)


def test_our_next_signing_key_signs_from_its_day_and_both_verify(
    ledger: Connection, stack: Settings, tmp_path: Path
) -> None:
    (tmp_path / "signing.pem").write_bytes(private_pem(OTHER))
    service = KeyService(tmp_path)
    made = service.rotate_signing_key(TOMORROW)
    assert service.rotate_signing_key(TOMORROW) == made, "the same day again is the same key"
    assert [service.signing_key(day).key_id for day in (OPENS, TOMORROW)] == ["signing", made.key_id]
    assert [key.key_id for key in service.verification_keys()] == ["signing", made.key_id]
    announce_signing_key(ledger, REGISTRY, made.key_id, "keys/issuance.jwks", TOMORROW, "planner", OPENS)
    told = ledger.execute("SELECT count(*) FROM outbox WHERE ce_id LIKE '%/KEY_ROTATION/%'").fetchone()
    assert told == (len(REGISTRY.of_kind("factory")) + len(REGISTRY.of_kind("notifier")),)
