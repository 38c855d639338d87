"""A holder's phone number in clear, for an operator who has to call; with a reason, in the audit."""

from __future__ import annotations

from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import card_ref_of_text
from issuance.retention.persons import Named, cards_of, find_card, read_values
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore


def unmask_phone(connection: Connection, settings: Settings, card_ref: str, reason: str, user: str) -> str:
    """The phone number that a card's holder gave last, or the landline; '' if there is none.

    Raises:
        Refused: no such card, no reason, or the person was erased.
    """
    require_note(reason, "reason")
    ref = find_card(connection, Named(card_ref=str(card_ref_of_text(card_ref))))
    person = read_values(ObjectStore.of(settings), KeyService(settings.keys_dir), cards_of(connection, ref)[0])
    if person is None:
        raise Refused("DATA_ERASED", "此人的个人数据已清除。 / the personal data of this person was erased.")
    audit(connection, user, "unmask phone", str(ref), business_day(connection), {"reason": reason.strip()})
    return str(person.get("phone") or person.get("landline") or "")
