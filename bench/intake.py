"""Intake, from a CSV file to accepted cards and sealed blocks, as a ratio to a bare script.

The bare script does the same reading, writing and sealing without deciding anything: it reads the file with
`csv.reader`, seals the rows part by part into the inbox, opens them again, seals persons in blocks of 1,000, and copies
a row outcome and a card for each row into PostgreSQL. Both work on the local stack in databases of their own, the
product's parts side by side in as many processes as Airflow would run. Run with the stack up:
`python -m bench.intake [--rows N] [--workers N]`.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4, uuid5

import psycopg

from issuance.city.partners import load_registry
from issuance.intake.accept import CARD_TYPES, VAULT_FIELDS, accept_part, finish_submission
from issuance.intake.decide_rows import decide_rows
from issuance.intake.parts import PartStore
from issuance.intake.register import register_parts
from issuance.intake.session import open_intake
from issuance.intake.submit import Package, Sealing
from issuance.intake.validate_part import OUTCOME, validate_part
from issuance.ledger.connection import connect, migrate, set_business_day
from issuance.settings import ROOT, Settings, load_settings
from issuance.vault.blocks import BLOCK_ROWS
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import encode_body
from issuance.words.references import CARD_NAMESPACE
from producers.generate import Generated, generate_cohort

OPENS, SINCE = date(2025, 10, 9), datetime(2025, 10, 9, tzinfo=UTC)
MIB = 1024


class Stages:
    """Seconds by stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def show(self, name: str, count: int) -> None:
        """Print the total, how many rows or cards a second that is, and each stage's share."""
        print(f"{name:<28}{self.total:8.1f} s {count / self.total:10,.0f}/s")
        for stage, seconds in self.seconds.items():
            print(f"    {stage:<24}{seconds:8.1f} s {100 * seconds / self.total:6.0f} %")

    @property
    def total(self) -> float:
        """All of them."""
        return sum(self.seconds.values())


@contextmanager
def database(settings: Settings, name: str) -> Iterator[Settings]:
    """An empty ledger for one run."""
    base, _, _ = settings.database_url.rpartition("/")
    _drop(settings, name)
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    url = f"{base}/{name}"
    migrate(url)
    with connect(url) as connection:
        set_business_day(connection, OPENS)
    try:
        yield replace(settings, database_url=url)
    finally:
        _drop(settings, name)


def _drop(settings: Settings, name: str) -> None:
    """Without FORCE, which may not end an autovacuum worker; the pools' own connections are ended first."""
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user",
            (name,),
        )
        admin.execute(f"DROP DATABASE IF EXISTS {name}")


def _largest() -> int:
    """The largest size this process ever had, in KiB; `getrusage` counts the parent too."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) if found else 0


def _part(work: tuple[Callable[..., Any], Settings, str, int]) -> int:
    """One part in a process of its own, as one mapped task; returns the process's largest size so far in KiB."""
    act, settings, cohort_id, part = work
    act(open_intake(settings, cohort_id, 0), part)
    return _largest()


def take_in(settings: Settings, made: Generated, cohort_id: str, workers: int) -> tuple[Stages, int]:
    """The product's intake without Kafka and Airflow: seconds a stage, and the largest process in KiB."""
    stages, largest = Stages(), 0
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    keys.create_cohort_key(cohort_id)
    package = Package(cohort_id, "110000", "retiree", OPENS, made.rows)
    sealing = Sealing(PartStore(store, keys, cohort_id), f"inbox/{cohort_id}/bench", package, None)
    with stages.stage("submit"):
        sealing.seal_file(made.applications, settings.part_rows)
        sealing.check_count()
        store.put("bench-manifest", json.dumps({"parts": [part.as_dict() for part in sealing.parts]}).encode())
    with connect(settings.database_url) as connection:
        _register(connection, cohort_id, made.rows)
        parts = register_parts(connection, store, cohort_id, 0)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for name, act in (("validate", validate_part), ("accept", accept_part)):
            with stages.stage(name):
                sizes = list(pool.map(_part, [(act, settings, cohort_id, part) for part in parts]))
            largest = max(largest, *sizes)
            if name == "validate":
                with stages.stage("decide"):
                    decide_rows(open_intake(settings, cohort_id, 0))
    with stages.stage("finish"):
        counts = finish_submission(open_intake(settings, cohort_id, 0))
    assert counts["accepted"] == made.cards, counts
    return stages, max(largest, _largest())


def _register(connection: psycopg.Connection[Any], cohort_id: str, rows: int) -> None:
    connection.execute(
        "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
        " VALUES (%s, '110000', 'retiree', %s, 'REGISTERED', %s)",
        (cohort_id, OPENS, OPENS),
    )
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " SELECT cohort_no, 0, 'bench', %s, false, 'bench-manifest', 'bench', 'REGISTERED' FROM cohort",
        (rows,),
    )


def bare(settings: Settings, made: Generated, cohort_id: str) -> Stages:
    """The same reading, writing and sealing in one plain script."""
    stages = Stages()
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    keys.create_cohort_key(cohort_id)
    objects: list[str] = []
    with stages.stage("read and seal parts"), made.applications.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        while rows := list(islice(reader, settings.part_rows)):
            key = f"inbox/{cohort_id}/{len(objects)}"
            store.put(key, keys.seal(cohort_id, key, json.dumps(rows, ensure_ascii=False).encode()))
            objects.append(key)
    with connect(settings.database_url) as connection:
        _register(connection, cohort_id, made.rows)
        with stages.stage("open, seal blocks, copy"):
            for part, key in enumerate(objects):
                rows = json.loads(keys.open(cohort_id, key, store.get(key)))
                _bare_part(
                    connection, store, keys, (cohort_id, part), [dict(zip(header, r, strict=True)) for r in rows]
                )
            connection.commit()
    return stages


def _bare_part(
    connection: psycopg.Connection[Any], store: ObjectStore, keys: KeyService, of: tuple[str, int], rows: list[Any]
) -> None:
    cohort_id, part = of
    namespace, hasher = uuid5(CARD_NAMESPACE, cohort_id), keys.person_hasher()
    cards = []
    with connection.cursor().copy(f"COPY row_outcome ({', '.join(OUTCOME)}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(list(OUTCOME.values()))
        for line, row in enumerate(rows, part * 1_000_000):
            ref, person = uuid5(namespace, row["application_id"]).bytes, hasher(row["id_type"], row["id_number"])
            copy.write_row((1, 0, "f", line, part, "accepted", row["application_id"], person, ref, row["kind"],
                            None, None, None))  # fmt: skip
            cards.append((uuid4().bytes, 1, uuid4().hex, person, 0, "f", line, row["kind"], row["category"],
                          row["bank_code"], "F", OPENS, OPENS, None, row["collection_method"], row["region_code"],
                          line // BLOCK_ROWS, line % BLOCK_ROWS, None, None, 0, None, "WAITING", SINCE, 0,
                          None))  # fmt: skip
    for start in range(0, len(rows), BLOCK_ROWS):
        persons = [
            {name: row.get(name, "") for name in VAULT_FIELDS} | {"card_ref": "x" * 36, "masked": "m"}
            for row in rows[start : start + BLOCK_ROWS]
        ]
        key = f"vault/{cohort_id}/bare-{part}-{start}"
        body = encode_body("block", [encode_body("person", person) for person in persons])
        store.put(key, keys.seal(cohort_id, key, body))
    with connection.cursor().copy("COPY card FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(CARD_TYPES)
        for card in cards:
            copy.write_row(card)


def main() -> None:
    """Print the ratio, absolute figures, and where the time goes."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--rows", type=int, default=200_000, help="good rows; defects come on top")
    given.add_argument("--workers", type=int, default=2, help="parts at the same time")
    given.add_argument("--part-rows", type=int, default=None)
    options = given.parse_args()
    settings = load_settings()
    settings = replace(settings, part_rows=options.part_rows or settings.part_rows)
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    run = uuid4().hex[:8]
    with tempfile.TemporaryDirectory() as folder:
        made = generate_cohort(Path(folder), options.rows, 7, OPENS, registry)
        with database(settings, "bench_intake") as own:
            plain = bare(own, made, f"bench-bare-{run}")
        with database(settings, "bench_intake") as own:
            product, largest = take_in(own, made, f"bench-{run}", options.workers)
    print(f"{made.rows:,} rows, {options.workers} processes, parts of {settings.part_rows:,}")
    plain.show("bare script, one process", made.rows)
    product.show("intake", made.rows)
    print(f"ratio to the bare script {plain.total / product.total:.2f}; largest process {largest / MIB:,.0f} MiB")


if __name__ == "__main__":
    main()
