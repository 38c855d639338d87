"""Acts that cannot be are refused, and what is done is told; on a ledger of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from cohort_fixture import plan_as
from ledger_fixture import (
    COHORT,
    OPENS,
    fresh_database,
    make_cohort,
    new_ledger,
)
from postgres_fixture import NOWHERE

from issuance.city.partners import topic_of
from issuance.dispatch.plan import wave_to_plan
from issuance.dispatch.release import wave_state
from issuance.errors import Refused
from issuance.intake.session import answer_operator
from issuance.intake.wait import submission_standing
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.wire.kafka import client_options, our_credentials
from issuance.wire.refusals import Message, refuse_message


@pytest.fixture(scope="module")
def own(database: Settings) -> Settings:
    """A ledger with the released cohort of two cards, of which none waits."""
    url = fresh_database(database.database_url, "ledger_acts")
    new_ledger(url)
    with connect(url) as connection:
        make_cohort(connection, 2)
    return replace(database, database_url=url)


def test_planning_when_nothing_waits_is_refused(own: Settings) -> None:
    with connect(own.database_url) as connection:
        with pytest.raises(Refused, match="NOTHING_WAITING"):
            wave_to_plan(connection, COHORT)
        with pytest.raises(Refused, match="COHORT_UNKNOWN"):
            wave_to_plan(connection, "nobody")
        connection.execute("UPDATE card SET last_attempt = 0")
        assert wave_to_plan(connection, COHORT) == 2
        connection.rollback()


def test_a_run_with_nothing_to_plan_makes_no_wave(own: Settings) -> None:
    assert plan_as(own, COHORT, 2, "planner") is None
    assert wave_state(own, COHORT, 1) == "released"
    assert wave_state(own, COHORT, 2) == "absent"


EXECUTE = """
import sys
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from dags.approvals import DeskApproval
conf = {"cohort_id": "test-1", "wave": sys.argv[2], "submission": 0}
task = DeskApproval(task_id="t", subject="s", matter=sys.argv[1])
run = SimpleNamespace(conf=conf, dag_id="card_dispatch", run_id=f"test-1.{sys.argv[2]}")
try:
    DeskApproval.execute.__wrapped__(task, {"dag_run": run})
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
        ("release", "3", "AirflowFailException DESK_UNKNOWN", True),
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


def test_an_operators_refusal_is_told_once_and_going_on_is_not(asking: Settings) -> None:
    assert answer_operator(asking, COHORT, 0, "planner", False) == "REFUSED"
    assert answer_operator(asking, COHORT, 0, "planner", False) == "REFUSED"
    with pytest.raises(Refused, match="NOTHING_TO_DECIDE"):
        answer_operator(asking, COHORT, 0, "planner", True)
    with pytest.raises(Refused, match="SUBMISSION_UNKNOWN"):
        answer_operator(asking, COHORT, 7, "planner", True)
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]
    with connect(asking.database_url) as connection:
        assert connection.execute("SELECT state FROM cohort").fetchone() == ("REFUSED",)
        connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR', go_ahead_by = NULL")
    with pytest.raises(Refused, match="SAME_PERSON"):
        answer_operator(asking, COHORT, 0, "submitter", True)
    assert answer_operator(asking, COHORT, 0, "planner", True) == "VALIDATED"
    assert told(asking) == [f"{COHORT}/REFUSED/0//"]


MINE, OTHER = "a" * 64, "b" * 64


def refuse_announcement(settings: Settings, sha256: str, offset: int) -> None:
    """The consumer refuses a package's announcement."""
    value = {"cohort_id": COHORT, "sha256": sha256}
    message = Message(topic_of("cohort-submissions"), 0, offset, None, None, b"", (), value)
    with connect(settings.database_url) as connection:
        refuse_message(connection, message, "ID_REUSED", OPENS)


def test_a_refused_announcement_is_told_apart_from_earlier_ones_and_other_packages(own: Settings) -> None:
    refuse_announcement(own, OTHER, 1)
    refuse_announcement(own, MINE, 2)
    refuse_announcement(own, MINE, 3)
    with connect(own.database_url) as connection:
        found = submission_standing(connection, COHORT, MINE)
        assert found == {"state": None, "ended": False, "refusals": ["ID_REUSED", "ID_REUSED"]}
        connection.execute("UPDATE submission SET sha256 = %s, state = 'ACCEPTED'", (MINE,))
        assert submission_standing(connection, COHORT, MINE)["ended"] is True
        connection.rollback()


def test_the_mechanism_of_the_settings_is_used(database: Settings) -> None:
    other = replace(database, kafka_sasl_mechanism="SCRAM-SHA-512")
    assert client_options(our_credentials(other))["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "business_clock" not in asdict(database)
