"""The job file: an Avro container of PersonalizationRecord, signed by us inside, sealed to the factory outside.

Stored beside it, in the same envelopes: the photos that came with applications and the lists of its employer packs.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import fastavro

from issuance.vault.envelopes import SealingKey, seal_to, sign
from issuance.vault.keys import NamedKey
from issuance.wire.avro import schema_of


def encode_job(records: Iterable[Mapping[str, Any]], job_id: str, hash_total: str) -> bytes:
    """The clear container; its metadata name the job, so that a file cannot pass for another job's."""
    buffer = io.BytesIO()
    fastavro.writer(
        buffer,
        schema_of("personalization_record"),
        records,
        codec="deflate",
        metadata={"issuance.job_id": job_id, "issuance.hash_total": hash_total},
    )
    return buffer.getvalue()


def seal_signed(clear: bytes, signing: NamedKey, key: SealingKey) -> bytes:
    """Sign and seal; both headers name their key.

    Raises:
        Misconfigured: unknown algorithm.
    """
    return seal_to(key, sign(signing, clear), cty="JWS")
