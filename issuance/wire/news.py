"""News of a cohort on cohort-events."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from issuance.city.partners import topic_of
from issuance.clock import instant_on
from issuance.ledger.connection import Connection
from issuance.wire.outbox import Outgoing, write_outbox


def tell_cohort(
    connection: Connection,
    cohort_id: str,
    event: str,
    day: date,
    *,
    submission: int | None = None,
    wave: int | None = None,
    occasion: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Publish an event of a cohort; its id is derived from its content."""
    value = {
        "cohort_id": cohort_id,
        "event": event,
        "submission": submission,
        "wave": wave,
        "occurred_at": instant_on(day, 0),
        "details": json.dumps(details or {}, ensure_ascii=False, default=str),
    }
    ce_id = f"{cohort_id}/{event}/{submission if submission is not None else ''}/{wave or ''}/{occasion}"
    write_outbox(connection, [Outgoing(ce_id, topic_of("cohort-events"), cohort_id, "cohort_event", value)], day)
