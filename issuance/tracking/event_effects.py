"""The effects of holder events on the card itself, before the decisions: part of the one pass `decide`.

Before its plastic is ordered a card is planned again with what has changed; afterwards the file lacks the change, and
tracking.decisions makes another plastic, cancels, or lets the change follow the card.
"""

from __future__ import annotations

import json
from datetime import date

from issuance.city.partners import Registry
from issuance.dispatch.unplan import unplan_cards
from issuance.ledger.connection import Connection
from issuance.ledger.overlays import merged_terms
from issuance.words.collection import to_holder

REPLANNED = ("DEATH", "WITHDRAWN", "BANK_SWITCHED", "COLLECTION_CHANGED")
"""Events that take a card out of a plan that is not released."""

IN_HAND = f"""
EXISTS (SELECT FROM plastic q WHERE q.card_ref = c.card_ref
        AND coalesce(q.collected, q.issued_instantly, q.ss_activated) IS NOT NULL)
OR {to_holder("c.collection_method")} AND EXISTS (
    SELECT FROM letter_news l WHERE l.card_ref = c.card_ref AND l.delivered IS NOT NULL)
"""
"""Whether a card (c) has been collected."""

OF_DUE = """
e.card_ref IN (SELECT card_ref FROM holder_event JOIN work USING (card_ref)
               WHERE terms IS NOT NULL AND followed_on IS NULL)
"""
SWITCHED = """
EXISTS (SELECT FROM holder_event e
        WHERE e.card_ref = c.card_ref AND e.event = 'BANK_SWITCHED' AND e.followed_on IS NULL)
"""
MADE = """
EXISTS (SELECT FROM plastic q WHERE (q.card_ref, q.attempt) = (c.card_ref, c.last_attempt) AND q.made IS NOT NULL)
"""
TERMS = f"""
UPDATE card c SET bank = coalesce(terms ->> 'bank', bank), place = coalesce(terms ->> 'place', place),
    collection_method = coalesce(terms ->> 'collection_method', collection_method),
    factory = coalesce(%(factories)s::jsonb ->> (terms ->> 'bank'), factory)
FROM ({merged_terms(OF_DUE)}) n
WHERE c.card_ref = n.card_ref AND NOT ({IN_HAND}) AND ({SWITCHED} OR NOT {MADE})
"""
"""The newest terms of the order, unless the holder has the card; another way to collect only before it is made."""


def follow_events(connection: Connection, registry: Registry, day: date) -> int:
    """Apply the events of the cards in `work`; returns how many. Locks the waves that cards leave."""
    replanned = ", ".join(f"'{event}'" for event in REPLANNED)
    unplan_cards(
        connection,
        f"SELECT e.card_ref FROM work JOIN holder_event e USING (card_ref) WHERE e.event IN ({replanned})"
        " AND e.followed_on IS NULL UNION SELECT p.card_ref FROM work JOIN plastic p USING (card_ref)"
        " WHERE p.attempt = 0 AND p.issued_instantly IS NOT NULL",
    )
    connection.execute(TERMS, {"factories": json.dumps(registry.factory_of_bank)})
    _correct_persons(connection)
    return connection.execute(
        "UPDATE holder_event e SET followed_on = %s FROM work WHERE e.card_ref = work.card_ref"
        " AND e.followed_on IS NULL",
        (day,),
    ).rowcount


def _correct_persons(connection: Connection) -> None:
    """A corrected identity becomes the card's, and its acceptance unless another card holds it (break SECOND_CARD)."""
    corrected = connection.execute(
        "UPDATE card c SET person = e.person FROM (SELECT DISTINCT ON (card_ref) card_ref, person, followed_on"
        " FROM holder_event JOIN work USING (card_ref) WHERE person IS NOT NULL AND NOT annulled"
        " ORDER BY card_ref, occurred_at DESC, source DESC, event_id DESC) e"
        " WHERE c.card_ref = e.card_ref AND c.person IS DISTINCT FROM e.person RETURNING c.card_ref"
    ).fetchall()
    connection.execute(
        "WITH moved AS (INSERT INTO acceptance (person, card_ref, cohort_no, submission, replaces)"
        " SELECT c.person, c.card_ref, c.cohort_no, c.submission, a.replaces FROM card c"
        " JOIN acceptance a USING (card_ref) WHERE c.card_ref = ANY (%s) ON CONFLICT DO NOTHING RETURNING card_ref)"
        " DELETE FROM acceptance a USING moved, card c"
        " WHERE a.card_ref = moved.card_ref AND c.card_ref = a.card_ref AND a.person <> c.person",
        ([ref for (ref,) in corrected],),
    )
