"""Connections to the ledger, its migrations and its business clock."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout
from yoyo import get_backend, read_migrations

from issuance.clock import day_of, end_of
from issuance.errors import Retryable, Unavailable
from issuance.ledger.roles import grant_roles

Connection = psycopg.Connection[TupleRow]
MIGRATIONS = Path(__file__).parent / "migrations"


def connect(database_url: str, **options: Any) -> Connection:
    """A connection with the session time zone UTC; the caller manages transactions.

    Raises:
        Unavailable: PostgreSQL does not answer.
    """
    try:
        return psycopg.connect(database_url, options="-c timezone=UTC", **options)
    except psycopg.OperationalError as error:
        raise Unavailable("LEDGER_UNAVAILABLE", f"the ledger does not answer: {str(error).splitlines()[0]}") from error


@cache
def _pool(database_url: str, process: int) -> ConnectionPool[Connection]:
    """The process's connection pool: logging in costs more than most transactions.

    Raises:
        Unavailable: at once, if PostgreSQL does not answer at all.
    """
    connect(database_url).close()
    return ConnectionPool(
        database_url,
        kwargs={"options": "-c timezone=UTC"},
        min_size=0,
        max_size=24,
        timeout=5,
        check=ConnectionPool.check_connection,
        open=True,
    )


_joined: ContextVar[Connection | None] = ContextVar("joined", default=None)


@contextmanager
def transaction(database_url: str, *, snapshot: bool = False) -> Iterator[Connection]:
    """One transaction on a connection of its own; lost connections and deadlocks are Retryable.

    With `snapshot` all of it sees the ledger as it is at its first query. Within `joining`, a savepoint of that
    transaction.
    """
    outer = _joined.get()
    if outer is not None:
        with outer.transaction():
            yield outer
        return
    with retryable(), _pool(database_url, os.getpid()).connection() as connection:
        if snapshot:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield connection


@contextmanager
def joining(connection: Connection) -> Iterator[None]:
    """Whatever calls `transaction` inside takes part in this one: an act and its answer stand or fall together."""
    token = _joined.set(connection)
    try:
        yield
    finally:
        _joined.reset(token)


@contextmanager
def retryable() -> Iterator[None]:
    """Turn PostgreSQL's transient errors into Retryable ones of issuance.errors."""
    try:
        yield
    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
        raise Retryable("LEDGER_BUSY", f"the transaction must be retried: {type(error).__name__}") from error
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise Unavailable("LEDGER_UNAVAILABLE", f"the ledger does not answer: {type(error).__name__}") from error


def migrate(database_url: str) -> int:
    """Apply pending migrations to the ledger as its owner, and grant its roles; returns how many."""
    logging.getLogger("yoyo.migrations").setLevel(logging.WARNING)
    backend = get_backend(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with backend.lock():
        waiting = backend.to_apply(read_migrations(str(MIGRATIONS)))
        backend.apply_migrations(waiting)
    backend.connection.close()
    with connect(database_url) as connection:
        grant_roles(connection)
    return len(waiting)


def business_day(connection: Connection) -> date:
    """The business day: the stepped value where one is set, otherwise today in Shanghai."""
    row = connection.execute("SELECT day FROM business_clock").fetchone()
    return row[0] if row else day_of(datetime.now(UTC))


def set_business_day(connection: Connection, day: date) -> None:
    """Step the business clock; it never goes backwards."""
    connection.execute(
        "INSERT INTO business_clock (day) VALUES (%s)"
        " ON CONFLICT (one) DO UPDATE SET day = greatest(business_clock.day, excluded.day)",
        (day,),
    )


def business_now(connection: Connection) -> datetime:
    """Business time: the end of a stepped day, otherwise the present."""
    row = connection.execute("SELECT day FROM business_clock").fetchone()
    return end_of(row[0]) if row else datetime.now(UTC)
