"""Four eyes are in the ledger (principle 10): nothing is sealed without a release row, whatever anybody says."""

from __future__ import annotations

import psycopg
import pytest
from ledger_fixture import COHORT, make_cohort, tamper

from issuance.dispatch.release import release_wave
from issuance.dispatch.seal import Job, Sealer
from issuance.errors import Refused
from issuance.ledger.connection import Connection, connect
from issuance.settings import Settings

SEAL = (
    "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on)"
    " VALUES ('J1', 1, 1, 'o', 'h', 'F-ICBC', 'RSA-OAEP-256', '2025-10-09')"
)


@pytest.fixture
def unreleased(ledger: Connection) -> Connection:
    """A planned wave without its release."""
    make_cohort(ledger, 3)
    tamper(ledger, "DELETE FROM sealed_job")
    tamper(ledger, "DELETE FROM release")
    return ledger


def release_as(connection: Connection, user: str, planned_by: str = "planner", submitters: str = "{submitter}") -> None:
    """The release row as somebody with a connection would write it."""
    connection.execute(
        "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on, remakes_allowed)"
        " VALUES (1, 1, %s, %s, %s, '2025-10-09', 1)",
        (planned_by, submitters, user),
    )


def test_the_ledger_refuses_a_seal_without_a_release(unreleased: Connection) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        unreleased.execute(SEAL)


@pytest.mark.parametrize("user", ["submitter", "planner", ""])
def test_who_submitted_or_planned_cannot_release(unreleased: Connection, user: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        release_as(unreleased, user)


@pytest.mark.parametrize(("planned_by", "submitters"), [("somebody", "{submitter}"), ("planner", "{}")])
def test_the_names_of_the_plan_cannot_be_forged(unreleased: Connection, planned_by: str, submitters: str) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        release_as(unreleased, "planner" if planned_by == "somebody" else "submitter", planned_by, submitters)


def test_a_second_person_releases_and_then_it_is_sealed(unreleased: Connection) -> None:
    release_as(unreleased, "releaser")
    unreleased.execute(SEAL)
    assert unreleased.execute("SELECT count(*) FROM sealed_job").fetchone() == (1,)


def test_the_sealer_asks_the_ledger_and_nothing_else(database: Settings, ledger_url: str) -> None:
    from dataclasses import replace

    own = replace(database, database_url=ledger_url)
    with connect(ledger_url) as connection:
        make_cohort(connection, 2)
        tamper(connection, "DELETE FROM sealed_job")
        tamper(connection, "DELETE FROM release")
        row = connection.execute(
            "SELECT job_id, cohort_no, %s::text, wave, bank, factory, due_on, card_count, hash_total FROM job",
            (COHORT,),
        ).fetchone()
    assert row is not None
    with pytest.raises(Refused, match="NOT_RELEASED"):
        Sealer(own).seal_job(Job(*row))
    with pytest.raises(Refused, match="SAME_PERSON"):
        release_wave(own, COHORT, 1, "submitter")
    release_wave(own, COHORT, 1, "releaser")
    release_wave(own, COHORT, 1, "releaser")
    with connect(ledger_url) as connection:
        assert connection.execute("SELECT released_by FROM release").fetchall() == [("releaser",)]
        assert connection.execute("SELECT act FROM audit").fetchall() == [("release",)]
        tamper(
            connection,
            "TRUNCATE cohort, submission, told_event, card, row_outcome, job, job_item, plastic, wave, release CASCADE",
        )
