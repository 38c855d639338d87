"""Dispatch, from accepted cards to sealed jobs on the factories' topics, as a ratio to a bare script.

The bare script (`bench.bare.dispatch`, frozen) reads the same cards, opens the same blocks, writes a plastic and a job
item for each, encodes, signs, seals and stores files of the same size and sends one message for each, and decides
nothing. Both work on the local stack in databases of their own; the product seals factories side by side, as Airflow's
mapped tasks do. Run with the stack up: `python -m bench.dispatch [--cards N] [--workers N]`.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import psycopg

from bench.bare.stages import Stages
from bench.place import OPENS, database, owner_settings, run_bare
from bench.sizes import MIB, largest_size
from issuance.city.partners import Registry, load_registry, topic_of
from issuance.dispatch.plan import plan_factories
from issuance.dispatch.release import release_wave
from issuance.dispatch.seal import Sealer
from issuance.dispatch.wanted import want_wave
from issuance.ledger.connection import connect
from issuance.settings import Settings
from issuance.vault.blocks import BLOCK_ROWS, Vault
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import schema_of
from issuance.wire.relay import Relay

SINCE = datetime(2025, 10, 9, tzinfo=UTC)
PERSON = {
    "name": "王建国", "id_type": "resident_id", "id_number": "11010519491231002X", "sex": "female",
    "social_security_number": "11010519491231002X", "birth_date": "1949-12-31", "phone": "13800000000",
    "region_code": "110105", "address": "北京市朝阳区某街道某小区一号楼二单元三零一室", "postcode": "100020",
    "masked": "王** 1***************2X",
}  # fmt: skip
"""What is said of everybody; the other fields of a person are empty."""


def ref_of(cohort_id: str, number: int) -> UUID:
    """The reference of a card."""
    return uuid5(NAMESPACE_URL, f"{cohort_id}/{number}")


def accept(settings: Settings, cohort_id: str, cards: int) -> None:
    """An accepted cohort: cards over all banks, a third of them by mail, their persons in sealed blocks."""
    keys = KeyService(settings.keys_dir)
    keys.create_cohort_key(cohort_id)
    with connect(settings.database_url) as connection:
        _copy_cards(connection, load_registry(settings.partners_file), cohort_id, cards)
    vault = Vault(ObjectStore.of(settings), keys, cohort_id)
    schema: Any = schema_of("person")
    person = {field["name"]: "" for field in schema["fields"]} | PERSON
    for start in range(0, cards, BLOCK_ROWS):
        refs = [str(ref_of(cohort_id, n)) for n in range(start, min(start + BLOCK_ROWS, cards))]
        vault.write_block(start // BLOCK_ROWS, [person | {"card_ref": ref} for ref in refs])


def _copy_cards(connection: psycopg.Connection[Any], registry: Registry, cohort_id: str, cards: int) -> None:
    """The cohort, its submission, and its cards; columns are named, so that one more changes nothing here."""
    connection.execute(
        "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
        " VALUES (%s, '110000', 'retiree', %s, 'ACCEPTED', %s)", (cohort_id, OPENS, OPENS),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " VALUES (1, 0, 'x', %s, false, 'm', 'submitter', 'ACCEPTED')", (cards,)
    )  # fmt: skip
    banks = sorted(registry.factory_of_bank)
    with connection.cursor().copy(
        "COPY card (card_ref, cohort_no, application_id, person, submission, file, line, kind, category, bank, factory,"
        " applied_on, due_on, collection_method, place, block, position, state, since) FROM STDIN"
    ) as copy:
        for n in range(cards):
            bank = banks[n * len(banks) // cards]
            copy.write_row((
                ref_of(cohort_id, n), 1, f"A{n}", uuid4().bytes, 0, "f", n, "renewal", "retiree", bank,
                registry.factory_of_bank[bank], OPENS, OPENS + timedelta(days=30), "mail" if n % 3 == 0 else "outlet",
                f"{bank}-1", n // BLOCK_ROWS, n % BLOCK_ROWS, "WAITING", SINCE,
            ))  # fmt: skip


def _seal(work: tuple[Settings, str, str]) -> int:
    """One factory in a process of its own, as one mapped task; returns the process's largest size so far in KiB."""
    settings, cohort_id, factory = work
    Sealer(settings).seal_wave(cohort_id, 1, factory)
    return largest_size()


def dispatch(settings: Settings, cohort_id: str, workers: int) -> tuple[Stages, int]:
    """The product's dispatch without Airflow: seconds a stage, and the largest process in KiB."""
    stages = Stages()
    with stages.stage("plan"):
        with connect(settings.database_url) as connection:
            want_wave(connection, cohort_id, 1, "planner")
        factories = plan_factories(settings, cohort_id, 1)
    with stages.stage("release"):
        release_wave(settings, cohort_id, 1, "releaser")
    with stages.stage("seal"), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        sizes = list(pool.map(_seal, [(settings, cohort_id, factory) for factory in factories]))
    relay = Relay(settings)  # a process that stays
    with stages.stage("send"):
        while relay.send_batch():
            pass
    relay.close()
    return stages, max(*sizes, largest_size())


def ordered(settings: Settings) -> tuple[int, int]:
    """(jobs, cards in them) whose orders were sent."""
    with connect(settings.database_url) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(card_count), 0) FROM sealed_job JOIN job USING (job_id) JOIN outbox"
            " ON key = job_id AND sent"
        ).fetchone()
    return row or (0, 0)


def main() -> None:
    """Print the ratio, absolute figures, and where the time goes."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--cards", type=int, default=200_000)
    given.add_argument("--workers", type=int, default=2, help="factories at the same time")
    options = given.parse_args()
    settings, cohort_id = owner_settings(), f"bench-{uuid4().hex[:8]}"
    registry = load_registry(settings.partners_file)
    factories = registry.factory_of_bank
    topics = {name: topic_of("card-jobs", name) for name in factories.values()}
    plain = run_bare(settings, "dispatch", cards=options.cards, factory_of_bank=factories, topics=topics)
    with database(settings, "bench_dispatch") as own:
        accept(own, cohort_id, options.cards)
        product, largest = dispatch(own, cohort_id, options.workers)
        jobs, cards = ordered(own)
    print(f"{options.cards:,} cards, {options.workers} processes; {cards:,} ordered in {jobs:,} jobs")
    plain.show("bare script, one process", options.cards)
    product.show("dispatch", options.cards)
    print(f"ratio to the bare script {plain.total / product.total:.2f}; largest process {largest / MIB:,.0f} MiB")


if __name__ == "__main__":
    main()
