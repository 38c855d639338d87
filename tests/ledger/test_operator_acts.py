"""Acts that cannot be are refused, and what is done is told; on a ledger of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from ledger_fixture import (
    COHORT,
    OPENS,
    fresh_database,
    make_cohort,
)
from postgres_fixture import NOWHERE

from issuance.city.partners import topic_of
from issuance.dispatch.plan import plan_factories, wave_to_plan
from issuance.dispatch.release import wave_state
from issuance.errors import Refused
from issuance.intake.session import answer_operator
from issuance.intake.wait import refused_announcements, wait_for_intake
from issuance.ledger.connection import connect, migrate
from issuance.settings import ROOT, Settings
from issuance.wire.kafka import client_options, our_credentials
from issuance.wire.refusals import Message, refuse_message


@pytest.fixture(scope="module")
def own(database: Settings) -> Settings:
    """A ledger with the released cohort of two cards, of which none waits."""
    url = fresh_database(database.database_url, "ledger_acts")
    migrate(url)
    with connect(url) as connection:
        make_cohort(connection, 2)
    return replace(database, database_url=url)


def test_planning_when_nothing_waits_is_refused_at_the_command(own: Settings) -> None:
    with connect(own.database_url) as connection:
        with pytest.raises(Refused, match="NOTHING_WAITING"):
            wave_to_plan(connection, COHORT)
        with pytest.raises(Refused, match="COHORT_UNKNOWN"):
            wave_to_plan(connection, "nobody")
        connection.execute("UPDATE card SET last_attempt = 0")
        assert wave_to_plan(connection, COHORT) == 2
        connection.rollback()


def test_a_run_with_nothing_to_plan_makes_no_wave(own: Settings) -> None:
    assert plan_factories(own, COHORT, 2, "planner") == []
    assert wave_state(own, COHORT, 1) == "released"
    assert wave_state(own, COHORT, 2) == "absent"


EXECUTE = """
import sys
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from dags.approvals import IntakeApproval, ReleaseApproval
kind = {"release": ReleaseApproval, "intake": IntakeApproval}[sys.argv[1]]
conf = {"cohort_id": "test-1", "wave": sys.argv[2], "submission": 0}
try:
    kind.execute.__wrapped__(kind(task_id="t", subject="s"), {"dag_run": SimpleNamespace(conf=conf)})
except (AirflowFailException, AirflowSkipException) as error:
    print("ended", type(error).__name__, str(error).split(":")[0])
else:
    print("ended without asking")
"""


@pytest.mark.parametrize(
    ("kind", "wave", "ends", "known"),
    [
        ("release", "2", "AirflowSkipException wave 2 of test-1", True),
        ("release", "1", "without asking", True),
        ("release", "3", "AirflowFailException NOBODY_MAY_RELEASE", True),
        ("release", "1", "AirflowFailException SETTINGS_MISSING", False),
        ("intake", "1", "AirflowFailException SETTINGS_MISSING", False),
    ],
)
def test_an_approval_asks_the_ledger_first_and_fails_at_once(
    waiting: Settings, tmp_path: Path, kind: str, wave: str, ends: str, known: bool
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KAFKA", "DATABASE"))}
    env |= {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    if known:
        env |= {**NOWHERE, "DATABASE_URL": waiting.database_url}
    else:
        env["ISSUANCE_STACK_DIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", EXECUTE, kind, wave], env=env, capture_output=True, text=True)
    assert f"ended {ends}" in done.stdout, done.stderr[-1500:]


@pytest.fixture
def waiting(own: Settings) -> Iterator[Settings]:
    """A third wave that is planned and not released."""
    with connect(own.database_url) as connection:
        connection.execute(
            "INSERT INTO wave SELECT cohort_no, 3, planned_by, submitters, planned_on, 0, '{}' FROM wave"
        )
    yield own
    with connect(own.database_url) as connection:
        connection.execute("DELETE FROM wave WHERE wave = 3")


@pytest.fixture
def asking(own: Settings) -> Iterator[Settings]:
    """The submission past the warning threshold."""
    with connect(own.database_url) as connection:
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
        connection.execute("UPDATE cohort SET state = 'REGISTERED'")
    yield own


def told(settings: Settings) -> list[str]:
    """The ids of the cohort events."""
    with connect(settings.database_url) as connection:
        rows = connection.execute("SELECT ce_id FROM outbox WHERE topic = %s", (topic_of("cohort-events"),))
        return [ce_id for (ce_id,) in rows.fetchall()]


def test_an_operators_refusal_is_told_and_going_on_is_not(asking: Settings) -> None:
    answer_operator(asking, COHORT, 0, "planner", False)
    answer_operator(asking, COHORT, 0, "planner", False)
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]
    with connect(asking.database_url) as connection:
        assert connection.execute("SELECT state FROM cohort").fetchone() == ("REFUSED",)
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR'")
    answer_operator(asking, COHORT, 0, "planner", True)
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]


MINE, OTHER = "a" * 64, "b" * 64


def refuse_announcement(settings: Settings, sha256: str, offset: int) -> None:
    """The consumer refuses a package's announcement."""
    value = {"cohort_id": COHORT, "sha256": sha256}
    message = Message(topic_of("cohort-submissions"), 0, offset, None, None, b"", (), value)
    with connect(settings.database_url) as connection:
        refuse_message(connection, message, "ID_REUSED", OPENS)


def test_waiting_for_a_package_whose_announcement_is_refused_ends(own: Settings) -> None:
    refuse_announcement(own, OTHER, 1)
    refuse_announcement(own, MINE, 2)
    known = set(refused_announcements(own, COHORT))
    with pytest.raises(TimeoutError):
        wait_for_intake(own, COHORT, MINE, known, _no_more_patience)
    refuse_announcement(own, MINE, 3)
    with pytest.raises(Refused, match="SUBMISSION_REFUSED") as caught:
        wait_for_intake(own, COHORT, MINE, known, _no_more_patience)
    assert caught.value.details == {"reason": "ID_REUSED"}


def _no_more_patience(seconds: float) -> None:
    raise TimeoutError


def test_the_mechanism_of_the_settings_is_used(database: Settings) -> None:
    other = replace(database, kafka_sasl_mechanism="SCRAM-SHA-512")
    assert client_options(our_credentials(other))["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "business_clock" not in asdict(database)
