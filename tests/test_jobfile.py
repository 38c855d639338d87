"""The job file: only its factory opens it, only we can have signed it, and it names its job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe, jws
from joserfc.errors import BadSignatureError, DecodeError, InvalidKeyTypeError

from issuance.dispatch.jobfile import (
    JWE,
    JWS,
    SealingKey,
    encode_job,
    header_of,
    jwk_set,
    key_of,
    open_job_file,
    seal_job_file,
)
from issuance.errors import Misconfigured
from issuance.vault.keys import SigningKey

Pair = tuple[bytes, bytes]
RECORD: dict[str, Any] = {
    "card_ref": "00000000-0000-5000-8000-000000000001", "attempt": 1, "bank": "ICBC", "collection_method": "outlet",
    "place": "ICBC-0001", "name": "欧阳𠮷", "id_number": "11010519491231002X", "social_security_number": None,
    "phone": None, "address": None, "postcode": None, "photo_ref": None,
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


def sealed(algorithm: str, signing: bytes = OURS[0]) -> bytes:
    """One record, signed and sealed."""
    key = SealingKey("K-2", algorithm, FACTORY[algorithm][1])
    return seal_job_file(encode_job([RECORD], "J1", "0" * 16), SigningKey("signing", signing), key)


@pytest.mark.parametrize("algorithm", FACTORY)
def test_the_factory_opens_what_we_signed_rare_characters_included(algorithm: str) -> None:
    metadata, records = open_job_file(sealed(algorithm), FACTORY[algorithm][0], OURS[1])
    assert metadata == {"issuance.job_id": "J1", "issuance.hash_total": "0" * 16}
    assert records == [RECORD]
    assert "欧阳".encode() not in sealed(algorithm)


def test_another_factory_cannot_open_it() -> None:
    other = pair(rsa.generate_private_key(65537, 2048))
    with pytest.raises(DecodeError):
        open_job_file(sealed("RSA-OAEP-256"), other[0], OURS[1])


def test_an_altered_file_does_not_open() -> None:
    head, *parts = sealed("RSA-OAEP-256").split(b".")
    parts[-1] = parts[-1][:-2] + (b"AA" if parts[-1][-2:] != b"AA" else b"BB")
    with pytest.raises(DecodeError):
        open_job_file(b".".join([head, *parts]), FACTORY["RSA-OAEP-256"][0], OURS[1])


def test_a_file_signed_by_somebody_else_is_refused() -> None:
    stranger = pair(rsa.generate_private_key(65537, 2048))
    with pytest.raises(BadSignatureError):
        open_job_file(sealed("RSA-OAEP-256", stranger[0]), FACTORY["RSA-OAEP-256"][0], OURS[1])


def test_an_unknown_algorithm_or_a_key_of_another_kind_is_a_clear_refusal() -> None:
    ours, rsa_key, ec_key = SigningKey("signing", OURS[0]), *(FACTORY[name][1] for name in FACTORY)
    with pytest.raises(Misconfigured, match="ALGORITHM_UNKNOWN"):
        seal_job_file(b"", ours, SealingKey("K", "SM2", rsa_key))
    with pytest.raises(InvalidKeyTypeError):
        seal_job_file(b"", ours, SealingKey("K", "RSA-OAEP-256", ec_key))


@pytest.mark.parametrize("algorithm", FACTORY)
def test_both_headers_name_their_key(algorithm: str) -> None:
    assert header_of(sealed(algorithm)) == ("K-2", algorithm)
    outer = jwe.decrypt_compact(sealed(algorithm), key_of(FACTORY[algorithm][0]), registry=JWE)
    assert jws.extract_compact(outer.plaintext or b"", registry=JWS).headers()["kid"] == "signing"


def test_our_keys_are_published_without_their_private_halves() -> None:
    published = json.loads(jwk_set([SigningKey("signing", OURS[1])]))["keys"]
    assert [(key["kid"], key["kty"]) for key in published] == [("signing", "RSA")]
    assert not {"d", "p", "q"} & set(published[0])
