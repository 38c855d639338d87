"""What is kept of a card: state, effective plastic and next clock follow from facts, decisions and business day.

A card that waits to be decided about is not asked: its state is that of the last pass. Nor is one of a withdrawn
cohort, whose clocks are stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

from issuance.city.city import Cities
from issuance.ledger.connection import Connection, business_day
from issuance.tracking.snapshot import city_values, snapshot_cards

BATCH = 50_000
SETTLED = """
CREATE TEMP TABLE work ON COMMIT DROP AS SELECT card_ref FROM card JOIN cohort USING (cohort_no)
WHERE city = %(city)s AND cohort.state <> 'WITHDRAWN' AND card_ref > %(after)s
  AND (next_due IS NULL OR next_due > %(day)s) AND version > 0
  AND card_ref NOT IN (SELECT card_ref FROM changed_card) AND card_ref NOT IN (SELECT card_ref FROM deciding)
ORDER BY card_ref LIMIT %(batch)s
"""
DIFFERENT = """
SELECT c.card_ref, concat_ws(', ',
    CASE WHEN c.state <> k.state THEN 'state ' || c.state || ' should be ' || k.state END,
    CASE WHEN c.effective IS DISTINCT FROM k.effective
         THEN format('effective plastic %s should be %s', c.effective, k.effective) END,
    CASE WHEN coalesce(c.next_due, 'infinity') > coalesce(k.next_due, 'infinity')
         THEN format('next clock %s should be %s', c.next_due, k.next_due) END) AS what
FROM card_snapshot k JOIN card c USING (card_ref)
WHERE c.state <> k.state OR c.effective IS DISTINCT FROM k.effective
   OR coalesce(c.next_due, 'infinity') > coalesce(k.next_due, 'infinity') ORDER BY 1
"""
"""A clock that looks too early does no harm: a partner that is resumed has its cards looked at once more."""


def wrong_states(connection: Connection, cities: Cities) -> Iterator[str]:
    """The cards whose kept state, effective plastic or next clock is not what follows; reads in batches of 50,000."""
    day = business_day(connection)
    served = connection.execute("SELECT DISTINCT city FROM cohort JOIN card USING (cohort_no) ORDER BY 1").fetchall()
    for (city,) in served:
        after = "00000000-0000-0000-0000-000000000000"
        while True:
            connection.execute("DROP TABLE IF EXISTS work, plastic_snapshot, card_snapshot")
            taken = connection.execute(SETTLED, {"city": city, "after": after, "day": day, "batch": BATCH}).rowcount
            if not taken:
                break
            connection.execute("ANALYZE work")
            snapshot_cards(connection, city_values(cities[city], day))
            for card_ref, what in connection.execute(DIFFERENT).fetchall():
                yield f"card {card_ref}: {what}"
            (after,) = connection.execute("SELECT max(card_ref::text) FROM work").fetchone() or (after,)
    connection.execute("DROP TABLE IF EXISTS work, plastic_snapshot, card_snapshot")
