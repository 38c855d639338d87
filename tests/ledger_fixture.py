"""A small cohort in a ledger, made by the product's own functions where they exist, without files or persons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from issuance.city.city import Cities
from issuance.city.partners import load_registry
from issuance.clock import end_of, instant_on, milliseconds
from issuance.intake.accept import VAULT_FIELDS
from issuance.ledger.connection import Connection, business_day, connect, migrate, set_business_day
from issuance.settings import ROOT
from issuance.tracking.custody import KINDS, watch_custody
from issuance.tracking.decide import decide_batch, take_cards
from issuance.tracking.merge import SoundReport, merge_reports
from issuance.tracking.reports import Reporter
from issuance.tracking.snapshot import city_values
from issuance.tracking.stages import note_givers
from issuance.wire.faults import standing
from issuance.wire.pauses import pause_partner
from issuance.words.references import card_ref_of

COHORT = "test-1"
OPENS = date(2025, 10, 9)
CITIES = Cities(load_registry(ROOT / "policies" / "partners.demo.yaml"), ROOT / "policies")
CITY = CITIES["110000"]
REGISTRY, POLICY = CITY.partners, CITY.policy


def make_cohort(connection: Connection, cards: int, method: str = "outlet") -> list[UUID]:
    """A released cohort of ICBC cards, each with its first plastic in one sent job; returns the card_refs."""
    set_business_day(connection, OPENS)
    connection.execute(
        "INSERT INTO cohort (cohort_no, cohort_id, city, category, opens_on, state, registered_on)"
        " OVERRIDING SYSTEM VALUE VALUES (1, %s, '110000', 'retiree', %s, 'ACCEPTED', %s)",
        (COHORT, OPENS, OPENS),
    )
    refs = [card_ref_of(COHORT, f"A{n}") for n in range(cards)]
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " VALUES (1, 0, 'x', %s, false, 'm', 'submitter', 'ACCEPTED')", (cards,)
    )  # fmt: skip
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " VALUES (1, 1, 'planner', '{submitter}', %s, %s, '{}')", (OPENS, cards)
    )  # fmt: skip
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " VALUES ('J1', 1, 1, 'ICBC', 'F-ICBC', %s, %s, %s, hash_total(%s), false)",
        (OPENS + timedelta(days=30), OPENS, cards, refs),
    )
    for n, ref in enumerate(refs):
        connection.execute(
            "INSERT INTO row_outcome (cohort_no, submission, file, line, part, outcome, application_id, card_ref, kind)"
            " VALUES (1, 0, 'f.csv', %s, 1, 'accepted', %s, %s, 'renewal')", (n + 2, f"A{n}", ref)
        )  # fmt: skip
        connection.execute(
            "INSERT INTO card (card_ref, cohort_no, application_id, submission, file, line, kind, category, bank,"
            " factory, applied_on, due_on, collection_method, place, block, position, state, since, last_attempt)"
            " VALUES (%s, 1, %s, 0, 'f.csv', %s, 'renewal', 'retiree', 'ICBC', 'F-ICBC', %s, %s, %s, 'ICBC-001',"
            " 1, %s, 'WAITING', %s, 1)",
            (ref, f"A{n}", n + 2, OPENS, OPENS + timedelta(days=30), method, n, instant_on(OPENS, 0)),
        )
        connection.execute(
            "INSERT INTO plastic (card_ref, attempt, job_id, bank, factory) VALUES (%s, 1, 'J1', 'ICBC', 'F-ICBC')",
            (ref,),
        )
        connection.execute("INSERT INTO job_item VALUES ('J1', %s, %s, 1)", (n, ref))
    connection.execute(
        "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on, remakes_allowed)"
        " VALUES (1, 1, 'planner', '{submitter}', 'releaser', %s, 100)", (OPENS,)
    )  # fmt: skip
    connection.execute(
        "INSERT INTO sealed_job (job_id, cohort_no, wave, object, sha256, key_id, algorithm, sealed_on, sent_on)"
        " VALUES ('J1', 1, 1, 'o', repeat('0', 64), 'F-ICBC', 'RSA-OAEP-256', %s, %s)", (OPENS, OPENS)
    )  # fmt: skip
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    return refs


def item(milestone: str, ref: UUID | None, day: int, attempt: int = 1, **values: Any) -> dict[str, Any]:
    """One item of a report; `day` counts from the opening day."""
    empty = dict.fromkeys(("tracking_no", "place", "reason", "action", "code", "serial", "return_tracking_no"))
    when = instant_on(OPENS + timedelta(days=day), 10)
    base = {"card_ref": str(ref) if ref else None, "attempt": attempt if ref else None, "milestone": milestone}
    return {**empty, **base, "occurred_at": when, "actors": [], "corrects": False, **values}


def report(partner: str, report_id: str, items: list[dict[str, Any]], **values: Any) -> SoundReport:
    """A report of a partner as the consumer hands it to the merge."""
    names = (
        "job_id",
        "handover_id",
        "handover_giver",
        "handover_count",
        "to_place",
        "card_count",
        "hash_total",
        "sha256",
    )
    empty = dict.fromkeys(names)
    head = {"report_id": report_id, "partner": partner, "stream": "main", "sequence": 1, "kind": "ITEMS"}
    value = {**empty, **head, "declared_count": len(items), "items": items, **values}
    return SoundReport(value, Reporter(partner, REGISTRY.partners[partner].kind), report_id.encode(), "t", 0, 0)


def as_read(value: Any) -> Any:
    """A value in the form in which the consumer reads it: instants are UTC milliseconds, days are numbers."""
    if isinstance(value, dict):
        return {name: as_read(part) for name, part in value.items()}
    if isinstance(value, list):
        return [as_read(part) for part in value]
    if isinstance(value, datetime):
        return milliseconds(value)
    return (value - date(1970, 1, 1)).days if isinstance(value, date) else value


def merge(connection: Connection, *reports: SoundReport, day: int = 60) -> Any:
    """Merge reports as of a day after the opening day; receipts of hand-overs get their givers first."""
    at = OPENS + timedelta(days=day)
    given = note_givers(connection, [replace(report, value=as_read(report.value)) for report in reports])
    read = [report for report in given if isinstance(report, SoundReport)]
    assert len(read) == len(reports), given
    return merge_reports(connection, read, REGISTRY, milliseconds(end_of(at)), at)


def decide_all(connection: Connection) -> int:
    """Decide until nothing changes, each batch under a savepoint that keeps temporary tables apart."""
    written = 0
    take_cards(connection, business_day(connection))
    while True:
        with connection.transaction():
            cards, wrote = decide_batch(connection, CITY)
        assert standing(connection, "DECISION_FAILED") == set()
        if not cards:
            return written
        written += wrote


def drop_temporary(connection: Connection) -> None:
    """What ON COMMIT DROP does between transactions."""
    connection.execute("DROP TABLE IF EXISTS work, plastic_snapshot, card_snapshot")


def custody_breaks(connection: Connection, day: int) -> list[tuple[str, str]]:
    """Kind and reference of the open breaks of custody, as of a day after the opening day."""
    at = OPENS + timedelta(days=day)
    watch_custody(connection, at, city_values(CITY, at))
    return connection.execute(
        "SELECT kind, reference FROM break WHERE closed_on IS NULL AND kind = ANY (%s) ORDER BY 1, 2", (list(KINDS),)
    ).fetchall()


def states(connection: Connection) -> dict[UUID, str]:
    """The state of every card."""
    return dict(connection.execute("SELECT card_ref, state FROM card").fetchall())


SYSTEM = ("pipeline", "check-planner", "check-releaser")
PEOPLE = ("submitter", "planner", "releaser", "operator", "tester", "viewer", "admin", "clerk")


def new_ledger(url: str) -> None:
    """The tables of an empty database, and the users that tests name; the id of each is its name."""
    migrate(url)
    with connect(url) as connection:
        add_users(connection)


def add_users(connection: Connection) -> None:
    """Users whose id is their name."""
    connection.execute(
        "INSERT INTO desk_user (user_id, issuer, subject, name) SELECT n, 'system', n, n FROM unnest(%s::text[]) n"
        " UNION ALL SELECT n, 'test', n, n FROM unnest(%s::text[]) n ON CONFLICT DO NOTHING",
        (list(SYSTEM), list(PEOPLE)),
    )


GUARDED = ("audit", "release", "sealed_job", "job_item")


@contextmanager
def unguarded(connection: Connection) -> Iterator[None]:
    """As the owner, without the triggers that keep what is only added: how a test tampers with it."""
    for table in GUARDED:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in GUARDED:
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def tamper(connection: Connection, statement: str, values: Any = None) -> None:
    """One statement that no role may run."""
    with unguarded(connection):
        connection.execute(statement, values)


def fresh_database(admin_url: str, name: str) -> str:
    """An empty database beside the given one; returns its URL."""
    parts = urlsplit(admin_url)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user"
        connection.execute(ours, (name,))  # by FORCE it may not end an autovacuum, without it does
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")


def on(day: int) -> date:
    """A day counted from the opening day."""
    return OPENS + timedelta(days=day)


def pause(connection: Connection, partner: str) -> None:
    """Pause a partner."""
    pause_partner(connection, partner, "RUN", OPENS)


def open_breaks(connection: Connection) -> list[tuple[str, str]]:
    """Kind and reference of every open break."""
    return connection.execute("SELECT kind, reference FROM break WHERE closed_on IS NULL ORDER BY 1, 2").fetchall()


def decided(connection: Connection, kind: str) -> list[str]:
    """The reasons of the decisions of a kind, or of the re-makes."""
    of = {"REMAKE": "remake WHERE %s <> ''"}.get(kind, "decision WHERE kind = %s")
    return [r for (r,) in connection.execute(f"SELECT reason FROM {of}", (kind,)).fetchall()]


PERSON = dict.fromkeys((*VAULT_FIELDS, "card_ref", "masked"), "") | {
    "name": "王建国", "id_type": "resident_id", "id_number": "11010519491231002X", "sex": "female",
    "social_security_number": "11010519491231002X", "birth_date": "1949-12-31", "phone": "13800000000",
    "region_code": "110105", "address": "北京市朝阳区一号", "postcode": "100020",
}  # fmt: skip
