"""Dispatch, from accepted cards to sealed jobs on the factories' topics, as a ratio to a bare script.

The bare script reads the same cards, opens the same blocks, writes a plastic and a job item for each, encodes, signs,
seals and stores files of the same size and sends one message for each, and decides nothing. Both work on the local
stack in databases of their own; the product seals factories side by side, as Airflow's mapped tasks do. Run with the
stack up: `python -m bench.dispatch [--cards N] [--workers N]`.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any
from uuid import uuid4, uuid5

import psycopg

from bench.intake import MIB, OPENS, SINCE, Stages, database
from issuance.city.partners import GRANTABLE, load_registry, topic_of
from issuance.dispatch.jobfile import encode_job, seal_signed
from issuance.dispatch.plan import plan_factories
from issuance.dispatch.release import release_wave
from issuance.dispatch.seal import Sealer
from issuance.intake.accept import CARD_TYPES, VAULT_FIELDS
from issuance.ledger.connection import connect
from issuance.settings import Settings, load_settings
from issuance.vault.blocks import BLOCK_ROWS, Vault, block_key
from issuance.vault.envelopes import SealingKey
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body
from issuance.wire.kafka import make_producer, our_credentials
from issuance.wire.relay import Relay
from issuance.words.references import CARD_NAMESPACE

JOB_SIZE = 5000
PERSON = dict.fromkeys(VAULT_FIELDS, "") | {
    "name": "王建国", "id_type": "resident_id", "id_number": "11010519491231002X", "sex": "female",
    "social_security_number": "11010519491231002X", "birth_date": "1949-12-31", "phone": "13800000000",
    "region_code": "110105", "address": "北京市朝阳区某街道某小区一号楼二单元三零一室", "postcode": "100020",
    "masked": "王** 1***************2X",
}  # fmt: skip


def accept(settings: Settings, cohort_id: str, cards: int) -> None:
    """An accepted cohort: cards over all banks, a third of them by mail, their persons in sealed blocks."""
    registry = load_registry(settings.partners_file)
    keys = KeyService(settings.keys_dir)
    keys.create_cohort_key(cohort_id)
    vault, namespace = Vault(ObjectStore.of(settings), keys, cohort_id), uuid5(CARD_NAMESPACE, cohort_id)
    banks = sorted(registry.factory_of_bank)
    with connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
            " VALUES (%s, '110000', 'retiree', %s, 'ACCEPTED', %s)", (cohort_id, OPENS, OPENS),
        )  # fmt: skip
        connection.execute(
            "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
            " VALUES (1, 0, 'x', %s, false, 'm', 'submitter', 'ACCEPTED')", (cards,)
        )  # fmt: skip
        with connection.cursor().copy("COPY card FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(CARD_TYPES)
            for n in range(cards):
                bank = banks[n * len(banks) // cards]
                copy.write_row((
                    uuid5(namespace, str(n)).bytes, 1, f"A{n}", uuid4().bytes, 0, "f", n, "renewal", "retiree", bank,
                    registry.factory_of_bank[bank], OPENS, OPENS + timedelta(days=30), None,
                    "mail" if n % 3 == 0 else "outlet", f"{bank}-1", n // BLOCK_ROWS, n % BLOCK_ROWS, None, None, 0,
                    None, "WAITING", SINCE, 0, None,
                ))  # fmt: skip
    for start in range(0, cards, BLOCK_ROWS):
        refs = [str(uuid5(namespace, str(n))) for n in range(start, min(start + BLOCK_ROWS, cards))]
        vault.write_block(start // BLOCK_ROWS, [PERSON | {"card_ref": ref} for ref in refs])


def _seal(work: tuple[Settings, str, str]) -> int:
    """One factory in a process of its own, as one mapped task; returns the process's largest size so far in KiB."""
    settings, cohort_id, factory = work
    Sealer(settings).seal_wave(cohort_id, 1, factory)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def dispatch(settings: Settings, cohort_id: str, workers: int) -> tuple[Stages, int]:
    """The product's dispatch without Airflow: seconds a stage, and the largest process in KiB."""
    stages = Stages()
    with stages.stage("plan"):
        factories = plan_factories(settings, cohort_id, 1, "planner")
    with stages.stage("release"):
        release_wave(settings, cohort_id, 1, "releaser")
    with stages.stage("seal"), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        sizes = list(pool.map(_seal, [(settings, cohort_id, factory) for factory in factories]))
    relay = Relay(settings)  # a process that stays
    with stages.stage("send"):
        while relay.send_batch():
            pass
    relay.close()
    return stages, max(*sizes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def bare(settings: Settings, cohort_id: str) -> Stages:
    """The same reading, writing, sealing and sending in one plain script."""
    stages, store, keys = Stages(), ObjectStore.of(settings), KeyService(settings.keys_dir)
    signing, producer = keys.signing_key(OPENS), make_producer(our_credentials(settings))
    producer.partitions_for(topic_of("cohort-events"))  # connected before the clock runs, as the relay is
    registry = load_registry(settings.partners_file)
    with connect(settings.database_url) as connection, stages.stage("read, write, seal, send"):
        connection.execute(
            "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
            " VALUES (1, 1, 'p', '{s}', %s, 0, '{}')", (OPENS,)
        )  # fmt: skip
        for number, (factory, cards) in enumerate(_jobs(connection)):
            job_id = f"{cohort_id}.bare.{number}"
            _write(connection, job_id, factory, cards)
            pem = (settings.partner_keys_dir / f"{factory}.pem").read_bytes()
            records = list(_records(store, keys, cohort_id, cards))
            file = seal_signed(
                encode_job(records, job_id, ""), signing, SealingKey(factory, registry.sealing_algorithm, pem)
            )
            store.put(f"bench/{job_id}.jwe", file)
            producer.send(topic_of("card-jobs", factory), b"bare", job_id.encode(), [])
        connection.commit()
        producer.flush()
        producer.close()
    return stages


def _jobs(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, list[Any]]]:
    """(factory, cards) of each job."""
    with connection.cursor("cards") as cursor:
        cursor.itersize = JOB_SIZE
        found: list[Any] = []
        for card in cursor.execute(
            "SELECT card_ref, factory, bank, collection_method, place, block, position FROM card ORDER BY bank, block"
        ):
            if found and (len(found) == JOB_SIZE or found[0][2] != card[2]):
                yield found[0][1], found
                found = []
            found.append(card)
        yield found[0][1], found


def _write(connection: psycopg.Connection[Any], job_id: str, factory: str, cards: list[Any]) -> None:
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " VALUES (%s, 1, 1, 'B', %s, %s, %s, %s, '', false)", (job_id, factory, OPENS, OPENS, len(cards))
    )  # fmt: skip
    with connection.cursor().copy("COPY plastic (card_ref, attempt, job_id, bank, factory) FROM STDIN") as copy:
        for ref, _, bank, *_ in cards:
            copy.write_row((ref, 1, job_id, bank, factory))
    with connection.cursor().copy("COPY job_item FROM STDIN") as copy:
        for position, (ref, *_) in enumerate(cards):
            copy.write_row((job_id, position, ref, 1))


def _records(store: ObjectStore, keys: KeyService, cohort_id: str, cards: list[Any]) -> Iterator[dict[str, Any]]:
    opened: dict[int, list[bytes]] = {}
    for ref, _, bank, method, place, block, position in cards:
        if block not in opened:
            name = block_key(cohort_id, block)
            opened[block] = list(decode_body("block", keys.open(cohort_id, name, store.get(name))))
        person = decode_body("person", opened[block][position])
        order = {"card_ref": str(ref), "attempt": 1, "bank": bank, "collection_method": method, "place": place}
        yield {**order, "pack": None, "postage": None, **{field: person[field] or None for field in GRANTABLE}}


def main() -> None:
    """Print the ratio, absolute figures, and where the time goes."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--cards", type=int, default=200_000)
    given.add_argument("--workers", type=int, default=2, help="factories at the same time")
    options = given.parse_args()
    settings, run = load_settings(), uuid4().hex[:8]
    with database(settings, "bench_dispatch") as own:
        accept(own, f"bench-bare-{run}", options.cards)
        plain = bare(own, f"bench-bare-{run}")
    with database(settings, "bench_dispatch") as own:
        accept(own, f"bench-{run}", options.cards)
        product, largest = dispatch(own, f"bench-{run}", options.workers)
    print(f"{options.cards:,} cards, {options.workers} processes, jobs of {JOB_SIZE:,}")
    plain.show("bare script, one process", options.cards)
    product.show("dispatch", options.cards)
    print(f"ratio to the bare script {plain.total / product.total:.2f}; largest process {largest / MIB:,.0f} MiB")


if __name__ == "__main__":
    main()
