"""Partners' public keys, to which files are sealed: two may be valid at a time, the newer takes over on its first day.

A partner's first key is the file that came with its credentials (key id = partner id, algorithm of the registry);
every later one is a row of `partner_key`, added by an operator. Files already sealed are not sealed again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from issuance.city.partners import Registry
from issuance.errors import Misconfigured, Refused
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection
from issuance.ledger.queries import rows_of
from issuance.settings import Settings
from issuance.vault.envelopes import SealingKey, key_of
from issuance.wire.outbox import write_outbox
from issuance.wire.partner_notices import partner_notice

ALGORITHM_OF: dict[type, str] = {RSAKey: "RSA-OAEP-256", ECKey: "ECDH-ES+A256KW"}
"""Kind of key: the key management algorithm that goes with it."""
LEAST_RSA_BITS = 2048
SEALED_TO = ("factory", "notifier")
"""Kinds of partner that files are sealed to."""


def sealing_key(connection: Connection, settings: Settings, registry: Registry, partner: str, day: date) -> SealingKey:
    """The newest key of a partner that is valid on a day.

    Raises:
        Misconfigured: the partner has none, or all have been retired.
    """
    rows = connection.execute(
        "SELECT key_id, algorithm, pem, valid_from <= %(day)s AND coalesce(valid_until >= %(day)s, true)"
        " FROM partner_key WHERE partner = %(partner)s ORDER BY valid_from DESC, key_id",
        {"day": day, "partner": partner},
    ).fetchall()
    for key_id, algorithm, pem, valid in rows:
        if valid and pem is not None:
            return SealingKey(key_id, algorithm, pem.encode())
    if any(key_id == partner and not valid for key_id, *_, valid in rows):
        raise Misconfigured("PARTNER_KEY_MISSING", f"every key of {partner} is retired: issuance keys add {partner}")
    return SealingKey(partner, registry.sealing_algorithm, _first_key(settings, partner))


def add_key(
    connection: Connection, registry: Registry, partner: str, key_id: str, pem: bytes, valid_from: date, user: str,
    day: date,
) -> SealingKey:  # fmt: skip
    """Add a partner's next key; the partner is told from which day files are sealed to it.

    Raises:
        Refused: no such partner, no usable public key, the id belongs to another key, or the day is past.
    """
    algorithm = _algorithm(registry, partner, pem)
    if valid_from < day or key_id == partner:
        raise Refused(
            "KEY_INVALID",
            f"密钥须有自己的编号，生效日不得早于今天（{day}）。"
            f" / a key needs a unique id and a first day not before today ({day}).",
        )
    row = connection.execute(
        "INSERT INTO partner_key (partner, key_id, algorithm, pem, valid_from, added_by)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (partner, key_id) DO UPDATE SET key_id = excluded.key_id"
        " RETURNING pem = %s AND valid_from = %s",
        (partner, key_id, algorithm, pem.decode(), valid_from, user, pem.decode(), valid_from),
    ).fetchone()
    if row != (True,):
        raise Refused("KEY_ID_REUSED", f"密钥编号已用于另一把密钥。 / key id {key_id} of {partner} is already in use.")
    audit(connection, user, "add key", f"{partner}/{key_id}", day, {"valid_from": str(valid_from)})
    values = {"key_id": key_id, "valid_on": valid_from}
    write_outbox(connection, [partner_notice(partner, "KEY_ROTATION", None, values, f"{key_id}/{valid_from}")], day)
    return SealingKey(key_id, algorithm, pem)


def retire_key(connection: Connection, registry: Registry, partner: str, key_id: str, on: date, user: str,
               day: date) -> None:  # fmt: skip
    """Seal nothing to a key after a day; the first key can be retired too.

    Raises:
        Refused: no such key, or no other key would be valid on the next day.
    """
    _require_sealed_to(registry, partner)
    if key_id == partner:  # the first key is a file; the row only keeps its last day
        connection.execute(
            "INSERT INTO partner_key (partner, key_id, algorithm, valid_from, added_by)"
            " VALUES (%s, %s, %s, '-infinity', %s) ON CONFLICT DO NOTHING",
            (partner, key_id, registry.sealing_algorithm, user),
        )
    done = connection.execute(
        "UPDATE partner_key k SET valid_until = %(on)s WHERE (partner, key_id) = (%(partner)s, %(key)s)"
        " AND EXISTS (SELECT FROM partner_key o WHERE o.partner = k.partner AND o.key_id <> k.key_id"
        "  AND o.valid_from <= %(on)s::date + 1 AND coalesce(o.valid_until > %(on)s, true))",
        {"on": on, "partner": partner, "key": key_id},
    )
    if not done.rowcount:
        raise Refused(
            "KEY_NEEDED",
            f"没有该密钥，或 {on} 之后再无有效密钥：请先添加新密钥。"
            f" / no such key, or no key would be valid after {on}: add the next one first.",
        )
    audit(connection, user, "retire key", f"{partner}/{key_id}", day, {"valid_until": str(on)})


def announce_signing_key(
    connection: Connection, registry: Registry, key_id: str, object_key: str, first_day: date, user: str, day: date
) -> None:
    """Tell every partner that gets sealed files from which day we sign with another key, and where to find it."""
    values = {"key_id": key_id, "valid_on": first_day, "object": object_key}
    partners = [partner.id for kind in SEALED_TO for partner in registry.of_kind(kind)]
    write_outbox(
        connection, [partner_notice(partner, "KEY_ROTATION", None, values, key_id) for partner in partners], day
    )
    audit(connection, user, "rotate signing key", key_id, day, {"valid_from": str(first_day)})


def list_keys(connection: Connection, settings: Settings, registry: Registry) -> list[dict[str, Any]]:
    """Every partner key with its days; first keys without a row have none."""
    rows = rows_of(
        connection,
        "SELECT partner, key_id, algorithm, nullif(valid_from, '-infinity') AS valid_from, valid_until, added_by"
        " FROM partner_key ORDER BY partner, valid_from",
    )
    known = {(row["partner"], row["key_id"]) for row in rows}
    empty = {"valid_from": None, "valid_until": None, "added_by": None}
    first = [
        {"partner": partner.id, "key_id": partner.id, "algorithm": registry.sealing_algorithm, **empty}
        for kind in SEALED_TO
        for partner in registry.of_kind(kind)
        if (partner.id, partner.id) not in known and _first_path(settings, partner.id).exists()
    ]
    return sorted([*first, *rows], key=lambda row: (row["partner"], str(row["valid_from"] or "")))


def _algorithm(registry: Registry, partner: str, pem: bytes) -> str:
    _require_sealed_to(registry, partner)
    try:
        key = key_of(pem)
    except (JoseError, ValueError) as error:
        raise Refused("KEY_INVALID", "不是 RSA 或 EC 公钥（PEM）。 / not an RSA or EC public key in PEM.") from error
    weak = isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA_BITS
    if key.is_private or weak:
        raise Refused(
            "KEY_INVALID",
            f"需要公钥，RSA 至少 {LEAST_RSA_BITS} 位；私钥请勿外传。"
            f" / a public key is needed, RSA with at least {LEAST_RSA_BITS} bits; never send a private key.",
        )
    return ALGORITHM_OF[type(key)]


def _require_sealed_to(registry: Registry, partner: str) -> None:
    if partner not in registry.partners or registry.partners[partner].kind not in SEALED_TO:
        raise Refused("PARTNER_UNKNOWN", f"没有接收密封文件的合作方 {partner}。 / {partner} receives no sealed files.")


def _first_path(settings: Settings, partner: str) -> Path:
    return settings.partner_keys_dir / f"{partner}.pem"


def _first_key(settings: Settings, partner: str) -> bytes:
    try:
        return _first_path(settings, partner).read_bytes()
    except OSError as error:
        raise Misconfigured(
            "PARTNER_KEY_MISSING", f"no public key of {partner}: issuance keys add {partner}"
        ) from error
