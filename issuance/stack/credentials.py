"""What each partner is given: a directory with its passwords and, where files are sealed to it, its private key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from issuance.city.partners import Partner, Registry
from issuance.stack.place import Place, make_private, write_private
from issuance.stack.s3 import access_key
from issuance.vault.keys import OPENING

SEALED_TO = frozenset({"factory", "notifier"})
"""Kinds of partner that receive sealed files and so have a key pair."""

KEY_BITS = 3072
OWN_KEY = "issuance"


def write_credentials(place: Place, registry: Registry, secrets: dict[str, str], addresses: dict[str, str]) -> None:
    """Create what is missing; existing keys and passwords are kept, addresses follow the current ports."""
    make_private(place.partners)
    make_private(place.keys)
    place.partner_keys.mkdir(parents=True, exist_ok=True)
    for partner in registry.partners.values():
        _write_env(make_private(place.partners / partner.id), partner, secrets, addresses)
    sealed = [partner for partner in registry.partners.values() if partner.kind in SEALED_TO]
    pairs = [
        (place.partners / partner.id / "private.pem", place.partner_keys / f"{partner.id}.pem") for partner in sealed
    ]
    pairs.append((place.keys / "signing.pem", place.partner_keys / f"{OWN_KEY}.pem"))
    pairs.append((place.keys / f"{OPENING}.pem", place.partner_keys / f"{OWN_KEY}-{OPENING}.pem"))
    with ThreadPoolExecutor(max_workers=2) as pool:  # OpenSSL makes keys without Python's lock
        list(pool.map(lambda pair: make_key_pair(*pair), pairs))


def _write_env(directory: Path, partner: Partner, secrets: dict[str, str], addresses: dict[str, str]) -> None:
    values = env_values(partner.id, secrets, addresses)
    write_private(directory / "partner.env", "".join(f"{name}={value}\n" for name, value in values.items()))


def env_values(partner: str, secrets: dict[str, str], addresses: dict[str, str]) -> dict[str, str]:
    """The content of a partner's partner.env."""
    return {
        "PARTNER_ID": partner,
        "KAFKA_BOOTSTRAP_SERVERS": addresses["KAFKA_BOOTSTRAP_SERVERS"],
        "KAFKA_SECURITY_PROTOCOL": addresses["KAFKA_SECURITY_PROTOCOL"],
        "KAFKA_SASL_MECHANISM": addresses["KAFKA_SASL_MECHANISM"],
        "KAFKA_USER": partner,
        "KAFKA_PASSWORD": secrets[f"kafka_{partner}"],
        "SCHEMA_REGISTRY_URL": addresses["SCHEMA_REGISTRY_URL"],
        "S3_ENDPOINT_URL": addresses["S3_ENDPOINT_URL"],
        "S3_ACCESS_KEY": access_key(partner, secrets),
        "S3_SECRET_KEY": secrets[f"s3_{partner}"],
        "S3_BUCKET": addresses["S3_BUCKET"],
    }


def make_key_pair(private: Path, public: Path) -> None:
    """An RSA pair, unless the private key exists; the public one is derived from it each time."""
    if private.exists():
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    else:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        write_private(private, pem.decode("ascii"))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    write_private(public, key.public_key().public_bytes(serialization.Encoding.PEM, form).decode("ascii"), mode=0o644)
