"""Every act that the ledger alone carries: eight times at once under one key is once, and another body is refused.

The others need S3 or Kafka beside it (exports, a phone in clear, resending, reports, partners, erasure); they keep no
answer or are repeatable in each of their steps, which their own tests show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from desk_fixture import add_user, running_desk
from ledger_fixture import tamper

from issuance.desk.app import bare_app
from issuance.desk.routing import declared_routes
from issuance.dispatch.release import release_wave
from issuance.ledger.connection import Connection, connect
from issuance.settings import Settings
from issuance.wire.outbox import write_outbox
from issuance.wire.refusals import Message, refuse_message
from issuance.words.references import card_ref_of

LATER = TODAY + timedelta(days=30)
BREAKS = [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2)]
CARD, HANDED = str(card_ref_of("open", "A0")), str(card_ref_of("made", "A0"))
TOPIC = "issuance.mail.EMS.v1"
NEEDS_MORE = {
    "/cohorts/{cohort_id}/quarantine/export", "/cards/{card_ref}/phone", "/jobs/{job_id}/resend", "/persons/export",
    "/persons/find", "/reports/daily", "/cohorts/{cohort_id}/close",
}  # fmt: skip
"""Not played here: what needs S3 or Kafka, what only reads, and closing, which needs a whole life (test_closing.py)."""


@dataclass(frozen=True)
class Play:
    """An act that succeeds in the world below, another body or address for its key, and its line in the audit."""

    path: str
    body: dict[str, Any]
    other: tuple[str, dict[str, Any]]
    act: str


def play(path: str, body: dict[str, Any], act: str, **other: Any) -> Play:
    return Play(path, body, (path, {**body, **other}) if other else ("cohorts/open/plan", {}), act)


PLAYS = {
    "/cohorts/{cohort_id}/postpone": play(
        "cohorts/coming/postpone", {"opens_on": "2025-12-01", "reason": "r"}, "postpone", reason="s"
    ),
    "/cohorts/{cohort_id}/withdraw": play("cohorts/leaving/withdraw", {"reason": "r"}, "withdraw", reason="s"),
    "/cohorts/{cohort_id}/plan": Play("cohorts/open/plan", {}, ("cohorts/made/plan", {}), ""),
    "/cohorts/{cohort_id}/waves/{wave}/release": play("cohorts/planned/waves/1/release", {}, "release"),
    "/cohorts/{cohort_id}/waves/{wave}/refuse": play(
        "cohorts/other/waves/1/refuse", {"reason": "r"}, "refuse", reason="s"
    ),
    "/cohorts/{cohort_id}/submissions/{number}/continue": play("cohorts/warned/submissions/0/continue", {}, "go on"),
    "/cohorts/{cohort_id}/submissions/{number}/refuse": play(
        "cohorts/doubtful/submissions/0/refuse", {"reason": "r"}, "refuse", reason="s"
    ),
    "/cohorts/{cohort_id}/reopen": play("cohorts/closed/reopen", {"note": "n"}, "reopen", note="m"),
    "/cards/{card_ref}/remake": play(f"cards/{HANDED}/remake", {"reason": "DAMAGED", "note": "n"}, "remake", note="m"),
    "/cards/{card_ref}/events": play(
        f"cards/{CARD}/events", {"event": "DEATH", "occurred_on": "2025-10-01", "paper": "p"}, "tell", paper="q"
    ),
    "/events/{event_no}/confirm": play("events/1/confirm", {}, "confirm told"),
    "/events/{event_no}/drop": play("events/2/drop", {"note": "n"}, "drop told", note="m"),
    "/cards/{card_ref}/plastics/{attempt}/waive": play(
        f"cards/{CARD}/plastics/1/waive", {"request": "DESTROY", "note": "n"}, "waive", note="m"
    ),
    "/brakes/{brake_no}/decide": play("brakes/1/decide", {"goes_on": True, "note": "n"}, "decide brake", goes_on=False),
    "/jobs/{job_id}/reassign": play("jobs/{job}/reassign", {"reason": "r"}, "reassign", reason="s"),
    "/breaks/{break_id}/assign": play(f"breaks/{BREAKS[0]}/assign", {"owner": "a"}, "assign", owner="b"),
    "/breaks/{break_id}/resolve": play(f"breaks/{BREAKS[1]}/resolve", {"note": "n"}, "resolve", note="m"),
    "/dead-letters/replay": play("dead-letters/replay", {"code": "HASH_DIFFERS"}, "replay", code="EMPTY"),
    "/topics/{topic}/goon": play(f"topics/{TOPIC}/goon", {"note": "n"}, "read on", note="m"),
    "/users/{user_id}/rights": play("users/viewer/rights", {"rights": ["view"]}, "grant", rights=["plan"]),
}


def test_every_act_that_the_ledger_carries_is_played() -> None:
    acts = {route["path"].removeprefix("/api/v1") for route in declared_routes(bare_app()) if route["tried"]}
    assert acts == set(PLAYS) | NEEDS_MORE


@pytest.fixture(scope="module")
def desk(database: Settings, ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a desk and the URL of its ledger, with something for every act."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path_factory.mktemp("once"), {}, {})
    with connect(ledger_url) as connection:
        fill(connection)
    for cohort in ("planned", "other", "sealed"):
        plan_as(settings, cohort, 1, "planner")
    release_wave(settings, "sealed", 1, "releaser")
    with connect(ledger_url) as connection:
        connection.execute(
            "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on)"
            " SELECT job_id, cohort_no, wave, 'o', 'h', 'k', 'RSA-OAEP-256', %s FROM job JOIN cohort USING (cohort_no)"
            " WHERE cohort_id = 'sealed'", (TODAY,)
        )  # fmt: skip
        tamper(connection, "DELETE FROM audit")
    add_user(ledger_url, "boss")
    with running_desk(settings) as address:
        yield address, ledger_url


def fill(connection: Connection) -> None:
    for name in ("coming", "leaving"):
        add_cohort(connection, name, [("ICBC", LATER)], opens_on=LATER)
    for name in ("open", "made", "planned", "other", "sealed"):
        add_cohort(connection, name, [("ICBC", TODAY)])
    for name in ("warned", "doubtful"):
        add_cohort(connection, name, [("ICBC", TODAY)], state="REGISTERED")
    connection.execute("UPDATE submission SET state = 'WAITING_FOR_OPERATOR' WHERE state = 'REGISTERED'")
    connection.execute(
        "UPDATE card SET state = 'HANDED_OVER', effective = 1, last_attempt = 1 WHERE card_ref = %s", (HANDED,)
    )
    for number, name in enumerate(BREAKS):
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, opened_on) VALUES (%s, 1, 'CONFLICT', %s, %s)",
            (name, str(number), TODAY),
        )
    connection.execute(
        "INSERT INTO brake (kind, city, set_on, due, of) VALUES ('EXPIRY', '110000', %s, 1, 1)", (TODAY,)
    )
    connection.execute(
        "INSERT INTO request (card_ref, attempt, kind, n, reason, partner, asked_on)"
        " VALUES (%s, 1, 'DESTROY', 1, 'EXPIRED', 'ICBC', %s)", (CARD, TODAY)
    )  # fmt: skip
    for _ in range(2):
        connection.execute(
            "INSERT INTO told_event (card_ref, event, occurred_at, paper, told_by, told_on, acts_at)"
            " VALUES (%s, 'WITHDRAWN', now(), 'p', 'planner', %s, now())", (HANDED, TODAY)
        )  # fmt: skip
    message = Message(TOPIC, 0, 7, "EMS", b"k", b"raw", (), {"report_id": "r1"})
    write_outbox(connection, refuse_message(connection, message, "HASH_DIFFERS", TODAY), TODAY)
    connection.execute("INSERT INTO fault VALUES ('TOPIC_CHANGED', %s, 'd', %s)", (f"{TOPIC}/0", TODAY))
    add_cohort(connection, "closed", [])
    connection.execute("UPDATE cohort SET state = 'CLOSED' WHERE cohort_id = 'closed'")


@pytest.mark.parametrize("route", PLAYS)
def test_an_act_is_once_under_its_key(desk: tuple[str, str], route: str) -> None:
    address, url = desk
    played, headers = PLAYS[route], {"Authorization": "Bearer token-of-boss", "Idempotency-Key": f"key of {route}"}
    with connect(url) as connection:
        (job,) = connection.execute("SELECT max(job_id) FROM sealed_job").fetchone() or ("",)
        before = connection.execute("SELECT coalesce(max(number), 0) FROM audit").fetchone() or (0,)

    def ask(path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{address}/api/v1/{path.format(job=job)}", headers=headers, json=body, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(played.path, played.body), range(8)))
    assert {(one.status_code, one.text) for one in answers} == {(200, answers[0].text)}
    assert ask(played.path, played.body).json() == json.loads(answers[0].text)
    reused = ask(*played.other)
    assert (reused.status_code, reused.json()["code"]) == (422, "KEY_REUSED")
    with connect(url) as connection:
        acts = connection.execute('SELECT act, "user" FROM audit WHERE number > %s', before).fetchall()
    assert acts == ([(played.act, "boss")] if played.act else [])
