"""A ledger that has lived before the desk came: its releases and submissions stand, and it migrates."""

from __future__ import annotations

import pytest
from ledger_fixture import OPENS, fresh_database
from yoyo import get_backend, read_migrations

from issuance.ledger.connection import MIGRATIONS, connect, migrate
from issuance.settings import Settings

DESK = "0012-desk"
WAVE = (
    "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
    " VALUES (1, 1, 'li', '{wang}', '2025-10-09', 1, '{}')"
)
RELEASE = (
    "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on, remakes_allowed)"
    " VALUES (1, 1, 'li', '{wang}', 'zhang', '2025-10-09', 1)"
)
WENT_ON = "UPDATE submission SET go_ahead_by = 'wang'"


@pytest.fixture
def before(database: Settings) -> str:
    """A ledger as it was before the desk, with a cohort that 'wang' submitted."""
    url = fresh_database(database.database_url, "ledger_lived")
    backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    known = backend.to_apply(read_migrations(str(MIGRATIONS)))
    backend.apply_migrations(known.filter(lambda migration: migration.id < DESK))
    backend.connection.close()
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO cohort (cohort_no, cohort_id, city, category, opens_on, state, registered_on)"
            " OVERRIDING SYSTEM VALUE VALUES (1, 'c1', '110000', 'retiree', %(day)s, 'ACCEPTED', %(day)s)",
            {"day": OPENS},
        )
        connection.execute(
            "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
            " VALUES (1, 0, 'x', 1, false, 'm', 'wang', 'ACCEPTED')"
        )
    return url


def test_what_was_submitted_and_planned_stands(before: str) -> None:
    with connect(before) as connection:
        connection.execute(WAVE)
    assert migrate(before) > 0
    with connect(before) as connection:
        assert connection.execute("SELECT planned_by, planned_on FROM wave").fetchall() == [("li", OPENS)]
        assert connection.execute("SELECT submitted_by FROM submission").fetchall() == [("wang",)]


def test_a_release_of_before_stands(before: str) -> None:
    with connect(before) as connection:
        connection.execute(WAVE)
        connection.execute(RELEASE)
    migrate(before)
    with connect(before) as connection:
        assert connection.execute("SELECT planned_by, submitters FROM release").fetchall() == [("li", ["wang"])]


def test_a_submitter_who_went_on_before_stops_no_migration(before: str) -> None:
    with connect(before) as connection:
        connection.execute(WENT_ON)
    migrate(before)
    with connect(before) as connection:
        assert connection.execute("SELECT go_ahead_by FROM submission").fetchall() == [("wang",)]


def test_remakes_and_requests_that_were_decisions_stand_in_their_tables(before: str) -> None:
    with connect(before) as connection:
        for kind, occasion, request, reason in (
            ("REMAKE", "", None, "POSTED"),
            ("CANCEL_PLASTIC", "", None, "EXPIRED"),
            ("REQUEST", "CANCEL_SS", "CANCEL_SS", "EXPIRED"),
        ):
            connection.execute(
                "INSERT INTO decision (card_ref, attempt, kind, occasion, request, reason, partner, due_on,"
                " business_day, decided_by) VALUES (gen_random_uuid(), 1, %s, %s, %s, %s, 'HRSS-BJ', %s, %s, 'policy')",
                (kind, occasion, request, reason, OPENS, OPENS),
            )
    migrate(before)
    with connect(before) as connection:
        assert connection.execute("SELECT attempt, made, ground FROM remake").fetchall() == [(1, 2, "PRESUMED_LOST")]
        asked = connection.execute("SELECT attempt, kind, n, partner, ending FROM request").fetchall()
        assert asked == [(1, "CANCEL_SS", 1, "HRSS-BJ", None)]
        assert connection.execute("SELECT kind FROM decision").fetchall() == [("CANCEL_PLASTIC",)]
