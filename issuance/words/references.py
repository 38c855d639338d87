"""References and control totals that tables and messages share; derived, never random."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

CARD_NAMESPACE = uuid5(NAMESPACE_URL, "urn:issuance:cards")
"""Fixed for ever: card_ref = UUIDv5(UUIDv5(this, cohort), application_id)."""


def card_ref_of(cohort_id: str, application_id: str) -> UUID:
    """The reference of a card, derived from cohort and application."""
    return uuid5(uuid5(CARD_NAMESPACE, cohort_id), application_id)


def card_refs_of(cohort_id: str, application_ids: Iterable[str]) -> list[bytes]:
    """`card_ref_of` of many applications, each as its 16 bytes. Source: RFC 9562, 5.5 (UUIDv5)."""
    namespace = hashlib.sha1(uuid5(CARD_NAMESPACE, cohort_id).bytes, usedforsecurity=False)
    refs = []
    for application_id in application_ids:
        digest = namespace.copy()
        digest.update(application_id.encode())
        ref = bytearray(digest.digest()[:16])
        ref[6], ref[8] = ref[6] & 0x0F | 0x50, ref[8] & 0x3F | 0x80
        refs.append(bytes(ref))
    return refs


USUAL_REF = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def hash_total(card_refs: Sequence[str] | Sequence[UUID]) -> str:
    """The sum of the card_refs' low 64 bits mod 2^64 as 16 hex digits (contract: Job file).

    Raises:
        ValueError: one is no UUID, in whatever form UUIDs may be written.
    """
    return f"{sum(map(_low_bits, card_refs)) % 2**64:016x}"


def _low_bits(ref: str | UUID) -> int:
    """The low 64 bits; of the usual form read from its digits: to make a UUID of each takes several times as long."""
    if isinstance(ref, UUID):
        return ref.int & 0xFFFFFFFFFFFFFFFF
    if USUAL_REF.fullmatch(ref):
        return int(ref[19:23] + ref[24:], 16)
    return UUID(ref).int & 0xFFFFFFFFFFFFFFFF


def hand_over_id(giver: str, handover_id: str) -> str:
    """The consignment that a giver calls by this id; as the SQL function of the same name."""
    return f"H:{giver}:{handover_id}"


def mail_item_id(carrier: str, tracking_no: str) -> str:
    """The consignment that is a carrier's mail item; as the SQL function of the same name."""
    return f"M:{carrier}:{tracking_no}"


def is_mail_item(consignment_id: str | None) -> bool:
    """Whether a consignment is a mail item; as the SQL function of the same name."""
    return consignment_id is not None and consignment_id.startswith("M:")
