"""Intake, from a CSV file to accepted cards and sealed blocks, as a ratio to a bare script.

The bare script (`bench.bare.intake`, frozen) does the same reading, writing and sealing without deciding anything: it
reads the file with `csv.reader`, seals the rows part by part into the inbox, opens them again, seals persons in blocks
of 1,000, and copies a row outcome and a card for each row into PostgreSQL. Both work on the local stack in databases of
their own, the product's parts side by side in as many processes as Airflow would run. Run with the stack up:
`python -m bench.intake [--rows N] [--workers N]`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bench.bare.stages import Stages
from bench.place import OPENS, database, owner_settings, run_bare
from bench.sizes import MIB, largest_size
from issuance.city.partners import load_registry
from issuance.intake.accept import accept_part, finish_submission
from issuance.intake.decide_rows import decide_rows
from issuance.intake.parts import PartStore
from issuance.intake.register import register_parts
from issuance.intake.session import open_intake
from issuance.intake.submit import Package, Sealing
from issuance.intake.validate_part import validate_part
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from producers.generate import Generated, generate_cohort


def _part(work: tuple[Callable[..., Any], Settings, str, int]) -> int:
    """One part in a process of its own, as one mapped task; returns the process's largest size so far in KiB."""
    act, settings, cohort_id, part = work
    act(open_intake(settings, cohort_id, 0), part)
    return largest_size()


def take_in(settings: Settings, made: Generated, cohort_id: str, workers: int) -> tuple[Stages, int]:
    """The product's intake without Kafka and Airflow: seconds a stage, and the largest process in KiB."""
    stages, largest = Stages(), 0
    with stages.stage("submit"):
        _submit(settings, made, cohort_id)
    with connect(settings.database_url) as connection:
        _register(connection, cohort_id, made.rows)
        parts = register_parts(connection, ObjectStore.of(settings), cohort_id, 0)
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
    return stages, max(largest, largest_size())


def _submit(settings: Settings, made: Generated, cohort_id: str) -> None:
    """Read the file, seal its parts, and write the manifest that names them."""
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    keys.create_cohort_key(cohort_id)
    package = Package(cohort_id, "110000", "retiree", OPENS, made.rows)
    sealing = Sealing(PartStore(store, keys, cohort_id), f"inbox/{cohort_id}/bench", package, None)
    sealing.seal_file(made.applications, settings.part_rows)
    sealing.check_count()
    store.put("bench-manifest", json.dumps({"parts": [part.as_dict() for part in sealing.parts]}).encode())


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


def main() -> None:
    """Print the ratio, absolute figures, and where the time goes."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--rows", type=int, default=200_000, help="good rows; defects come on top")
    given.add_argument("--workers", type=int, default=2, help="parts at the same time")
    given.add_argument("--part-rows", type=int, default=None)
    options = given.parse_args()
    settings = owner_settings()
    settings = replace(settings, part_rows=options.part_rows or settings.part_rows)
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    with tempfile.TemporaryDirectory() as folder:
        made = generate_cohort(Path(folder), options.rows, 7, OPENS, registry)
        plain = run_bare(settings, "intake", applications=str(made.applications), part_rows=settings.part_rows)
        with database(settings, "bench_intake") as own:
            product, largest = take_in(own, made, f"bench-{uuid4().hex[:8]}", options.workers)
    print(f"{made.rows:,} rows, {options.workers} processes, parts of {settings.part_rows:,}; {made.cards:,} accepted")
    plain.show("bare script, one process", made.rows)
    product.show("intake", made.rows)
    print(f"ratio to the bare script {plain.total / product.total:.2f}; largest process {largest / MIB:,.0f} MiB")


if __name__ == "__main__":
    main()
