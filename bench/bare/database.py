"""A database of a script's own, with the tables it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
NAME = "bench_bare"
TABLES = Path(__file__).with_name("tables.sql")
OUTCOME = {
    "cohort_no": "int4", "submission": "int4", "file": "text", "line": "int4", "part": "int4", "outcome": "text",
    "application_id": "text", "person": "bytea", "card_ref": "bytea", "kind": "text", "reasons": "text[]",
    "of_file": "text", "of_line": "int4",
}  # fmt: skip
"""Columns that are copied, and the types of our values: a uuid travels as its 16 bytes."""
CARD = {
    "card_ref": "bytea", "cohort_no": "int4", "application_id": "text", "person": "bytea", "submission": "int4",
    "file": "text", "line": "int4", "kind": "text", "category": "text", "bank": "text", "factory": "text",
    "applied_on": "date", "due_on": "date", "old_card_generation": "int2", "collection_method": "text",
    "place": "text", "block": "int8", "position": "int4", "held": "text", "withdrawn": "text", "last_attempt": "int2",
    "effective": "int2", "state": "text", "since": "timestamptz", "version": "int4", "next_due": "date",
    "replaces": "bytea",
}  # fmt: skip


@contextmanager
def database(url: str, cohort_id: str) -> Iterator[Connection]:
    """A connection to an empty database with the tables and one cohort, number 1; dropped afterwards."""
    base, _, _ = url.rpartition("/")
    _admin(url, f"DROP DATABASE IF EXISTS {NAME}", f"CREATE DATABASE {NAME}")
    try:
        with psycopg.connect(f"{base}/{NAME}", options="-c timezone=UTC") as connection:
            connection.execute(TABLES.read_text(encoding="utf-8"))
            _register(connection, cohort_id)
            connection.commit()
            yield connection
    finally:
        _admin(url, f"DROP DATABASE {NAME}")


@contextmanager
def copying(connection: Connection, table: str, types: Mapping[str, str]) -> Iterator[psycopg.Copy]:
    """A binary COPY into the named columns."""
    with connection.cursor().copy(f"COPY {table} ({', '.join(types)}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(list(types.values()))
        yield copy


def _register(connection: Connection, cohort_id: str) -> None:
    day = date(2025, 10, 9)
    connection.execute(
        "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
        " VALUES (%s, '110000', 'retiree', %s, 'REGISTERED', %s)",
        (cohort_id, day, day),
    )
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " VALUES (1, 0, 'bench', 1, false, 'bench-manifest', 'bench', 'REGISTERED')"
    )


def _admin(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement)
