"""The one set-based pass: reads changed cards and due clocks in key order, writes decisions, states and breaks.

Run by dags/clocks every few minutes and by the demo's stepper once all evidence of a day is in. Nothing here reads a
message, and nothing that merges evidence decides.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from issuance.city.city import City, served_city
from issuance.city.partners import topic_of
from issuance.clock import end_of
from issuance.errors import Broken
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.tracking.brakes import look_ahead
from issuance.tracking.card_breaks import settle_card_breaks
from issuance.tracking.decisions import RECORDED_RULES
from issuance.tracking.event_effects import follow_events
from issuance.tracking.notice_rules import NOTICE
from issuance.tracking.remakes import begin_remakes, end_remakes
from issuance.tracking.requests import send_requests, settle_requests
from issuance.tracking.rule import Rule
from issuance.tracking.snapshot import city_values, snapshot_cards
from issuance.wire.faults import clear_faults, note_fault, standing
from issuance.wire.isolation import is_ours, where
from issuance.wire.outbox import Outgoing, in_batches, write_outbox

log = logging.getLogger(__name__)
BATCH = 50_000


def decide(settings: Settings) -> int:
    """Decide about what has changed, or whose clock is due, before this pass began, and about what follows from it;
    returns how many decisions and state changes were written.

    Raises:
        Broken: the decisions do not converge.
    """
    city = served_city(settings)
    with transaction(settings.database_url) as connection:
        take_cards(connection, business_day(connection))
    written = 0
    for _ in range(10_000):
        with transaction(settings.database_url) as connection:
            cards, wrote = decide_batch(connection, city)
        written += wrote
        if not cards:
            return written
    raise Broken("DECISIONS_RESTLESS", "the decisions do not converge")


def take_cards(connection: Connection, day: date) -> None:
    """Take what has changed and whose clock is due into `deciding`, the mark up to which a pass works: what comes later
    waits for the next one. What an interrupted pass left is in it, too."""
    connection.execute(
        "WITH taken AS (DELETE FROM changed_card RETURNING card_ref) INSERT INTO deciding"
        " SELECT card_ref FROM taken UNION SELECT card_ref FROM card WHERE next_due <= %(day)s"
        " UNION SELECT reference::uuid FROM fault WHERE kind = 'DECISION_FAILED' AND since < %(day)s"
        " ON CONFLICT DO NOTHING",
        {"day": day},
    )


def decide_batch(connection: Connection, city: City) -> tuple[int, int]:
    """One batch of `deciding` in the open transaction; returns (cards looked at, decisions and state changes written).

    A card whose decisions fail is set aside, with a fault of ours, and stops no other one.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.decide'))")
    day = business_day(connection)
    rows = connection.execute(
        "DELETE FROM deciding WHERE card_ref IN (SELECT card_ref FROM deciding ORDER BY card_ref LIMIT %s)"
        " RETURNING card_ref",
        (BATCH,),
    ).fetchall()
    if not rows:
        return 0, 0
    values = city_values(city, day)
    look_ahead(connection, values)
    return len(rows), _isolate(connection, city, values, sorted(ref for (ref,) in rows))


def _isolate(connection: Connection, city: City, values: Mapping[str, Any], refs: Sequence[UUID]) -> int:
    """Decide about cards under a savepoint; where an error lies in one, halve until it is alone."""
    try:
        with connection.transaction():
            return _decide_cards(connection, city, values, refs)
    except Exception as error:
        if is_ours(error):
            raise
        if len(refs) == 1:
            log.error("card %s cannot be decided about: %s %s", refs[0], where(error), error)
            note_fault(connection, "DECISION_FAILED", str(refs[0]), where(error), values["day"])
            return 0
    middle = len(refs) // 2
    return sum(_isolate(connection, city, values, some) for some in (refs[:middle], refs[middle:]))


def _decide_cards(connection: Connection, city: City, values: Mapping[str, Any], refs: Sequence[UUID]) -> int:
    day = values["day"]
    connection.execute("CREATE TEMP TABLE work ON COMMIT DROP AS SELECT unnest(%s::uuid[]) AS card_ref", (list(refs),))
    connection.execute("ANALYZE work")
    connection.execute("SELECT FROM card WHERE card_ref IN (SELECT card_ref FROM work) ORDER BY card_ref FOR UPDATE")
    followed = follow_events(connection, city.partners, day)
    snapshot_cards(connection, values)
    ended = end_remakes(connection, values)
    if ended:  # what was made in vain is no longer a plastic to be reckoned with
        _snapshot_again(connection, values)
    begun = begin_remakes(connection, city.partners, values)
    if begun:  # and a new one is: its account is that of the old one
        _snapshot_again(connection, values)
    decided = ended + begun
    decided += sum(record(connection, rule, values) for rule in RECORDED_RULES)
    decided += settle_requests(connection, values)
    if decided:  # the state follows from decisions, too: the cards are looked at once more
        connection.execute(FOLLOW_UP)
    decided += record(connection, NOTICE, values)
    send_requests(connection, day)
    changed = move_states(connection, day)
    settle_card_breaks(connection, day, values)
    if failing := standing(connection, "DECISION_FAILED") & set(map(str, refs)):
        clear_faults(connection, "DECISION_FAILED", *failing)
    connection.execute("DROP TABLE work, plastic_snapshot, card_snapshot")
    return decided + changed + followed


def _snapshot_again(connection: Connection, values: Mapping[str, Any]) -> None:
    connection.execute("DROP TABLE plastic_snapshot, card_snapshot")
    snapshot_cards(connection, values)


FOLLOW_UP = """
INSERT INTO deciding SELECT card_ref FROM work
WHERE EXISTS (SELECT FROM remake r WHERE r.card_ref = work.card_ref)
   OR EXISTS (SELECT FROM decision d WHERE d.card_ref = work.card_ref AND d.kind = 'CANCEL_PLASTIC')
   OR EXISTS (SELECT FROM request q WHERE q.card_ref = work.card_ref)
ON CONFLICT DO NOTHING
"""
"""What the state of a card follows from besides its facts."""


def record(connection: Connection, rule: Rule, values: Mapping[str, Any]) -> int:
    """Record a rule's decisions; returns how many are new."""
    return connection.execute(
        "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, consignment_id, business_day, decided_by)"
        " SELECT DISTINCT ON (card_ref, attempt, occasion) card_ref, attempt, %(kind)s, occasion, reason,"
        f" consignment_id, %(day)s, 'policy' FROM ({rule.query}) AS rule"
        " ORDER BY card_ref, attempt, occasion ON CONFLICT DO NOTHING",
        {**values, "kind": rule.kind},
    ).rowcount


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
        "INSERT INTO deciding SELECT replaces FROM card WHERE card_ref = ANY (%(changed)s) AND replaces IS NOT NULL"
        " UNION SELECT card_ref FROM break WHERE kind = 'SECOND_CARD' AND closed_on IS NULL"
        " AND actual = ANY (%(changed)s::text[]) ON CONFLICT DO NOTHING",
        {"changed": [card_ref for _, card_ref, *_ in changed]},
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
