"""Partner notices: answers to every report, and our requests, on the partner's own topic."""

from __future__ import annotations

from typing import Any

from issuance.city.partners import topic_of
from issuance.wire.outbox import Outgoing


def partner_notice(
    partner: str, kind: str, report_id: str | None, values: dict[str, Any], occasion: str = ""
) -> Outgoing:
    """A notice; its id is derived from partner, kind, report and occasion, so that sending it is idempotent."""
    return Outgoing(
        ce_id=f"{partner}/{kind}/{report_id or ''}/{occasion}",
        topic=topic_of("partner-notices", partner),
        key=report_id or occasion,
        record="partner_notice",
        value={"partner": partner, "kind": kind, "report_id": report_id, **values},
    )
