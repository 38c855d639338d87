"""What an operator decides about a single card: recorded like any decision, with user and reason."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection
from issuance.ledger.queries import card_ref_of_text, unknown_card
from issuance.words.lifecycle import BY_HAND, states_with


def remake_card(connection: Connection, card_ref: str, reason: str, note: str, user: str, day: date) -> int:
    """Have another plastic of a card made; the one in custody is cancelled, or presumed lost. Returns its attempt.

    The next pass of `decide` makes the plastic; re-makes count against the allowance of the wave's release.

    Raises:
        Refused: no such card, none in custody, a re-make is already under way, an unknown reason, or no note.
    """
    if reason not in BY_HAND:
        raise Refused("REASON_UNKNOWN", f"原因只能是 / the reason is one of: {', '.join(BY_HAND)}.")
    require_note(note)
    ref, attempt = _plastic_in_custody(connection, card_ref)
    recorded = connection.execute(
        "INSERT INTO remake (card_ref, made, attempt, ground, reason, begun_on, decided_by)"
        " SELECT card_ref, last_attempt + 1, %s, %s, %s, %s, %s FROM card WHERE card_ref = %s ON CONFLICT DO NOTHING",
        (attempt, BY_HAND[reason][0], reason, day, user, ref),
    )
    if not recorded.rowcount:
        raise Refused("REMADE_ALREADY", f"卡 {ref} 已在补制。 / card {ref} is already being re-made.")
    connection.execute("INSERT INTO changed_card VALUES (%s)", (ref,))
    connection.execute(
        "INSERT INTO changed_consignment SELECT consignment_id, '-infinity' FROM plastic_in_consignment"
        " WHERE (card_ref, attempt) = (%s, %s)",
        (ref, attempt),
    )
    audit(connection, user, "remake", f"{ref}/{attempt}", day, {"reason": reason, "note": note})
    return attempt


def _plastic_in_custody(connection: Connection, card_ref: str) -> tuple[UUID, int]:
    ref = card_ref_of_text(card_ref)
    row: Any = connection.execute(
        "SELECT state, effective, withdrawn FROM card WHERE card_ref = %s FOR UPDATE", (ref,)
    ).fetchone()
    if row is None:
        raise unknown_card(card_ref)
    state, attempt, withdrawn = row
    if state not in states_with("in_custody") or withdrawn or attempt is None:
        raise Refused(
            "NOT_IN_CUSTODY",
            f"卡 {ref} 的状态是 {state}，只有已制成而未领取的卡可以补制。"
            f" / card {ref} is {state}: only a card that is made and not collected can be re-made.",
        )
    return ref, int(attempt)
