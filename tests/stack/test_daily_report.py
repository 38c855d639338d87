"""The daily report: made once, the same figures in CSV and Parquet, told as a message, with every partner's part."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from cohort_fixture import empty
from desk_fixture import LogIn
from ledger_fixture import CITIES, COHORT, OPENS
from life_fixture import divided

from issuance.breaks.kinds import BREAK_KINDS
from issuance.cli import cli
from issuance.clock import day_of
from issuance.errors import Refused
from issuance.ledger.connection import connect, set_business_day
from issuance.reconcile.closing import read_statement
from issuance.reconcile.daily_measures import Measure
from issuance.reconcile.daily_report import (
    EQUATION_NAMES,
    HEAD,
    MEASURE_WORDS,
    make_daily_report,
    read_parquet,
    write_csv,
    write_parquet,
)
from issuance.reconcile.equation_words import BUCKET_WORDS, EQUATION_WORDS
from issuance.reconcile.equations import EQUATIONS, MISSING
from issuance.settings import Settings
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body
from issuance.words.lifecycle import CARD_STATES, MILESTONES

DAY = OPENS + timedelta(days=60)
"""The day on which the fixture's evidence arrives."""
KEYS = [f"reports/daily/{DAY}.{kind}" for kind in ("csv", "parquet")]


@pytest.fixture
def own(stack: Settings, ledger_url: str) -> Iterator[Settings]:
    """A ledger with a cohort of two banks and breaks on its day, and no report of it."""
    settings = replace(stack, database_url=ledger_url)
    store = ObjectStore.of(settings)
    store.delete_all(list(store.list("reports/daily/")))
    empty(ledger_url)
    with connect(ledger_url) as connection:
        set_business_day(connection, DAY)
        divided(connection)
    yield settings
    empty(ledger_url)


def measures_of(settings: Settings, made: dict[str, Any]) -> list[Measure]:
    """The rows of the Parquet file."""
    return read_parquet(ObjectStore.of(settings).get(made["parquet_object"]))


def messages(settings: Settings) -> list[dict[str, Any]]:
    """The reports that were told of."""
    with connect(settings.database_url) as connection:
        rows = connection.execute("SELECT body FROM outbox WHERE ce_id LIKE 'daily-report/%' ORDER BY id").fetchall()
    return [dict(decode_body("cohort_event", bytes(body))) for (body,) in rows]


def test_the_parts_of_all_partners_sum_up_to_the_closing_statement(own: Settings) -> None:
    measures = measures_of(own, make_daily_report(own))
    with connect(own.database_url) as connection:
        whole = read_statement(connection, COHORT, CITIES)
    states: Counter[str] = Counter()
    sides: Counter[tuple[str, str]] = Counter()
    breaks: Counter[str] = Counter()
    for m in measures:
        assert (m.business_day, m.as_of, m.cohort_id) == (DAY, DAY, COHORT)
        if m.measure == "state":
            states[m.name] += m.amount
        elif m.measure == "equation":
            sides[m.name, m.part] += m.amount
        elif m.measure == "break" and m.part == "open":
            breaks[m.name] += m.amount
    assert states == Counter(whole.counts)
    assert breaks == Counter(whole.breaks) + Counter(whole.watched)
    for b in whole.balances:
        assert sides[b.equation.name, "left"] == b.left
        assert sides[b.equation.name, "differing"] == len(b.differing)
        for bucket, count in (b.buckets | b.beside).items():
            assert sides[b.equation.name, bucket] == count


def test_the_day_itself_is_in_it_by_partner(own: Settings) -> None:
    measures = measures_of(own, make_daily_report(own))
    arrived = {(m.partner, m.name): m.amount for m in measures if m.measure == "milestone"}
    assert arrived["HRSS-BJ", "SS_ACTIVATED"] == 6
    assert arrived["F-ABC", "JOB_ACCEPTED"] == 1
    assert arrived["ICBC", "FINANCE_ACTIVATED"] == 6
    turned = {(m.partner, m.name, m.part): m.amount for m in measures if m.measure == "break"}
    assert turned["HRSS-BJ", "OLD_CARD_USED", "opened"] == turned["HRSS-BJ", "OLD_CARD_USED", "open"] == 1


def test_both_files_say_the_same_in_words_that_people_read(own: Settings) -> None:
    made = make_daily_report(own)
    store = ObjectStore.of(own)
    text = store.get(made["csv_object"])
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(text[3:].decode("utf-8"))))
    measures = measures_of(own, made)
    assert tuple(rows[0]) == HEAD
    assert [int(row[9]) for row in rows[1:]] == [m.amount for m in measures]
    assert {row[4] for row in rows[1:]} == {"状态", "当日环节", "差异", "结清等式"}
    for kind in ("csv", "parquet"):
        assert hashlib.sha256(store.get(made[f"{kind}_object"])).hexdigest() == made[f"{kind}_sha256"]


def test_no_card_and_no_person_is_named(own: Settings) -> None:
    made = make_daily_report(own)
    store = ObjectStore.of(own)
    content = store.get(made["csv_object"]).decode("utf-8") + str(store.get(made["parquet_object"]))
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", content)
    assert not re.search(r"\d{15,}", content)


def test_a_report_is_made_and_told_once(own: Settings) -> None:
    made = make_daily_report(own)
    assert make_daily_report(own) == made
    told = messages(own)
    assert [(m["event"], m["object"], m["sha256"], m["business_day"]) for m in told] == [
        ("DAILY_REPORT", made[f"{kind}_object"], made[f"{kind}_sha256"], DAY) for kind in ("csv", "parquet")
    ]
    assert [json.loads(m["details"])["format"] for m in told] == ["csv", "parquet"]
    assert sorted(ObjectStore.of(own).list("reports/daily/")) == KEYS


def test_a_report_that_broke_off_is_ended_with_its_own_figures(own: Settings) -> None:
    before = [Measure(DAY, DAY, COHORT, "ICBC", "state", "ACTIVE", "", 3, None)]
    ObjectStore.of(own).put(KEYS[1], write_parquet(before))
    made = make_daily_report(own)
    assert measures_of(own, made) == before
    assert ObjectStore.of(own).get(made["csv_object"]) == write_csv(before)


def test_a_day_that_is_not_over_has_no_report_and_an_older_one_only_what_is_still_known(own: Settings) -> None:
    with pytest.raises(Refused, match="DAY_NOT_OVER"):
        make_daily_report(own, DAY + timedelta(days=1))
    with connect(own.database_url) as connection:
        set_business_day(connection, DAY + timedelta(days=1))
    measures = measures_of(own, make_daily_report(own, DAY))
    assert {m.measure for m in measures} == {"milestone", "break"}
    assert "open" not in {m.part for m in measures}


def test_in_real_time_the_last_whole_day_is_yesterday(own: Settings) -> None:
    with connect(own.database_url) as connection:
        connection.execute("DELETE FROM business_clock")
    made = make_daily_report(own)
    assert made["business_day"] == day_of(datetime.now(UTC)) - timedelta(days=1)


def test_an_empty_day_has_a_report_too() -> None:
    assert read_parquet(write_parquet([])) == []
    assert write_csv([]).decode("utf-8-sig").strip() == ",".join(HEAD)


def test_the_command_makes_it_and_stands_in_the_audit_once(own: Settings, log_in: LogIn) -> None:
    log_in(own, "planner")
    for words in (["--json"], ["--day", str(DAY), "--json"]):
        done = CliRunner().invoke(cli, ["report", "daily", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        found = json.loads(done.output)
        assert (found["business_day"], found["csv_object"]) == (str(DAY), KEYS[0])
    with connect(own.database_url) as connection:
        assert connection.execute('SELECT "user", act, subject FROM audit').fetchall() == [
            ("planner", "daily report", str(DAY))
        ]


def test_every_code_has_its_word() -> None:
    assert set(EQUATION_NAMES) == set(EQUATION_WORDS) == {equation.name for equation in EQUATIONS}
    assert {bucket for equation in EQUATIONS for bucket in equation.buckets} | {MISSING} <= set(BUCKET_WORDS)
    sample = [("state", n) for n in CARD_STATES] + [("break", n) for n in BREAK_KINDS]
    sample += [("milestone", n) for n in MILESTONES]
    text = write_csv(Measure(DAY, DAY, "c", "p", kind, name, "", 1, None) for kind, name in sample)
    words = [row[6] for row in csv.reader(io.StringIO(text.decode("utf-8-sig")))][1:]
    assert len(words) == len(sample)
    assert all(words)
    assert set(MEASURE_WORDS) == {"state", "milestone", "correction", "break", "equation"}
