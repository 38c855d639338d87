"""The job file: only its factory opens it, only we can have signed it, and it names its job."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.errors import BadSignatureError, InvalidKeyTypeError

from issuance.dispatch.jobfile import encode_job, seal_signed
from issuance.errors import Broken, Misconfigured
from issuance.vault.envelopes import JWS, SealingKey, header_of, jwk_set, key_of, open_sealed
from issuance.vault.keys import NamedKey

Pair = tuple[bytes, bytes]
RECORD: dict[str, Any] = {
    "card_ref": "00000000-0000-5000-8000-000000000001", "attempt": 1, "bank": "ICBC", "collection_method": "outlet",
    "place": "ICBC-0001", "name": "欧阳𠮷", "id_number": "11010519491231002X", "social_security_number": None,
    "phone": None, "address": None, "postcode": None, "old_card_number": None,
    "photo_ref": None, "pack": None, "postage": None,
}  # fmt: skip


def pair(key: Any) -> Pair:
    """(private, public) PEM of a key."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


OURS = pair(rsa.generate_private_key(65537, 2048))
FACTORY = {
    "RSA-OAEP-256": pair(rsa.generate_private_key(65537, 2048)),
    "ECDH-ES+A256KW": pair(ec.generate_private_key(ec.SECP256R1())),
}


def open_job(file: bytes, private: bytes, ours: bytes) -> tuple[dict[str, str], list[Any]]:
    """What a factory does: open, verify, read."""
    inner = jws.deserialize_compact(open_sealed(NamedKey("K-2", private), file), key_of(ours), registry=JWS)
    reader = fastavro.reader(io.BytesIO(inner.payload))
    metadata = {name: str(value) for name, value in reader.metadata.items() if name.startswith("issuance.")}
    return metadata, list(reader)


def sealed(algorithm: str, signing: bytes = OURS[0]) -> bytes:
    """One record, signed and sealed."""
    key = SealingKey("K-2", algorithm, FACTORY[algorithm][1])
    return seal_signed(encode_job([RECORD], "J1", "0" * 16), NamedKey("signing", signing), key)


@pytest.mark.parametrize("algorithm", FACTORY)
def test_the_factory_opens_what_we_signed_rare_characters_included(algorithm: str) -> None:
    metadata, records = open_job(sealed(algorithm), FACTORY[algorithm][0], OURS[1])
    assert metadata == {"issuance.job_id": "J1", "issuance.hash_total": "0" * 16}
    assert records == [RECORD]
    assert "欧阳".encode() not in sealed(algorithm)


def test_another_factory_cannot_open_it() -> None:
    other = pair(rsa.generate_private_key(65537, 2048))
    with pytest.raises(Broken):
        open_job(sealed("RSA-OAEP-256"), other[0], OURS[1])


def test_an_altered_file_does_not_open() -> None:
    head, *parts = sealed("RSA-OAEP-256").split(b".")
    parts[-1] = parts[-1][:-2] + (b"AA" if parts[-1][-2:] != b"AA" else b"BB")
    with pytest.raises(Broken):
        open_job(b".".join([head, *parts]), FACTORY["RSA-OAEP-256"][0], OURS[1])


def test_a_file_signed_by_somebody_else_is_refused() -> None:
    stranger = pair(rsa.generate_private_key(65537, 2048))
    with pytest.raises(BadSignatureError):
        open_job(sealed("RSA-OAEP-256", stranger[0]), FACTORY["RSA-OAEP-256"][0], OURS[1])


def test_an_unknown_algorithm_or_a_key_of_another_kind_is_a_clear_refusal() -> None:
    ours, rsa_key, ec_key = NamedKey("signing", OURS[0]), *(FACTORY[name][1] for name in FACTORY)
    with pytest.raises(Misconfigured, match="ALGORITHM_UNKNOWN"):
        seal_signed(b"", ours, SealingKey("K", "SM2", rsa_key))
    with pytest.raises(InvalidKeyTypeError):
        seal_signed(b"", ours, SealingKey("K", "RSA-OAEP-256", ec_key))


@pytest.mark.parametrize("rubbish", [b"", b"sealed", b"e30.x", b"\xff.\xff"])
def test_what_is_no_sealed_file_is_named_as_such(rubbish: bytes) -> None:
    with pytest.raises(Broken, match="OBJECT_ALTERED"):
        header_of(rubbish)


@pytest.mark.parametrize("algorithm", FACTORY)
def test_both_headers_name_their_key(algorithm: str) -> None:
    assert header_of(sealed(algorithm)) == ("K-2", algorithm)
    signed = open_sealed(NamedKey("K-2", FACTORY[algorithm][0]), sealed(algorithm))
    assert jws.extract_compact(signed, registry=JWS).headers()["kid"] == "signing"


def test_our_keys_are_published_without_their_private_halves() -> None:
    ec_public = FACTORY["ECDH-ES+A256KW"][1]
    published = json.loads(jwk_set([NamedKey("signing", OURS[1])], [NamedKey("opening", ec_public)]))["keys"]
    assert [(key["kid"], key["kty"], key["use"]) for key in published] == [
        ("signing", "RSA", "sig"), ("opening", "EC", "enc")
    ]  # fmt: skip
    assert not {"d", "p", "q"} & set(published[0])
