"""Which holder events change what an order carries: sealed values (`overlay`) and terms (bank, way to collect, place).

An event with terms is in force once they are on the card; its overlay waits for that, too.
"""

from __future__ import annotations

HOLDS = (
    "NOT e.annulled AND coalesce(e.overlay, e.terms::text) IS NOT NULL"
    " AND (e.terms IS NULL OR e.followed_on IS NOT NULL)"
)
"""SQL: whether a holder event (e) is a change in force."""


def overlays(condition: str = HOLDS) -> str:
    """SQL that joins to a card (c) the names of its overlays (o.overlays), the newest last."""
    return (
        " LEFT JOIN LATERAL (SELECT coalesce(array_agg(e.overlay ORDER BY e.occurred_at, e.source, e.event_id), '{}')"
        " AS overlays FROM holder_event e WHERE e.card_ref = c.card_ref AND e.overlay IS NOT NULL"
        f" AND NOT e.annulled AND {condition}) o ON true"
    )


def merged_terms(condition: str) -> str:
    """SQL of the terms that holder events (e) name, by card_ref: of each term the newest value."""
    return (
        "SELECT e.card_ref, jsonb_object_agg(k.key, k.value ORDER BY e.occurred_at, e.source, e.event_id) AS terms"
        f" FROM holder_event e, jsonb_each(e.terms) k WHERE NOT e.annulled AND {condition} GROUP BY e.card_ref"
    )
