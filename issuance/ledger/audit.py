"""News of a cohort on cohort-events, and operators' acts in the hash-chained audit."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.words.personal import holds_id_number, holds_mobile, holds_old_number

WHY = {"note": "why", "reason": "why", "paper": "which paper shows it"}
PIPELINE = "pipeline"
"""The user that is the pipeline itself."""


def require_note(note: str, option: str = "note") -> None:
    """Require the words that explain an act (`option`: note, reason or paper). They are kept for good, so they may hold
    no personal number.

    Raises:
        Refused: they are empty, or hold an ID number or a mobile number.
    """
    if not note.strip():
        raise Refused(
            f"{option.upper()}_MISSING",
            f"请写明{'依据' if option == 'paper' else '原因'}：--{option}。 / say {WHY[option]}: --{option} TEXT.",
        )
    if holds_id_number(note) or holds_old_number(note) or holds_mobile(note):
        raise Refused(
            "NOTE_PERSONAL",
            f"--{option} 将永久留存，不得含身份证号码或手机号：请改写卡号（card_ref）或文件编号。"
            f" / --{option} is kept for good and may hold no ID number or mobile number: name the card (card_ref) or"
            " the paper's own number.",
        )


def audit(
    connection: Connection, user: str, act: str, subject: str, day: date, details: dict[str, Any] | None = None
) -> str:
    """Record an operator's act; each entry's hash covers the one before it. Returns the new head."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.audit'))")
    number, at, before = one(
        connection,
        "SELECT nextval(pg_get_serial_sequence('audit', 'number')), clock_timestamp(),"
        " coalesce((SELECT hash FROM audit ORDER BY number DESC LIMIT 1), '')",
    )
    entry = (number, at, day, user, act, subject, details or {})
    head = _hash(before, *entry)
    connection.execute(
        'INSERT INTO audit (number, at, business_day, "user", act, subject, details, hash)'
        " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (*entry[:6], _text(entry[6]), head),
    )
    return head


def _text(details: dict[str, Any]) -> str:
    return json.dumps(details, ensure_ascii=False, sort_keys=True, default=str)


def _hash(
    before: str, number: int, at: datetime, day: date, user: str, act: str, subject: str, details: dict[str, Any]
) -> str:
    """The hash of an entry, all of its values and the hash of the one before it."""
    moment = at.astimezone(UTC).isoformat()
    return hashlib.sha256(
        "|".join([before, str(number), moment, str(day), user, act, subject, _text(details)]).encode()
    ).hexdigest()


def verify_audit(connection: Connection) -> list[int]:
    """The numbers of audit entries whose hash does not follow from the one before."""
    wrong: list[int] = []
    before = ""
    rows = connection.execute(
        'SELECT number, at, business_day, "user", act, subject, details, hash FROM audit ORDER BY number'
    )
    for *entry, head in rows:
        if _hash(before, *entry) != head:
            wrong.append(entry[0])
        before = head
    return wrong
