"""An operator's summary of a finished cohort: its decisions, requests and breaks."""

from __future__ import annotations

from typing import Any

from issuance.ledger.connection import transaction
from issuance.ledger.queries import rows_of
from issuance.settings import load_settings

TOLD = """
WITH own AS (SELECT card_ref FROM card JOIN cohort USING (cohort_no) WHERE cohort_id = %(cohort)s)
SELECT 'break' AS what, kind, CASE WHEN b.closed_on IS NULL THEN 'open' WHEN closed_by = 'evidence' THEN 'closed itself'
    ELSE 'explained by ' || closed_by END AS how, count(*) AS times, min(opened_on) AS first, max(opened_on) AS last,
    'issuance break list --all --cohort ' || %(cohort)s AS command
FROM break b JOIN cohort USING (cohort_no) WHERE cohort_id = %(cohort)s GROUP BY 1, 2, 3
UNION ALL
SELECT 'decision', d.kind, d.reason, count(*), min(business_day), max(business_day),
    'issuance card show ' || min(d.card_ref::text)
FROM decision d JOIN own USING (card_ref) WHERE d.kind <> 'NOTICE' GROUP BY 1, 2, 3
UNION ALL
SELECT 'remake', r.ground, r.reason, count(*), min(begun_on), max(begun_on),
    'issuance card show ' || min(card_ref::text)
FROM remake r JOIN own USING (card_ref) GROUP BY 1, 2, 3
UNION ALL
SELECT 'request', q.kind, q.partner, count(*), min(asked_on), max(asked_on), 'issuance cohort due ' || %(cohort)s
FROM request q JOIN own USING (card_ref) GROUP BY 1, 2, 3
UNION ALL
SELECT 'event', event, source, count(*), min(shanghai_day(occurred_at)), max(shanghai_day(occurred_at)),
    'issuance card show ' || min(e.card_ref::text)
FROM holder_event e JOIN own USING (card_ref) GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""


def told_by_ledger(cohort_id: str) -> list[dict[str, Any]]:
    """Breaks, decisions, requests and holder events of a cohort by kind, and the command that shows them."""
    with transaction(load_settings().database_url) as connection:
        return rows_of(connection, TOLD, {"cohort": cohort_id})
