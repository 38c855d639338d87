"""Cohorts of waiting cards in a ledger of one's own, with a policy and a registry that a test may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from ledger_fixture import add_users, unguarded

from issuance.city.marked_yaml import read_marked
from issuance.clock import instant_on
from issuance.dispatch.plan import Wave, plan_wave
from issuance.dispatch.wanted import want_wave
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.settings import ROOT, Settings
from issuance.words.references import card_ref_of

TODAY = date(2025, 10, 9)


def changed(
    stack: Settings, url: str, directory: Path, policy: Mapping[str, Any], registry: Mapping[str, Any]
) -> Settings:
    """Settings of a ledger whose policy of Beijing and partner registry differ in some keys from the shipped ones."""
    for name, changes in (("110000", policy), ("partners.demo", registry)):
        shipped = read_marked((ROOT / "policies" / f"{name}.yaml").read_text(encoding="utf-8")).data
        text = yaml.safe_dump(shipped | dict(changes), allow_unicode=True, sort_keys=False)
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    return replace(stack, database_url=url, policies_dir=directory, partners_file=directory / "partners.demo.yaml")


def add_cohort(
    connection: Connection,
    cohort_id: str,
    cards: Sequence[tuple[str, date]],
    opens_on: date = TODAY,
    generation: int | None = None,
    state: str = "ACCEPTED",
) -> int:
    """A cohort accepted by 'submitter', a waiting card for each (bank, due date), applied for on 2025-09-01."""
    set_business_day(connection, TODAY)
    (cohort_no,) = connection.execute(
        "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
        " VALUES (%s, '110000', 'retiree', %s, %s, %s) RETURNING cohort_no",
        (cohort_id, opens_on, state, TODAY),
    ).fetchone() or (0,)
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " VALUES (%s, 0, 'x', %s, false, 'm', 'submitter', %s)", (cohort_no, len(cards), state)
    )  # fmt: skip
    if state == "ACCEPTED":
        connection.execute(
            "INSERT INTO part (cohort_no, submission, part, object, file, lines, rows)"
            " VALUES (%s, 0, 1, 'o', 'f.csv', int4multirange(int4range(2, %s)), %s)",
            (cohort_no, len(cards) + 2, len(cards)),
        )
        _add_cards(connection, cohort_id, cohort_no, cards, generation)
    return int(cohort_no)


def _add_cards(
    connection: Connection, cohort_id: str, cohort_no: int, cards: Sequence[tuple[str, date]], generation: int | None
) -> None:
    for n, (bank, due_on) in enumerate(cards):
        ref = card_ref_of(cohort_id, f"A{n}")
        connection.execute(
            "INSERT INTO row_outcome (cohort_no, submission, file, line, part, outcome, application_id, card_ref, kind)"
            " VALUES (%s, 0, 'f.csv', %s, 1, 'accepted', %s, %s, 'renewal')", (cohort_no, n + 2, f"A{n}", ref)
        )  # fmt: skip
        connection.execute(
            "INSERT INTO card (card_ref, cohort_no, application_id, submission, file, line, kind, category, bank,"
            " factory, applied_on, due_on, collection_method, place, block, position, state, since,"
            " old_card_generation) VALUES (%s, %s, %s, 0, 'f.csv', %s, 'renewal', 'retiree', %s, 'F-ICBC',"
            " '2025-09-01', %s, 'outlet', 'ICBC-001', 1, %s, 'WAITING', %s, %s)",
            (ref, cohort_no, f"A{n}", n + 2, bank, due_on, n, instant_on(TODAY, 0), generation),
        )
    connection.execute(
        "INSERT INTO tally SELECT cohort_no, state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1, 2", (cohort_no,)
    )
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card WHERE cohort_no = %s", (cohort_no,))


def plan_as(settings: Settings, cohort_id: str, wave: int, user: str) -> Wave | None:
    """A wave that a user wanted, planned."""
    with connect(settings.database_url) as connection:
        want_wave(connection, cohort_id, wave, user)
    return plan_wave(settings, cohort_id, wave)


def tables_of(connection: Connection) -> list[str]:
    """The ledger's tables, without those that keep its migrations."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname NOT LIKE '%yoyo%' ORDER BY 1"
    ).fetchall()
    return [table for (table,) in rows]


def empty(url: str) -> None:
    """Take every row out of a ledger."""
    with connect(url) as connection, unguarded(connection):
        connection.execute(f"TRUNCATE {', '.join(tables_of(connection))} RESTART IDENTITY")
        add_users(connection)


def every_row(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text: what a command that changes nothing leaves as it was."""
    with connect(url) as connection:
        return {
            table: sorted(str(row) for row in connection.execute(f'SELECT t::text FROM "{table}" t').fetchall())
            for table in tables_of(connection)
        }
