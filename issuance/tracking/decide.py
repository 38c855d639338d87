"""The one set-based pass: reads changed cards and due clocks in key order, writes decisions, states and breaks.

Run by dags/clocks every few minutes and by the demo's stepper once all evidence of a day is in. Nothing here reads a
message, and nothing that merges evidence decides.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from issuance.city.city import City, served_city
from issuance.city.partners import Registry, topic_of
from issuance.clock import end_of
from issuance.errors import Broken
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.tracking.card_breaks import settle_card_breaks
from issuance.tracking.decisions import PLASTIC_RULES
from issuance.tracking.event_effects import follow_events
from issuance.tracking.notice_rules import NOTICE
from issuance.tracking.requests import send_requests
from issuance.tracking.rule import Rule
from issuance.tracking.snapshot import city_values, snapshot_cards
from issuance.wire.outbox import Outgoing, in_batches, write_outbox

BATCH = 50_000


def decide(settings: Settings) -> int:
    """Decide until nothing has changed and no clock is due; returns how many decisions and state changes were written.

    Raises:
        Broken: the decisions do not converge.
    """
    city = served_city(settings)
    written = 0
    for _ in range(10_000):
        with transaction(settings.database_url) as connection:
            cards, wrote = decide_batch(connection, city)
        written += wrote
        if not cards:
            return written
    raise Broken("DECISIONS_RESTLESS", "the decisions do not converge")


def decide_batch(connection: Connection, city: City) -> tuple[int, int]:
    """One batch in the open transaction; returns (cards looked at, decisions and state changes written)."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.decide'))")
    day = business_day(connection)
    cards = take_work(connection, day)
    if not cards:
        return 0, 0
    followed = follow_events(connection, city.partners, day)
    values = city_values(city, day)
    snapshot_cards(connection, values)
    decided = sum(record(connection, rule, values) for rule in PLASTIC_RULES)
    make_plastics(connection, city.partners)
    decided += record(connection, NOTICE, values)
    send_requests(connection, day)
    changed = move_states(connection, day)
    settle_card_breaks(connection, day, values)
    return cards, decided + changed + followed


def take_work(connection: Connection, day: date) -> int:
    """Take changed cards and due clocks into the table `work`, locked in key order; returns how many."""
    connection.execute("CREATE TEMP TABLE work (card_ref uuid PRIMARY KEY) ON COMMIT DROP")
    connection.execute(
        "WITH taken AS (DELETE FROM changed_card WHERE ctid = ANY (ARRAY(SELECT ctid FROM changed_card LIMIT %s))"
        " RETURNING card_ref) INSERT INTO work SELECT DISTINCT card_ref FROM taken ON CONFLICT DO NOTHING",
        (BATCH,),
    )
    connection.execute(
        "INSERT INTO work SELECT card_ref FROM card WHERE next_due <= %s LIMIT %s ON CONFLICT DO NOTHING", (day, BATCH)
    )
    connection.execute("SELECT FROM card WHERE card_ref IN (SELECT card_ref FROM work) ORDER BY card_ref FOR UPDATE")
    connection.execute("ANALYZE work")
    row = connection.execute("SELECT count(*) FROM work").fetchone()
    return int(row[0]) if row else 0


def record(connection: Connection, rule: Rule, values: Mapping[str, Any]) -> int:
    """Record a rule's decisions; returns how many are new."""
    return connection.execute(
        "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, partner, due_on, request, consignment_id,"
        " business_day, decided_by)"
        " SELECT DISTINCT ON (card_ref, attempt, occasion) card_ref, attempt, %(kind)s, occasion, reason, partner,"
        f" due_on, request, consignment_id, %(day)s, 'policy' FROM ({rule.query}) AS rule"
        " ORDER BY card_ref, attempt, occasion ON CONFLICT DO NOTHING",
        {**values, "kind": rule.kind},
    ).rowcount


def make_plastics(connection: Connection, registry: Registry) -> None:
    """A re-make is the next attempt; a job refused as a whole goes to the bank's backup factory. It waits for a job."""
    connection.execute(
        """
        WITH next AS (
            INSERT INTO plastic (card_ref, attempt, bank, factory)
            SELECT s.card_ref, s.attempt + 1, c.bank,
                   CASE WHEN s.refused_with_job THEN %s::jsonb ->> c.bank ELSE c.factory END
            FROM plastic_snapshot s JOIN card c USING (card_ref)
            JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'REMAKE'
            ORDER BY s.card_ref ON CONFLICT DO NOTHING RETURNING card_ref, attempt),
        counted AS (UPDATE card SET last_attempt = next.attempt FROM next WHERE card.card_ref = next.card_ref)
        INSERT INTO changed_card SELECT card_ref FROM next
        """,
        (json.dumps({bank: registry.backup_of(bank) for bank in registry.factory_of_bank}),),
    )


def move_states(connection: Connection, day: date) -> int:
    """Write changed states, tallies (new minus old) and card-status messages; returns how many cards changed."""
    now = end_of(day)
    rows = connection.execute(
        """
        WITH moved AS (
            UPDATE card c SET state = k.state, effective = k.effective, next_due = k.next_due,
                since = CASE WHEN c.state = k.state THEN c.since ELSE coalesce(mark_at(k.since_mark), %(now)s) END,
                version = c.version + (c.state <> k.state OR c.version = 0)::int
            FROM card_snapshot k WHERE c.card_ref = k.card_ref
            RETURNING c.card_ref, c.cohort_no, k.old_state, c.state, c.since, c.version)
        SELECT cohort_id, card_ref, old_state, moved.state, since, version
        FROM moved JOIN cohort USING (cohort_no) WHERE old_state <> moved.state OR version = 1
        """,
        {"now": now},
    ).fetchall()
    changed = [row for row in rows if row[2] != row[3]]
    connection.execute(
        "INSERT INTO changed_card SELECT DISTINCT replaces FROM card"
        " WHERE card_ref = ANY (%s) AND replaces IS NOT NULL",
        ([card_ref for _, card_ref, *_ in changed],),
    )
    _tally(connection, changed)
    write_outbox(connection, _statuses(rows), day)
    return len(changed)


def _tally(connection: Connection, changed: Iterable[Any]) -> None:
    delta: dict[tuple[str, str], int] = defaultdict(int)
    for cohort_id, _, old, new, _, _ in changed:
        delta[cohort_id, old] -= 1
        delta[cohort_id, new] += 1
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tally (cohort_no, state, cards) SELECT cohort_no, %s, %s FROM cohort WHERE cohort_id = %s"
            " ON CONFLICT (cohort_no, state) DO UPDATE SET cards = tally.cards + excluded.cards",
            [(state, count, cohort_id) for (cohort_id, state), count in sorted(delta.items()) if count],
        )


def _statuses(rows: Sequence[Any]) -> Iterator[Outgoing]:
    by_cohort: dict[str, list[Any]] = defaultdict(list)
    for cohort_id, card_ref, _, state, since, version in rows:
        by_cohort[cohort_id].append({"card_ref": str(card_ref), "state": state, "since": since, "version": version})
    for cohort_id, items in by_cohort.items():
        for batch in in_batches(sorted(items, key=lambda item: item["card_ref"])):
            told = "".join(f"{item['card_ref']}/{item['version']}" for item in batch)
            ce_id = f"{cohort_id}/status/{hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()}"
            value = {"cohort_id": cohort_id, "items": list(batch)}
            yield Outgoing(ce_id, topic_of("card-status"), cohort_id, "card_status", value)
