"""How long a forecast takes: cards of several cohorts over the demo registry's factories, and its peak memory.

`python -m bench.planner [CARDS]` plans from grouped demands alone, within capacity and at three times the load, where
much is moved to backups and much breaches. With `--ledger` and the stack up, the same number of cards is put into a
database of its own beside the stack's ledger, read and forecast as the command does, and dropped again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg

from bench.place import owner_settings
from bench.sizes import MIB, largest_size
from issuance.city.calendar import STATE_COUNCIL
from issuance.city.city import Cities
from issuance.city.partners import Registry, load_registry
from issuance.dispatch.demands import Assumptions, factories_of
from issuance.dispatch.forecast import forecast
from issuance.dispatch.schedule import Demand, schedule
from issuance.ledger.connection import migrate, set_business_day
from issuance.settings import ROOT

FIRST_DAY = date(2025, 3, 3)
COHORTS = 20
DUE_DAYS = 45
"""Due dates of a cohort in the ledger, from ten days after the first day on."""
REGISTRY = ROOT / "policies" / "partners.demo.yaml"
FILL = """
INSERT INTO card (card_ref, cohort_no, application_id, submission, file, line, kind, category, bank, factory,
                  applied_on, due_on, collection_method, place, block, position, state, since)
SELECT gen_random_uuid(), n %% %(cohorts)s + 1, 'A' || n, 0, 'f.csv', n, 'renewal', 'retiree',
       (%(banks)s::text[])[1 + n / 7 %% %(bank_count)s], 'F', %(day)s,
       %(day)s::date + (10 + n / 3 %% %(due_days)s)::int,
       'outlet', 'P', n / 1000, n %% 1000, 'WAITING', now()
FROM generate_series(1, %(cards)s) n
"""


def demands(registry: Registry, cards: int, per_day: int) -> Iterator[Demand]:
    """Cards in equal groups of cohort, bank and due date; `per_day` cards become due each day."""
    banks = list(registry.factory_of_bank)
    days = max(cards // per_day, 1)
    group = max(cards // (COHORTS * len(banks) * days), 1)
    left = cards
    for day in range(days):
        for cohort in range(COHORTS):
            for bank in banks:
                count = min(group, left) if (day, cohort, bank) != (days - 1, COHORTS - 1, banks[-1]) else left
                left -= count
                if count:
                    yield Demand(
                        f"c{cohort}", bank, FIRST_DAY + timedelta(days=10 + day), count,
                        registry.factory_of_bank[bank], registry.backup_of(bank),
                    )  # fmt: skip


def measure_pure(registry: Registry, name: str, cards: int, per_day: int) -> None:
    """Print seconds, demands, lots and late cards of one load."""
    given = list(demands(registry, cards, per_day))
    started = time.perf_counter()
    lots = schedule(given, factories_of(registry, Assumptions()), FIRST_DAY, STATE_COUNCIL.is_working_day)
    seconds = time.perf_counter() - started
    late = sum(lot.cards for lot in lots if lot.late)
    moved = sum(lot.cards for lot in lots if lot.demand.backup is None)
    print(
        f"{name:<34}{seconds:7.2f} s  {len(given):>7,} demands {len(lots):>8,} lots"
        f" {moved:>10,} moved {late:>10,} late, last made {max(lot.made_on or date.min for lot in lots)}"
    )


def measure_ledger(registry: Registry, cards: int) -> None:
    """Print the seconds of a forecast from a ledger made and dropped for it."""
    settings = owner_settings()
    base, _, _ = settings.database_url.rpartition("/")
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS bench_planner WITH (FORCE)")
        admin.execute("CREATE DATABASE bench_planner")
    try:
        url = f"{base}/bench_planner"
        fill_ledger(registry, url, cards)
        with psycopg.connect(url) as connection:
            started = time.perf_counter()
            found = forecast(connection, Cities(registry, ROOT / "policies"))
            seconds = time.perf_counter() - started
            planned = sum(row["cards"] for row in found.cohorts)
            print(f"{'forecast from the ledger':<34}{seconds:7.2f} s  {planned:,} cards, {len(found.cohorts)} cohorts")
    finally:
        with psycopg.connect(settings.database_url, autocommit=True) as admin:
            admin.execute("DROP DATABASE bench_planner")  # by force it may not end an autovacuum


def fill_ledger(registry: Registry, url: str, cards: int) -> None:
    """Accepted cohorts whose cards wait."""
    migrate(url)
    banks = list(registry.factory_of_bank)
    with psycopg.connect(url, autocommit=True) as connection:
        set_business_day(connection, FIRST_DAY)
        connection.execute(
            "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
            " SELECT 'c' || n, '110000', 'retiree', %s, 'ACCEPTED', %s FROM generate_series(1, %s) n",
            (FIRST_DAY, FIRST_DAY, COHORTS),
        )
        values = {"cohorts": COHORTS, "banks": banks, "bank_count": len(banks), "day": FIRST_DAY, "due_days": DUE_DAYS}
        connection.execute(FILL, {**values, "cards": cards})
        connection.execute("ANALYZE card")


def main() -> None:
    """Print a line a measurement and the peak memory."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    cards = int(words[0]) if words else 3_000_000
    registry = load_registry(REGISTRY)
    capacity = sum(registry.partners[name].capacity for name in set(registry.factory_of_bank.values()))
    print(f"{cards:,} cards over {len(registry.of_kind('factory'))} factories, {capacity:,} cards a working day")
    measure_pure(registry, "within capacity", cards, capacity // 2)
    measure_pure(registry, "three times what can be made", cards, capacity * 3)
    if "--ledger" in sys.argv:
        measure_ledger(registry, cards)
    print(f"peak memory {largest_size() / MIB:,.0f} MiB")


if __name__ == "__main__":
    main()
