"""Which form of the journal: per-item rows (with or without an index, unique or not) or the stored reports.

Each variant takes the same facts in transactions of 20,000 into a database of its own beside the stack's ledger, with
the same folding into a row per plastic; then a card's history is looked up. Run with the stack up:
`python -m bench.journal [FACTS]`. Ratios are to per-item rows without an index.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import psycopg

from issuance.settings import load_settings

NAMESPACE = UUID(int=7)
TRANSACTION = 20_000
LOOKUPS = 2_000
Fact = tuple[UUID, int, str, str]
ROWS = "CREATE TABLE journal (report bigint, item int, card_ref uuid, attempt int, milestone text, mark text)"
VARIANTS: dict[str, list[str]] = {
    "per-item rows, no index": [ROWS],
    "per-item rows, index on card_ref": [ROWS, "CREATE INDEX ON journal (card_ref)"],
    "per-item rows, unique index": [
        ROWS,
        "CREATE UNIQUE INDEX ON journal (card_ref, attempt, milestone, report, item)",
    ],
    "stored reports, report ids in the row": [
        "CREATE TABLE journal (report bigint PRIMARY KEY, cards uuid[], attempts int[], milestones text[],"
        " marks text[])"
    ],
}
FOLD = (
    "INSERT INTO plastic AS p (card_ref, attempt, made, reports) SELECT card_ref, attempt, min(mark),"
    " array_agg(DISTINCT report) FROM staged GROUP BY 1, 2 ORDER BY 1, 2 ON CONFLICT (card_ref, attempt) DO UPDATE"
    " SET made = least(p.made, excluded.made){}"
)


def facts(count: int) -> Iterator[list[Fact]]:
    """Transactions of facts: twelve facts a card, spread over time as they come."""
    cards = [uuid5(NAMESPACE, str(n)) for n in range(max(count // 12, 1))]
    batch: list[Fact] = []
    for number in range(count):
        step, card = divmod(number, len(cards))
        batch.append((cards[(card * 7919) % len(cards)], 1, f"M{step}", f"{1760000000000 + number:013d}||"))
        if len(batch) == TRANSACTION:
            yield batch
            batch = []
    if batch:
        yield batch


def fill(connection: psycopg.Connection[Any], name: str, count: int) -> float:
    """Seconds to take all facts in."""
    stored = name.startswith("stored")
    connection.execute(
        "CREATE TEMP TABLE staged (report bigint, item int, card_ref uuid, attempt int, milestone text, mark text)"
    )
    fold = FOLD.format(", reports = p.reports || excluded.reports" if stored else "")
    started = time.perf_counter()
    for number, batch in enumerate(facts(count)):
        with connection.transaction():
            connection.execute("TRUNCATE staged")
            with connection.cursor().copy("COPY staged FROM STDIN") as copy:
                for item, fact in enumerate(batch):
                    copy.write_row((number * 20 + item // 1000, item % 1000, *fact))
            connection.execute(
                "INSERT INTO journal SELECT report, array_agg(card_ref), array_agg(attempt), array_agg(milestone),"
                " array_agg(mark) FROM staged GROUP BY report"
                if stored
                else "INSERT INTO journal SELECT * FROM staged"
            )
            connection.execute(fold)
    return time.perf_counter() - started


def look_up(connection: psycopg.Connection[Any], name: str, count: int) -> float:
    """Milliseconds to read one card's history, over many cards."""
    plastics = max(count // 12, 1)
    cards = [uuid5(NAMESPACE, str(n * 31 % plastics)) for n in range(min(LOOKUPS, plastics))]
    query = "SELECT * FROM journal WHERE card_ref = %s"
    if name.startswith("stored"):
        query = (
            "SELECT j.report, u.* FROM plastic p JOIN journal j ON j.report = ANY (p.reports), LATERAL"
            " unnest(cards, attempts, milestones, marks) AS u (card_ref, attempt, milestone, mark)"
            " WHERE p.card_ref = %s AND u.card_ref = p.card_ref"
        )
    if name.endswith("no index"):
        cards = cards[:20]
    started = time.perf_counter()
    for card in cards:
        connection.execute(query, (card,)).fetchall()
    return (time.perf_counter() - started) / len(cards) * 1000


def measure(admin_url: str, name: str, count: int) -> tuple[float, float, int]:
    """(facts a second, milliseconds a history, bytes) of one variant, in a database made and dropped for it."""
    base, _, _ = admin_url.rpartition("/")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS bench_journal WITH (FORCE)")
        admin.execute("CREATE DATABASE bench_journal")
    with psycopg.connect(f"{base}/bench_journal", autocommit=True) as connection:
        for statement in VARIANTS[name]:
            connection.execute(statement)
        connection.execute(
            "CREATE TABLE plastic (card_ref uuid, attempt int, made text, reports bigint[],"
            " PRIMARY KEY (card_ref, attempt))"
        )
        seconds = fill(connection, name, count)
        history = look_up(connection, name, count)
        (size,) = connection.execute("SELECT pg_total_relation_size('journal')").fetchone() or (0,)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE bench_journal")  # by force it may not end an autovacuum
    return count / seconds, history, int(size)


def main() -> None:
    """Print a line a variant."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    url = load_settings().owner_url
    results = {name: measure(url, name, count) for name in VARIANTS}
    base = results["per-item rows, no index"][0]
    print(f"{count:,} facts, {max(count // 12, 1):,} plastics")
    for name, (rate, history, size) in results.items():
        print(
            f"{name:<40}{rate:>10,.0f} facts/s  {rate / base:5.2f}  {history:8.2f} ms a history  {size / 2**20:7.0f} MB"
        )


if __name__ == "__main__":
    main()
