"""Where a bench works: a ledger of its own beside the stack's, and what the bare scripts are told of the stack."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import psycopg

from bench.bare.stages import Stages
from issuance.ledger.connection import Connection, connect, migrate, set_business_day
from issuance.settings import ROOT, Settings, load_settings
from issuance.vault.objects import ObjectStore
from issuance.wire.kafka import client_options, our_credentials

OPENS = date(2025, 10, 9)
"""The business day of every bench."""


@contextmanager
def empty_database(settings: Settings, name: str) -> Iterator[str]:
    """The URL of a database for one run."""
    base, _, _ = settings.database_url.rpartition("/")
    _drop(settings, name)
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{base}/{name}"
    finally:
        _drop(settings, name)


def owner_settings() -> Settings:
    """The stack as the ledger's owner, who may make databases."""
    settings = load_settings()
    return replace(settings, database_url=settings.owner_url)


def add_people(connection: Connection) -> None:
    """Who submits, plans and releases in a bench; the id of each is its name."""
    connection.execute(
        "INSERT INTO desk_user (user_id, issuer, subject, name)"
        " SELECT n, 'bench', n, n FROM unnest('{submitter,planner,releaser}'::text[]) n ON CONFLICT DO NOTHING"
    )


@contextmanager
def database(settings: Settings, name: str) -> Iterator[Settings]:
    """An empty ledger for one run."""
    with empty_database(settings, name) as url:
        migrate(url)
        with connect(url) as connection:
            set_business_day(connection, OPENS)
            add_people(connection)
        yield replace(settings, database_url=url)


def _drop(settings: Settings, name: str) -> None:
    """Without FORCE, which may not end an autovacuum worker; the pools' own connections are ended first."""
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user",
            (name,),
        )
        admin.execute(f"DROP DATABASE IF EXISTS {name}")


def run_bare(settings: Settings, script: str, **told: Any) -> Stages:
    """A bare script in a process of its own, told plain values; its keys and its objects go at the end.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    run, store = f"bench-bare-{uuid4().hex[:8]}", ObjectStore.of(settings)
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        values = json.dumps({"access": _access(settings, folder, run), **told})
        command = [sys.executable, "-m", "bench.bare", script]
        try:
            done = subprocess.run(command, input=values, stdout=subprocess.PIPE, cwd=ROOT, text=True, check=True)
        finally:
            for area in ("inbox", "vault", "bench"):
                store.delete_all(store.list(f"{area}/{run}"))
    stages.seconds = json.loads(done.stdout)
    return stages


def _access(settings: Settings, folder: str, run: str) -> dict[str, Any]:
    """The fields of `bench.bare.access.Access`."""
    return {
        "database_url": settings.database_url,
        "s3_endpoint_url": settings.s3_endpoint_url,
        "s3_bucket": settings.s3_bucket,
        "s3_access_key": settings.s3_access_key,
        "s3_secret_key": settings.s3_secret_key,
        "kafka": client_options(our_credentials(settings)),
        "keys": folder,
        "run": run,
    }
