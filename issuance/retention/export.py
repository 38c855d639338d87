"""Everything held about a person (PIPL, article 45): as JSON, or sealed; with a reason, in the audit."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from issuance.errors import Broken
from issuance.intake.quarantine import read_sealing_key
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import rows_of, show_card
from issuance.retention.persons import Held, Named, cards_of, find_card, gather
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import seal_to
from issuance.vault.keys import KeyDestroyed, KeyService
from issuance.vault.objects import ObjectStore
from issuance.vault.photos import read_photo

BESIDE = {
    # of one card, besides what `card show` displays
    "contents": "SELECT attempt, milestone, consignment_id, mark_content(mark) AS content, corrects FROM fact"
    " WHERE card_ref = %s ORDER BY mark, milestone",
    "plastics": "SELECT attempt, job_id, bank, factory FROM plastic WHERE card_ref = %s ORDER BY attempt",
    "consignments": "SELECT attempt, consignment_id FROM plastic_in_consignment WHERE card_ref = %s ORDER BY 1, 2",
    "notices": "SELECT reason AS template, occasion, business_day, batch_id FROM decision"
    " WHERE kind = 'NOTICE' AND card_ref = %s ORDER BY business_day, reason",
    "holder_events": "SELECT source, event_id, event, occurred_at, terms, followed_on FROM holder_event"
    " WHERE card_ref = %s ORDER BY occurred_at, event_no",
    "told_events": "SELECT event, occurred_at, paper, told_on, acted_on, dropped FROM told_event"
    " WHERE card_ref = %s ORDER BY event_no",
}


def export_person(
    connection: Connection, settings: Settings, named: Named, user: str, reason: str, public_pem: bytes | None
) -> tuple[bytes, dict[str, int]]:
    """Everything held about a person, and counts of cards, rows and photos; audited before anybody sees it.

    JSON (UTF-8), or with `public_pem` that sealed to the key (JWE).

    Raises:
        Refused: unknown person, no reason, rows are in intake, or the key is not usable.
    """
    require_note(reason, "reason")
    key = read_sealing_key(public_pem) if public_pem else None
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    card_ref = find_card(connection, named)
    held = gather(connection, store, keys, cards_of(connection, card_ref))
    photos = list(_photos(store, keys, held))
    counts = {"cards": len(held.cards), "rows": len(held.rows), "photos": len(photos)}
    day = business_day(connection)
    told = {"exported_on": day, "by": user, "cards": list(_cards(connection, store, keys, held))}
    rows = [row._asdict() for row in held.rows]
    text = json.dumps(told | {"rows": rows, "photos": photos}, ensure_ascii=False, indent=1, default=str).encode()
    details = counts | {"sealed_to": key.key_id if key else None, "reason": reason}
    audit(connection, user, "export person", str(card_ref), day, details)
    return (seal_to(key, text, cty="application/json") if key else text), counts


def _cards(connection: Connection, store: ObjectStore, keys: KeyService, held: Held) -> Iterator[dict[str, Any]]:
    for card in held.cards:
        values = held.values.get(card.card_ref)
        changes = [Vault(store, keys, card.cohort_id).read_overlay(name) for name in (card.overlays if values else ())]
        yield {
            **show_card(connection, str(card.card_ref)),
            **{name: rows_of(connection, query, (card.card_ref,)) for name, query in BESIDE.items()},
            "person": values,
            "changes": changes,
            "erasure": _erasure(connection, card.card_ref),
        }


def _erasure(connection: Connection, card_ref: UUID) -> list[dict[str, Any]]:
    """When and why the values of a card were erased; empty if they were not."""
    return rows_of(
        connection,
        "SELECT e.ground, e.begun_on, e.finished_on FROM erasure e JOIN card c USING (cohort_no)"
        " LEFT JOIN erased_card y ON (y.card_ref, y.erasure_no) = (c.card_ref, e.erasure_no)"
        " WHERE c.card_ref = %(ref)s AND (e.whole OR y.card_ref IS NOT NULL)",
        {"ref": card_ref},
    )


def _photos(store: ObjectStore, keys: KeyService, held: Held) -> Iterator[dict[str, str]]:
    for cohort_id, sha256 in held.photos():
        try:
            photo = read_photo(store, keys, cohort_id, sha256)
        except (Broken, KeyDestroyed):  # a row named a photo that was never submitted, or it was erased
            continue
        yield {"cohort_id": cohort_id, "sha256": sha256, "jpeg_base64": b64encode(photo).decode()}
