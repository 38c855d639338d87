"""Direct SQL as each role of the ledger: what nobody may alter, what only people do, and what the pipeline needs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from ledger_fixture import COHORT, decide_all, item, make_cohort, merge, report, tamper

from issuance.dispatch.release import refuse_wave, release_wave
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, connect
from issuance.ledger.roles import ADDED_ONLY, DESK, NOT_FOR_THE_PIPELINE, PIPELINE, READER, grant_roles
from issuance.settings import Settings

SEALED = (
    "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on)"
    " SELECT job_id, cohort_no, wave, 'o', 'h', 'k', 'RSA-OAEP-256', '2025-10-09' FROM job"
)
RELEASE = (
    "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on, remakes_allowed)"
    " VALUES (1, 1, 'planner', '{submitter}', 'releaser', '2025-10-09', 1)"
)
ALTERATIONS = {
    "audit": ["UPDATE audit SET \"user\" = 'x'", "DELETE FROM audit", "TRUNCATE audit"],
    "release": ["UPDATE release SET released_by = 'tester'", "DELETE FROM release", "TRUNCATE release CASCADE"],
    "sealed_job": ["UPDATE sealed_job SET sha256 = 'x'", "DELETE FROM sealed_job", "TRUNCATE sealed_job"],
    "job_item": ["UPDATE job_item SET position = position + 9", "DELETE FROM job_item", "TRUNCATE job_item"],
}
STATEMENTS = [statement for statements in ALTERATIONS.values() for statement in statements]
ADDED = "INSERT INTO job_item SELECT 'J1', 99, gen_random_uuid(), 1"
"""An item more, in a job of a released wave."""


def url_as(role: str, url: str) -> str:
    """The URL of a ledger as one of its roles."""
    secrets = json.loads(Path(f"{os.environ['ISSUANCE_STACK_DIR']}-ledger/secrets.json").read_text(encoding="utf-8"))
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{secrets[f'postgres_{role}']}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture
def filled(ledger_url: str) -> str:
    """A released cohort with a sealed job and an audit."""
    empty(ledger_url)
    with connect(ledger_url) as connection:
        make_cohort(connection, 2)
        connection.execute(
            'INSERT INTO audit (business_day, "user", act, subject, details, hash)'
            " VALUES (now(), 'u', 'a', 's', '{}', '')"
        )
    return ledger_url


@contextmanager
def as_role(role: str, url: str) -> Iterator[Connection]:
    with connect(url if role == "owner" else url_as(role, url)) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("statement", [*STATEMENTS, ADDED])
@pytest.mark.parametrize("role", ["owner", PIPELINE, DESK, READER])
def test_nobody_alters_what_is_only_added(filled: str, role: str, statement: str) -> None:
    with as_role(role, filled) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


REMAKE = (
    "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
    " SELECT 'J2', cohort_no, wave, bank, factory, due_on, start_on, 1, hash_total, %s FROM job WHERE job_id = 'J1'"
)
ITEM = "INSERT INTO job_item VALUES ('J2', %s, gen_random_uuid(), 2)"


@pytest.mark.parametrize("role", ["owner", PIPELINE, DESK])
def test_a_release_covers_items_of_remakes_until_their_job_is_sealed(filled: str, role: str) -> None:
    with as_role(role, filled) as connection:
        connection.execute(REMAKE, (True,))
        connection.execute(ITEM, (0,))
        connection.execute(f"{SEALED} WHERE job_id = 'J2'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="frozen"):
            connection.execute(ITEM, (1,))


@pytest.mark.parametrize("role", ["owner", PIPELINE, DESK])
def test_a_release_covers_no_other_job_even_before_it_is_sealed(filled: str, role: str) -> None:
    with as_role(role, filled) as connection:
        connection.execute(REMAKE, (False,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="frozen"):
            connection.execute(ITEM, (0,))


@pytest.mark.parametrize("role", ["owner", PIPELINE, DESK])
def test_items_of_a_wave_that_nobody_released_come_and_go(filled: str, role: str) -> None:
    with connect(filled) as connection:
        tamper(connection, "DELETE FROM sealed_job")
        tamper(connection, "DELETE FROM release")
    with as_role(role, filled) as connection:
        connection.execute(ADDED)
        assert connection.execute("DELETE FROM job_item").rowcount == 3


def test_the_desk_adds_to_releases_and_the_audit(filled: str) -> None:
    with connect(filled) as connection:
        tamper(connection, "DELETE FROM sealed_job")
        tamper(connection, "DELETE FROM release")
    with as_role(DESK, filled) as connection:
        connection.execute(RELEASE)
        audit(connection, "releaser", "release", f"{COHORT}.1", TODAY)
        assert connection.execute("SELECT released_by FROM release").fetchall() == [("releaser",)]


def test_only_a_user_of_the_ledger_releases(filled: str) -> None:
    with connect(filled) as connection:
        tamper(connection, "DELETE FROM sealed_job")
        tamper(connection, "DELETE FROM release")
    with as_role(DESK, filled) as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
        connection.execute(RELEASE.replace("'releaser'", "'somebody'"))


@pytest.mark.parametrize("table", NOT_FOR_THE_PIPELINE)
def test_the_pipeline_writes_nothing_that_people_do(filled: str, table: str) -> None:
    with as_role(PIPELINE, filled) as connection:
        for may, allowed in (("SELECT", True), ("INSERT", False), ("UPDATE", False), ("DELETE", False)):
            found = connection.execute("SELECT has_table_privilege(%s, %s)", (table, may)).fetchone()
            assert found == (allowed,), (table, may)


def test_the_pipeline_releases_nothing_even_with_a_persons_name(filled: str) -> None:
    with as_role(PIPELINE, filled) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(RELEASE)


def test_the_reader_only_reads(filled: str) -> None:
    with as_role(READER, filled) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(tables) > 40
        for (table,) in tables:
            rights = connection.execute(
                "SELECT has_table_privilege(%(t)s, 'SELECT'), has_table_privilege(%(t)s, 'INSERT, UPDATE, DELETE')",
                {"t": f'public."{table}"'},
            ).fetchone()
            assert rights == (True, False), table


@pytest.mark.parametrize("role", [PIPELINE, DESK])
def test_each_table_is_added_to_and_only_that(filled: str, role: str) -> None:
    with as_role(role, filled) as connection:
        for table in ADDED_ONLY:
            found = connection.execute("SELECT has_table_privilege(%s, 'UPDATE, DELETE')", (table,)).fetchone()
            assert found == (False,), table
        connection.execute("UPDATE sealed_job SET resent = resent + 1, sent_on = '2025-10-10'")


def test_each_does_its_own_work(database: Settings, ledger_url: str, tmp_path: Path) -> None:
    """The pipeline plans, merges and decides; the desk releases and refuses; the pipeline then seals."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path, {}, {})
    with connect(ledger_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)] * 3)
        add_cohort(connection, "c2", [("ICBC", TODAY)] * 3)
    pipeline = replace(settings, database_url=url_as(PIPELINE, ledger_url))
    desk = replace(settings, database_url=url_as(DESK, ledger_url))
    for cohort in ("c1", "c2"):
        assert plan_as(pipeline, cohort, 1, "planner") is not None
    release_wave(desk, "c1", 1, "releaser")
    refuse_wave(desk, "c2", 1, "releaser", "not yet")
    with connect(pipeline.database_url) as connection:
        connection.execute(SEALED)
        assert connection.execute("SELECT count(DISTINCT cohort_no) FROM job").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (4,)


def test_the_pipeline_merges_and_decides(filled: str) -> None:
    with as_role(PIPELINE, filled) as connection:
        (ref, *_) = [ref for (ref,) in connection.execute("SELECT card_ref FROM card ORDER BY 1").fetchall()]
        spoiled = [item("ITEM_ACCEPTED", ref, 1), item("SPOILED", ref, 2, reason="CHIP_FAULT")]
        merge(connection, report("F-ICBC", "r1", spoiled))
        assert decide_all(connection) > 0
        assert connection.execute("SELECT ground FROM remake").fetchall() == [("SPOILED",)], COHORT


def test_grants_are_given_anew_after_every_migration(ledger_url: str) -> None:
    with connect(ledger_url) as connection:
        connection.execute("CREATE TABLE of_a_later_migration (a int)")
        connection.execute(f"GRANT ALL ON audit TO {PIPELINE}")
        assert set(grant_roles(connection)) == {PIPELINE, DESK, READER}
        may = "SELECT has_table_privilege(%s, %s, %s)"
        assert connection.execute(may, (READER, "of_a_later_migration", "SELECT")).fetchone() == (True,)
        assert connection.execute(may, (PIPELINE, "audit", "UPDATE, DELETE, TRUNCATE")).fetchone() == (False,)
        connection.rollback()
