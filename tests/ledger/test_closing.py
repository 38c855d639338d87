"""A cohort closes when it has ended, by itself; a break or a person reopens it; each partner answers for its part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from cohort_fixture import empty
from desk_fixture import LogIn
from ledger_fixture import CITIES, CITY, COHORT, OPENS, REGISTRY, decide_all, drop_temporary, item, merge, report
from life_fixture import divided, live

from issuance.breaks.kinds import BREAK_KINDS
from issuance.breaks.resolve import resolve_break
from issuance.cli import cli
from issuance.errors import Refused
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import Connection, connect
from issuance.reconcile.closing import CohortSnapshot, close_cohorts, read_statement
from issuance.reconcile.equations import EQUATIONS
from issuance.reconcile.partner_view import PartnerStatement, read_part
from issuance.reconcile.reopening import close_cohort, reopen_cohort
from issuance.settings import Settings
from issuance.wire.avro import decode_body

# Closing and reopening, on a ledger of its own


@pytest.fixture
def closed(database: Settings, ledger_url: str) -> Iterator[Settings]:
    """A ledger with one cohort of four active cards, closed by itself."""
    empty(ledger_url)
    with connect(ledger_url) as connection:
        live(connection)
    settings = replace(database, database_url=ledger_url)
    assert close_cohorts(settings) == [COHORT]
    yield settings
    empty(ledger_url)


def standing(settings: Settings) -> tuple[str, int]:
    """State and revision of the cohort."""
    with connect(settings.database_url) as connection:
        found = connection.execute("SELECT state, revision FROM cohort").fetchone() or ("", 0)
    return str(found[0]), int(found[1])


def told(settings: Settings) -> list[tuple[str, int, bool, Any]]:
    """Event, revision, whether all equations hold and by whom, of the messages of the cohort."""
    with connect(settings.database_url) as connection:
        bodies = connection.execute("SELECT body FROM outbox WHERE record = 'cohort_event' ORDER BY id").fetchall()
    events = [decode_body("cohort_event", bytes(body)) for (body,) in bodies]
    details = [json.loads(str(event["details"])) for event in events]
    return [
        (str(event["event"]), found["revision"], all(e["holds"] for e in found["equations"]), found.get("by"))
        for event, found in zip(events, details, strict=True)
    ]


def late_fact(settings: Settings, milestone: str, day: int) -> None:
    """Evidence about the first card that comes after the cohort was closed."""
    with connect(settings.database_url) as connection:
        (ref,) = connection.execute("SELECT card_ref FROM card ORDER BY position LIMIT 1").fetchone() or (None,)
        merge(connection, report("HRSS-BJ", f"late {milestone}", [item(milestone, ref, day)]))
        decide_all(connection)


def test_a_break_that_holds_reopens_a_closed_cohort_until_it_is_explained(closed: Settings) -> None:
    late_fact(closed, "OLD_CARD_USED", 9)
    assert close_cohorts(closed) == [COHORT]
    assert standing(closed) == ("DISPATCHED", 2)
    assert close_cohorts(closed) == []
    with connect(closed.database_url) as connection:
        (break_id,) = connection.execute("SELECT break_id::text FROM break").fetchone() or ("",)
        resolve_break(connection, str(break_id), "planner", "the terminal was offline", OPENS)
    assert close_cohorts(closed) == [COHORT]
    assert close_cohorts(closed) == []
    assert told(closed) == [("CLOSED", 1, True, None), ("REOPENED", 2, True, None), ("CLOSED", 3, True, None)]


def test_a_break_that_is_only_watched_reopens_nothing(closed: Settings) -> None:
    with connect(closed.database_url) as connection:
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, opened_on) SELECT gen_random_uuid(), cohort_no,"
            " kind, 'r', opens_on FROM cohort, unnest(%s::text[]) AS kind",
            ([kind.name for kind in BREAK_KINDS.values() if not kind.holds],),
        )
    assert close_cohorts(closed) == []
    assert standing(closed) == ("CLOSED", 1)


def test_what_a_person_reopens_stays_open_until_a_person_closes_it(closed: Settings) -> None:
    assert reopen_cohort(closed, COHORT, "planner", "a bank asks for a recount") == 2
    assert close_cohorts(closed) == []
    assert standing(closed) == ("DISPATCHED", 2)
    late_fact(closed, "OLD_CARD_USED", 9)
    with pytest.raises(Refused, match="COHORT_NOT_ENDED") as caught:
        close_cohort(closed, COHORT, "planner", "done")
    assert caught.value.details["open"] == ["1 OLD_CARD_USED"]
    with connect(closed.database_url) as connection:
        (break_id,) = connection.execute("SELECT break_id::text FROM break").fetchone() or ("",)
        resolve_break(connection, str(break_id), "planner", "seen", OPENS)
    assert close_cohort(closed, COHORT, "planner", "recounted") == 3
    by = {"user": "planner", "note": "a bank asks for a recount", "day": OPENS.isoformat()}
    assert told(closed) == [("CLOSED", 1, True, None), ("REOPENED", 2, True, by), ("CLOSED", 3, True, None)]
    assert close_cohorts(closed) == []
    with connect(closed.database_url) as connection:
        acts = connection.execute("SELECT act FROM audit ORDER BY number").fetchall()
        assert acts == [("reopen",), ("resolve",), ("close",)]
        assert verify_audit(connection) == []


@pytest.mark.parametrize(
    ("act", "cohort_id", "note", "code"),
    [
        (reopen_cohort, COHORT, " ", "NOTE_MISSING"),
        (reopen_cohort, "nobody", "why", "COHORT_UNKNOWN"),
        (close_cohort, COHORT, "why", "NOT_REOPENED"),
        (close_cohort, COHORT, "", "NOTE_MISSING"),
    ],
)
def test_acts_that_cannot_be_are_refused(closed: Settings, act: Any, cohort_id: str, note: str, code: str) -> None:
    with pytest.raises(Refused, match=code):
        act(closed, cohort_id, "planner", note)
    assert standing(closed) == ("CLOSED", 1)


def test_an_open_cohort_is_not_reopened(closed: Settings) -> None:
    reopen_cohort(closed, COHORT, "planner", "why")
    with pytest.raises(Refused, match="NOT_CLOSED"):
        reopen_cohort(closed, COHORT, "planner", "why")


def test_the_commands_act_and_show(closed: Settings, log_in: LogIn) -> None:
    log_in(closed, "planner")
    for words in (["reopen", COHORT, "--note", "recount"], ["close", COHORT, "--note", "counted"]):
        done = CliRunner().invoke(cli, ["cohort", *words])
        assert done.exit_code == 0, (done.output, done.exception)
    assert standing(closed) == ("CLOSED", 3)
    part = CliRunner().invoke(cli, ["cohort", "statement", COHORT, "--partner", "ICBC", "--json"])
    assert part.exit_code == 0, (part.output, part.exception)
    names = [equation["name"] for equation in json.loads(part.output)["equations"]]
    assert names == ["order", "hand-over", "collection", "activation (finance)"]
    shown = CliRunner().invoke(cli, ["cohort", "statement", COHORT, "--partner", "ICBC"])
    assert "test-1 · ICBC: closed" in shown.output
    assert CliRunner().invoke(cli, ["cohort", "statement", COHORT]).exit_code == 0


# Breaks at the command line


def run(*words: str) -> Any:
    """What a command with --json says."""
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.output)


def test_breaks_are_asked_for_by_cohort_kind_owner_and_severity(closed: Settings, log_in: LogIn) -> None:
    log_in(closed, "planner")
    late_fact(closed, "OLD_CARD_USED", 9)
    (row,) = run("break", "list")
    assert (row["kind"], row["severity"], row["holds"], row["age_days"], row["owner"]) == (
        "OLD_CARD_USED", "high", True, 0, None,
    )  # fmt: skip
    assert row["remedy"] == " / ".join(BREAK_KINDS["OLD_CARD_USED"].remedy)
    assert CliRunner().invoke(cli, ["break", "assign", row["break_id"], "somebody"]).exit_code == 0
    found = {
        words: len(run("break", "list", *words.split()))
        for words in (
            "--open", f"--cohort {COHORT}", "--cohort nobody", "--kind OLD_CARD_USED", "--kind CONFLICT",
            "--owner somebody", "--owner planner", "--severity high", "--severity normal",
        )
    }  # fmt: skip
    assert [words for words, count in found.items() if count] == [
        "--open", f"--cohort {COHORT}", "--kind OLD_CARD_USED", "--owner somebody", "--severity high",
    ]  # fmt: skip
    note = ["break", "resolve", row["break_id"], "--note", "seen"]
    assert CliRunner().invoke(cli, note).exit_code == 0
    assert run("break", "list") == []
    assert len(run("break", "list", "--all")) == 1


def test_a_break_is_shown_with_both_sides_and_its_history(closed: Settings, log_in: LogIn) -> None:
    log_in(closed, "viewer", ("view",))
    late_fact(closed, "OLD_CARD_USED", 9)
    (row,) = run("break", "list")
    shown = run("break", "show", row["break_id"])
    facts = [(f["milestone"], f["partner"], f["report_id"]) for f in shown["theirs"]["facts"]]
    assert facts == [("SS_ACTIVATED", "HRSS-BJ", "7"), ("OLD_CARD_USED", "HRSS-BJ", "late OLD_CARD_USED")]
    assert [order["job_id"] for order in shown["ours"]["orders"]] == ["J1"]
    assert [event["event"] for event in shown["history"]] == ["OPENED"]
    people = CliRunner().invoke(cli, ["break", "show", row["break_id"]])
    assert people.exit_code == 0
    assert "经过 / history" in people.output


@pytest.mark.parametrize(
    ("words", "code"),
    [(["list", "--kind", "NOTHING"], "KIND_UNKNOWN"), (["show", "nothing"], "BREAK_UNKNOWN")],
)
def test_what_is_no_break_is_refused(closed: Settings, log_in: LogIn, words: list[str], code: str) -> None:
    log_in(closed, "viewer", ("view",))
    done = CliRunner().invoke(cli, ["break", *words])
    assert isinstance(done.exception, Refused)
    assert done.exception.code == code


# Each partner's part


def parts(connection: Connection) -> dict[str, PartnerStatement]:
    """What every partner of the registry sees."""
    cohort = CohortSnapshot(COHORT, 1, CITY, "DISPATCHED", None, None)
    return {partner.id: read_part(connection, cohort, partner) for partner in REGISTRY.partners.values()}


def summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Counts by name, added up."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def test_the_parts_of_the_partners_sum_up_to_the_cohort(ledger: Connection) -> None:
    divided(ledger)
    drop_temporary(ledger)
    whole = read_statement(ledger, COHORT, CITIES)
    seen = parts(ledger)
    assert whole.breaks
    for total in whole.balances:
        if total.equation.answers:
            found = [b for part in seen.values() for b in part.balances if b.equation is total.equation]
            assert sum(b.left for b in found) == total.left, total.equation.name
            assert summed(b.buckets for b in found) == Counter(total.buckets), total.equation.name
            assert sorted(e for b in found for e in b.differing) == sorted(total.differing), total.equation.name
    for name in ("counts", "breaks", "watched"):
        assert summed(getattr(part, name) for part in seen.values()) == Counter(getattr(whole, name)), name


def test_a_partner_sees_its_own_and_nothing_of_others(ledger: Connection) -> None:
    divided(ledger)
    drop_temporary(ledger)
    read_statement(ledger, COHORT, CITIES)
    seen = parts(ledger)
    lefts = {
        partner: {b.equation.name: b.left for b in part.balances if b.left} for partner, part in seen.items()
    }  # fmt: skip
    assert {partner: found for partner, found in lefts.items() if found} == {
        "F-ICBC": {"job": 4, "making": 4},
        "F-ABC": {"job": 2, "making": 2},
        "ICBC": {"order": 4, "hand-over": 3, "collection": 3, "activation (finance)": 4},
        "ABC": {"order": 2, "hand-over": 2, "collection": 2, "activation (finance)": 2},
        "HRSS-BJ": {"hand-over": 1, "collection": 1, "activation (ss)": 6},
    }
    assert seen["HRSS-BJ"].breaks["OLD_CARD_USED"] == 1
    assert all("OLD_CARD_USED" not in part.breaks for partner, part in seen.items() if partner != "HRSS-BJ")


def test_who_answers_is_said_of_kinds_that_there_are() -> None:
    kinds = {partner.kind for partner in REGISTRY.partners.values()}
    assert {kind for equation in EQUATIONS for kind in equation.answers} <= kinds
    with pytest.raises(Refused, match="PARTNER_UNKNOWN"):
        REGISTRY.partner("nobody")


def test_a_refused_report_of_another_factory_is_that_factorys(ledger: Connection) -> None:
    from issuance.reconcile.beyond_order import watch_making

    refs = divided(ledger)
    drop_temporary(ledger)
    watch_making(ledger, OPENS + timedelta(days=9))
    read_statement(ledger, COHORT, CITIES)
    seen = parts(ledger)
    assert seen["F-ICBC"].breaks == {"MADE_NOT_ORDERED": 1}
    kinds = ledger.execute("SELECT card_ref FROM break WHERE kind = 'MADE_NOT_ORDERED'").fetchall()
    assert kinds == [(refs[5],)]
