"""Planning and planning ahead on a real ledger: waves, backups, forecasts, postponing, withdrawing, refusing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cohort_fixture import TODAY, add_cohort, changed, empty, every_row, plan_as
from desk_fixture import LogIn
from ledger_fixture import CITIES, as_read

from issuance.city.partners import load_registry, topic_of
from issuance.cli import cli
from issuance.clock import end_of, instant_on
from issuance.dispatch.openings import due_dispatches
from issuance.dispatch.plan import Wave, plan_factories, plan_wave, wave_to_plan
from issuance.dispatch.release import describe_wave, refuse_wave, release_wave, wave_state
from issuance.dispatch.rescheduling import postpone_cohort, withdraw_cohort
from issuance.dispatch.wanted import want_wave
from issuance.errors import IssuanceError, Misconfigured, Refused
from issuance.intake.register import register_submissions
from issuance.ledger.audit import verify_audit
from issuance.ledger.connection import connect, set_business_day
from issuance.proof.verify import verify_ledger
from issuance.reconcile.closing import close_cohorts, close_statement
from issuance.settings import Settings
from issuance.tracking.decide import decide
from issuance.wire.consumer import Context
from issuance.wire.refusals import Message

DUE = date(2025, 11, 8)
LATER = date(2025, 10, 20)
SMALL: dict[str, Any] = {
    # two small factories and a backup, so that a few cards fill them
    "factories": {"F-ICBC": {"capacity": 2}, "F-JING": {"capacity": 2}, "F-RESERVE": {"capacity": 3}},
    "banks": {"ICBC": {"primary": "F-ICBC"}, "BOB": {"primary": "F-JING"}},
    "backup_factory": "F-RESERVE",
}


@pytest.fixture
def url(ledger_url: str) -> str:
    """The module's ledger, empty again."""
    empty(ledger_url)
    return ledger_url


@pytest.fixture
def own(database: Settings, url: str, tmp_path: Path) -> Settings:
    """Small factories, waves of two working days, the next one planned when a day's work is left."""
    return changed(database, url, tmp_path, {"wave_days": 2, "plan_ahead_days": 1}, SMALL)


@pytest.fixture
def roomy(database: Settings, url: str, tmp_path: Path) -> Settings:
    """The shipped registry and policy."""
    return changed(database, url, tmp_path, {}, {})


def put(settings: Settings, cohort_id: str, cards: Sequence[tuple[str, date]], **values: Any) -> None:
    with connect(settings.database_url) as connection:
        add_cohort(connection, cohort_id, cards, **values)


def ask(settings: Settings, query: str, *values: Any) -> list[Any]:
    with connect(settings.database_url) as connection:
        return connection.execute(query, values).fetchall()


def on_day(settings: Settings, day: date) -> None:
    with connect(settings.database_url) as connection:
        set_business_day(connection, day)


def plan(settings: Settings, cohort_id: str, wave: int) -> Wave:
    made = plan_as(settings, cohort_id, wave, "planner")
    assert made is not None
    return made


def due_runs(settings: Settings) -> list[object]:
    return [run["trigger_run_id"] for run in due_dispatches(settings)]


# Waves


def test_a_cohort_that_fits_leaves_in_one_wave_of_jobs_by_bank_and_factory(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", DUE), ("BOB", DUE), ("ICBC", TODAY + timedelta(days=5))])
    assert due_runs(roomy) == ["c1.1"]
    wave = plan(roomy, "c1", 1)
    assert (wave.jobs, wave.plastics) == (2, 3)
    assert wave.forecast == {
        "jobs": 2, "finish": {"F-ICBC": str(TODAY), "F-JING": str(TODAY)}, "late_cards": 0, "late": [], "moved": {},
        "left": 0,
    }  # fmt: skip
    assert ask(roomy, "SELECT job_id, due_on, card_count FROM job ORDER BY 1") == [
        ("c1.1.BOB.F-JING.0001", DUE, 1),
        ("c1.1.ICBC.F-ICBC.0001", TODAY + timedelta(days=5), 2),
    ]
    assert plan(roomy, "c1", 1) == wave
    assert plan_as(roomy, "c1", 2, "planner") is None


def test_a_job_holds_the_policys_cards_and_starts_with_its_first(own: Settings) -> None:
    settings = changed(own, own.database_url, own.policies_dir, {"wave_days": 0, "job_size": 3}, SMALL)
    put(settings, "c1", [("ICBC", DUE)] * 7)
    plan(settings, "c1", 1)
    assert ask(settings, "SELECT job_id, card_count, start_on FROM job ORDER BY 1") == [
        ("c1.1.ICBC.F-ICBC.0001", 3, TODAY),
        ("c1.1.ICBC.F-ICBC.0002", 3, date(2025, 10, 10)),
        ("c1.1.ICBC.F-ICBC.0003", 1, date(2025, 10, 13)),
    ]
    assert ask(settings, "SELECT max(position) FROM job_item") == [(2,)]


def test_the_stop_of_an_old_card_is_a_due_date(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", date(2027, 1, 20))], generation=1)
    put(roomy, "c2", [("ICBC", date(2027, 1, 20))], generation=2)
    plan(roomy, "c1", 1)
    plan(roomy, "c2", 1)
    assert ask(roomy, "SELECT due_on FROM job ORDER BY job_id") == [(date(2026, 12, 31),), (date(2027, 1, 20),)]


def test_a_wave_holds_the_policys_working_days_and_the_next_is_due_when_it_is_nearly_made(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)] * 7)
    first = plan(own, "c1", 1)
    assert (first.plastics, first.forecast["left"]) == (4, 3)
    assert due_runs(own) == ["c1.1"]
    release_wave(own, "c1", 1, "releaser")
    assert due_runs(own) == []
    with connect(own.database_url) as connection:
        connection.execute(
            "UPDATE plastic SET made = '0' WHERE card_ref IN (SELECT card_ref FROM plastic ORDER BY 1 LIMIT 2)"
        )
    assert due_runs(own) == ["c1.2"]
    assert plan(own, "c1", 2).plastics == 3
    assert ask(own, "SELECT count(*), count(DISTINCT card_ref) FROM job_item") == [(7, 7)]


def test_what_the_primary_cannot_make_in_time_goes_to_the_banks_backup(own: Settings) -> None:
    put(own, "c1", [("ICBC", TODAY)] * 4)
    wave = plan(own, "c1", 1)
    assert wave.forecast["moved"] == {"F-RESERVE": 2}
    assert wave.forecast["late_cards"] == 0
    assert ask(own, "SELECT factory, card_count FROM job ORDER BY 1") == [("F-ICBC", 2), ("F-RESERVE", 2)]
    assert ask(own, "SELECT count(*) FROM card JOIN plastic USING (card_ref, factory)") == [(4,)]


def test_what_other_cohorts_have_in_jobs_counts(own: Settings) -> None:
    put(own, "c1", [("ICBC", TODAY)] * 4)
    plan(own, "c1", 1)
    put(own, "c2", [("ICBC", TODAY), ("BOB", TODAY)])
    late = plan(own, "c2", 1).forecast
    assert (late["late_cards"], late["moved"]) == (0, {"F-RESERVE": 1})
    put(own, "c3", [("ICBC", TODAY)])
    assert plan(own, "c3", 1).forecast["late"] == [
        {"factory": "F-ICBC", "due_on": str(TODAY), "cards": 1, "made_on": "2025-10-10"}
    ]


def test_a_bank_or_a_factory_that_the_registry_lost_is_named(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)])
    plan(own, "c1", 1)
    put(own, "c2", [("ABC", DUE)])
    with pytest.raises(Misconfigured, match=r"PARTNER_GONE.*ABC"):
        plan_as(own, "c2", 1, "planner")
    with connect(own.database_url) as connection:
        connection.execute("UPDATE card SET bank = 'BOB' WHERE bank = 'ABC'")
        connection.execute("UPDATE job SET factory = 'F-GONE'")
    with pytest.raises(Misconfigured, match=r"PARTNER_GONE.*F-GONE"):
        plan_as(own, "c2", 1, "planner")


def test_nothing_is_planned_before_the_opening_day(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)], opens_on=LATER)
    assert due_runs(own) == []
    with pytest.raises(Refused, match="NOT_OPEN_YET"):
        plan_as(own, "c1", 1, "planner")
    with connect(own.database_url) as connection, pytest.raises(Refused, match="NOT_OPEN_YET"):
        wave_to_plan(connection, "c1")
    on_day(own, LATER)
    assert due_runs(own) == ["c1.1"]


# Who wants a wave


def test_a_wave_that_nobody_wanted_is_not_planned(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)])
    for act in (plan_wave, plan_factories):
        with pytest.raises(Refused, match="NO_PLAN"):
            act(own, "c1", 1)
    assert wave_state(own, "c1", 1) == "absent"
    assert ask(own, "SELECT state, last_attempt FROM card") == [("WAITING", 0)]


def test_who_wanted_a_wave_first_is_its_planner(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)])
    with connect(own.database_url) as connection:
        assert want_wave(connection, "c1", 1, "planner") == "planner"
        assert want_wave(connection, "c1", 1, "releaser") == "planner"
    assert wave_state(own, "c1", 1) == "wanted"
    plan_wave(own, "c1", 1)
    with pytest.raises(Refused, match="SAME_PERSON"):
        release_wave(own, "c1", 1, "planner")
    release_wave(own, "c1", 1, "releaser")
    assert ask(own, "SELECT planned_by, released_by FROM release") == [("planner", "releaser")]


def test_a_wave_that_is_not_planned_yet_is_not_released(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)])
    with connect(own.database_url) as connection:
        want_wave(connection, "c1", 1, "planner")
    with pytest.raises(Refused, match="NOTHING_TO_RELEASE"):
        release_wave(own, "c1", 1, "releaser")
    with pytest.raises(Refused, match="WAVE_UNKNOWN"):
        release_wave(own, "c1", 2, "releaser")
    assert ask(own, "SELECT FROM release") == []


def test_a_wave_that_was_refused_before_it_was_planned_stays_empty(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)] * 2)
    with connect(own.database_url) as connection:
        want_wave(connection, "c1", 1, "planner")
    refuse_wave(own, "c1", 1, "releaser", "not now")
    assert plan_factories(own, "c1", 1) == []
    assert wave_state(own, "c1", 1) == "refused"
    assert ask(own, "SELECT count(*) FROM job_item") == [(0,)]
    assert due_runs(own) == []
    assert plan(own, "c1", 2).plastics == 2


# Refusing


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_refusal_needs_a_reason(own: Settings, reason: str) -> None:
    put(own, "c1", [("ICBC", DUE)])
    plan(own, "c1", 1)
    with pytest.raises(Refused, match="REASON_MISSING"):
        refuse_wave(own, "c1", 1, "releaser", reason)
    assert ask(own, "SELECT refused FROM wave") == [(None,)]


def test_after_a_refusal_the_cards_wait_and_the_next_plan_is_made_by_hand(own: Settings) -> None:
    put(own, "c1", [("ICBC", TODAY)] * 4)
    plan(own, "c1", 1)
    refuse_wave(own, "c1", 1, "releaser", "capacity is wrong")
    refuse_wave(own, "c1", 1, "releaser", "again")
    assert due_runs(own) == []
    assert ask(own, "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM plastic)") == [(0, 0)]
    assert ask(own, "SELECT \"user\", act, details ->> 'reason' FROM audit WHERE act = 'refuse'") == [
        ("releaser", "refuse", "capacity is wrong")
    ]
    with pytest.raises(Refused, match="NOTHING_TO_RELEASE"):
        release_wave(own, "c1", 1, "releaser")
    with pytest.raises(Refused, match="WAVE_UNKNOWN"):
        refuse_wave(own, "c1", 9, "releaser", "no such wave")
    assert plan(own, "c1", 2).plastics == 4


def test_what_is_released_is_not_refused(own: Settings) -> None:
    put(own, "c1", [("ICBC", DUE)])
    plan(own, "c1", 1)
    release_wave(own, "c1", 1, "releaser")
    with pytest.raises(Refused, match="ALREADY_RELEASED"):
        refuse_wave(own, "c1", 1, "releaser", "too late")


def test_a_releaser_is_told_what_the_wave_holds_and_what_will_breach(own: Settings) -> None:
    put(own, "c1", [("ICBC", TODAY)] * 6)
    plan(own, "c1", 1)
    text = describe_wave(own, "c1", 1)
    for words in ("6 plastics in 2 jobs", "- F-ICBC: 2025-10-10", "3 cards go to the backup F-RESERVE",
                  "1 cards will breach", "- F-ICBC, 2025-10-09: 1 → 2025-10-10", "planned by planner"):  # fmt: skip
        assert words in text


def test_a_cohort_shows_its_waves_to_people_and_to_programs(at: Settings) -> None:
    put(at, "c1", [("ICBC", TODAY)] * 6)
    plan(at, "c1", 1)
    (wave,) = answer("cohort", "show", "c1")["waves"]
    assert (wave["plastics"], wave["forecast"]["jobs"], wave["forecast"]["late_cards"]) == (6, 2, 1)
    assert wave["forecast"]["finish"] == {"F-ICBC": "2025-10-10", "F-RESERVE": str(TODAY)}
    shown = run("cohort", "show", "c1").output
    assert "late_cards" in shown
    assert "2025-10-10" in shown


# Postponing and withdrawing


def test_postponing_moves_the_opening_day_and_the_due_dates(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", LATER + timedelta(days=30))] * 2, opens_on=LATER)
    day = date(2025, 11, 3)
    assert postpone_cohort(roomy, "c1", day, "the factory moves", "planner") == 2
    assert ask(roomy, "SELECT opens_on FROM cohort") == [(day,)]
    assert ask(roomy, "SELECT DISTINCT due_on FROM card") == [(day + timedelta(days=30),)]
    assert postpone_cohort(roomy, "c1", LATER, "it does not", "planner") == 2
    acts = ask(roomy, "SELECT \"user\", act, details ->> 'to', details ->> 'reason' FROM audit ORDER BY number")
    assert acts == [
        ("planner", "postpone", str(day), "the factory moves"),
        ("planner", "postpone", str(LATER), "it does not"),
    ]
    told = ask(roomy, "SELECT count(*) FROM outbox WHERE topic = %s", topic_of("cohort-events"))
    assert told == [(2,)]


def test_a_card_applied_for_after_the_new_day_keeps_its_clock(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", LATER + timedelta(days=30))], opens_on=LATER)
    with connect(roomy.database_url) as connection:
        connection.execute("UPDATE card SET applied_on = '2025-10-30', due_on = '2025-11-29'")
    assert postpone_cohort(roomy, "c1", date(2025, 10, 28), "later", "planner") == 0
    assert ask(roomy, "SELECT due_on FROM card") == [(date(2025, 11, 29),)]


def test_a_plan_that_is_not_released_is_taken_back_and_made_again_by_itself(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", DUE)])
    plan(roomy, "c1", 1)
    with connect(roomy.database_url) as connection:
        connection.execute("UPDATE cohort SET opens_on = %s", (LATER,))
    postpone_cohort(roomy, "c1", date(2025, 10, 22), "later", "planner")
    assert ask(roomy, "SELECT count(*) FROM job") == [(0,)]
    assert due_runs(roomy) == []
    on_day(roomy, date(2025, 10, 22))
    assert due_runs(roomy) == ["c1.2"]


@pytest.mark.parametrize(
    ("cohort_id", "day", "reason", "code"),
    [
        ("nobody", LATER, "why", "COHORT_UNKNOWN"),
        ("open", LATER, "why", "ALREADY_OPEN"),
        ("coming", TODAY, "why", "DAY_PAST"),
        ("coming", date(2024, 1, 1), "why", "DAY_PAST"),
        ("coming", LATER, "why", "SAME_DAY"),
        ("coming", DUE, " ", "REASON_MISSING"),
        ("accepting", DUE, "why", "INTAKE_UNDER_WAY"),
    ],
)
def test_what_cannot_be_postponed_is_refused_in_both_languages(
    own: Settings, cohort_id: str, day: date, reason: str, code: str
) -> None:
    put(own, "open", [("ICBC", DUE)])
    put(own, "coming", [("ICBC", DUE)], opens_on=LATER)
    put(own, "accepting", [("ICBC", DUE)], opens_on=LATER, state="REGISTERED")
    with connect(own.database_url) as connection:
        connection.execute("UPDATE submission SET state = 'VALIDATED' WHERE state = 'REGISTERED'")
    before = every_row(own.database_url)
    with pytest.raises(Refused, match=code) as caught:
        postpone_cohort(own, cohort_id, day, reason, "planner")
    assert " / " in caught.value.message
    if code not in ("DAY_PAST", "SAME_DAY"):
        with pytest.raises(Refused, match=code):
            withdraw_cohort(own, cohort_id, reason, "planner")
    assert every_row(own.database_url) == before


def test_a_withdrawn_cohort_ends_its_cards_with_a_reason_and_closes_by_itself(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", DUE), ("BOB", DUE)], opens_on=LATER)
    assert withdraw_cohort(roomy, "c1", "the city has changed its mind", "planner") == 2
    decide(roomy)
    assert ask(roomy, "SELECT DISTINCT state, withdrawn FROM card") == [("WITHDRAWN", "COHORT_WITHDRAWN")]
    assert close_cohorts(roomy) == ["c1"]
    statement = close_statement(roomy, "c1")
    assert (statement.state, statement.holds, statement.counts) == ("CLOSED", True, {"WITHDRAWN": 2})
    assert next(b for b in statement.balances if b.equation.name == "order").buckets["withdrawn"] == 2
    assert statement.as_dict()["withdrawn"]["by"] == "planner"
    assert close_cohorts(roomy) == []
    with pytest.raises(Refused, match="ALREADY_WITHDRAWN"):
        postpone_cohort(roomy, "c1", DUE, "why", "planner")
    with connect(roomy.database_url) as connection:
        assert verify_ledger(connection, CITIES) == []


def announced(settings: Settings, cohort_id: str, sha256: str) -> str | None:
    """What the consumer says of another package for a cohort."""
    value = {"cohort_id": cohort_id, "city": "110000", "category": "retiree", "opens_on": LATER, "declared": 1,
             "amends": False, "sha256": sha256, "manifest": "m", "submitted_by": "submitter", "submission": 0,
             "submitted_at": instant_on(TODAY, 9)}  # fmt: skip
    message = Message(topic_of("cohort-submissions"), 0, 1, None, None, b"", (), as_read(value))
    with connect(settings.database_url) as connection:
        context = Context(settings, load_registry(settings.partners_file), end_of(TODAY), TODAY)
        outcomes, _ = register_submissions(connection, [message], context)
    return outcomes[0].refusal


def test_a_cohort_in_intake_is_withdrawn_whole_and_takes_no_further_submission(roomy: Settings) -> None:
    put(roomy, "c1", [("ICBC", DUE)] * 3, opens_on=LATER, state="REGISTERED")
    withdraw_cohort(roomy, "c1", "wrong file", "planner")
    assert ask(roomy, "SELECT state, refusal ->> 'code' FROM submission") == [("REFUSED", "COHORT_WITHDRAWN")]
    assert announced(roomy, "c1", "f" * 64) == "COHORT_WITHDRAWN"
    assert close_cohorts(roomy) == ["c1"]
    assert close_cohorts(roomy) == []
    assert announced(roomy, "c1", "f" * 64) == "COHORT_WITHDRAWN"


# The command line: forecasts change nothing, every write is a user's


@pytest.fixture
def at(own: Settings, log_in: LogIn) -> Settings:
    """The command line at the desk of this ledger, as the user 'planner'."""
    log_in(own, "planner")
    return own


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def answer(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.output)


def refused(*words: str) -> str:
    """The code of a refusal, or what a usage error says."""
    done = run(*words)
    if isinstance(done.exception, IssuanceError):
        return done.exception.code
    assert done.exit_code == 2, done.output
    return done.output


def fill(settings: Settings) -> None:
    """One cohort in a job, one open, one accepted and to come, one declared."""
    put(settings, "in-job", [("ICBC", TODAY)] * 2)
    plan(settings, "in-job", 1)
    put(settings, "open", [("ICBC", date(2025, 10, 10))] * 6)
    put(settings, "coming", [("BOB", LATER + timedelta(days=30))] * 5, opens_on=LATER)
    put(settings, "declared", [("BOB", DUE)] * 8, opens_on=LATER, state="REGISTERED")


def test_the_forecast_is_of_all_open_and_coming_cohorts_together(at: Settings) -> None:
    fill(at)
    found = answer("cohort", "plan", "--forecast")
    assert [(c["cohort_id"], c["cards"], c["in_jobs"], c["finish_on"], c["late_cards"]) for c in found["cohorts"]] == [
        ("in-job", 2, 2, "2025-10-09", 0),
        ("open", 6, 0, "2025-10-10", 0),
        ("coming", 5, 0, "2025-10-22", 0),
        ("declared", 8, 0, "2025-10-24", 0),
    ]
    by_factory = {f["factory"]: f for f in found["factories"]}
    assert by_factory["F-RESERVE"]["as_backup"] == 4
    assert [(w["cohort_id"], w["wave"], w["cards"]) for w in found["waves"]] == [
        ("open", "+1", 6), ("coming", "+1", 4), ("coming", "+2", 1), ("declared", "+1", 8),
    ]  # fmt: skip
    assert found["late"] == []


@pytest.mark.parametrize(
    ("words", "late"),
    [
        (["--capacity", "F-RESERVE=0"], 4),
        (["--capacity", "F-RESERVE=0", "--capacity", "F-ICBC=3"], 2),
        (["--maintenance", "F-RESERVE=2025-10-09", "--maintenance", "F-RESERVE=2025-10-10"], 4),
        (["open", "--opens", "2025-10-13"], 0),
        (["--opens", "coming=2025-10-14"], 0),
    ],
)
def test_a_what_if_shows_what_would_breach_and_changes_nothing(at: Settings, words: list[str], late: int) -> None:
    fill(at)
    before = every_row(at.database_url)
    found = answer("cohort", "plan", *words)
    assert sum(row["cards"] for row in found["late"]) == late
    assert every_row(at.database_url) == before
    assert run("cohort", "plan", *words).exit_code == 0
    assert every_row(at.database_url) == before


def test_a_what_if_opening_day_moves_due_dates_too(at: Settings) -> None:
    put(at, "coming", [("BOB", LATER + timedelta(days=30))], opens_on=LATER)
    (cohort,) = answer("cohort", "plan", "coming", "--opens", "2025-11-10")["cohorts"]
    assert (cohort["opens_on"], cohort["finish_on"], cohort["late_cards"]) == ("2025-11-10", "2025-11-10", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "--forecast"], "COHORT_UNKNOWN"),
        (["--capacity", "F-NONE=1"], "FACTORY_UNKNOWN"),
        (["--capacity", "F-ICBC=many"], "不是"),
        (["--capacity", "F-ICBC"], "不是"),
        (["--maintenance", "F-ICBC=2025-02-30"], "不是"),
        (["--opens", "nobody=2025-11-10"], "COHORT_UNKNOWN"),
        (["--opens", "2025-11-10"], "须指定一个批次"),
        ([], "请指定一个批次"),
        (["c1", "c2"], "请指定一个批次"),
    ],
)
def test_a_what_if_that_cannot_be_is_refused(at: Settings, words: list[str], said: str) -> None:
    assert said in refused("cohort", "plan", *words)


def test_the_calendar_shows_openings_working_days_and_the_load_of_factories(at: Settings) -> None:
    fill(at)
    days = {row["day"]: row for row in answer("cohort", "calendar")}
    assert min(days) == str(TODAY)
    assert days[str(LATER)]["opens"] == [
        {"cohort_id": "coming", "cards": 5, "declared": False},
        {"cohort_id": "declared", "cards": 8, "declared": True},
    ]
    assert [days[day]["working"] for day in ("2025-10-10", "2025-10-11", "2025-10-12")] == [True, True, False]
    assert days["2025-10-09"]["load"] == {"F-ICBC": 2, "F-RESERVE": 3}
    assert sum(count for row in days.values() for count in row["load"].values()) == 2 + 6 + 5 + 8
    shown = run("cohort", "calendar").output
    assert "coming 5, declared 8 声明 / declared" in shown
    assert "F-ICBC 2, F-RESERVE 3" in shown


def test_a_cohort_of_a_year_without_a_calendar_is_shown_and_holds_nobody_up(at: Settings) -> None:
    put(at, "far", [("ICBC", date(2049, 3, 1))] * 3, opens_on=date(2049, 2, 1))
    put(at, "open", [("ICBC", DUE)])
    assert answer("cohort", "plan", "--forecast")["unknown"] == ["far"]
    assert plan(at, "open", 1).plastics == 1


def test_postponing_and_withdrawing_by_command_are_the_users_in_the_audit(at: Settings) -> None:
    put(at, "c1", [("ICBC", DUE)], opens_on=LATER)
    assert run("cohort", "postpone", "c1", "--to", "2025-10-27", "--reason", "later").exit_code == 0
    assert run("cohort", "withdraw", "c1", "--reason", "not at all").exit_code == 0
    assert ask(at, 'SELECT "user", act, subject FROM audit ORDER BY number') == [
        ("planner", "postpone", "c1"),
        ("planner", "withdraw", "c1"),
    ]
    shown = answer("cohort", "show", "c1")
    assert [change["act"] for change in shown["changes"]] == ["postpone", "withdraw"]
    assert shown["withdrawal"]["reason"] == "not at all"
    with connect(at.database_url) as connection:
        assert verify_audit(connection) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["postpone", "c1", "--to", "2025-02-30", "--reason", "r"], "不是日期"),
        (["postpone", "c1", "--to", "soon", "--reason", "r"], "不是日期"),
        (["postpone", "c1", "--to", "2025-11-01"], "--reason"),
        (["postpone", "open", "--to", "2025-11-01", "--reason", ""], "REASON_MISSING"),
        (["withdraw", "nobody", "--reason", "r"], "COHORT_UNKNOWN"),
        (["release", "open", "1", "--refuse", " "], "REASON_MISSING"),
    ],
)
def test_acts_that_cannot_be_are_refused(at: Settings, words: list[str], said: str) -> None:
    put(at, "open", [("ICBC", DUE)])
    assert said in refused("cohort", *words)


def test_rebuilding_the_ledger_is_the_users_in_the_audit(at: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", at.database_url)
    assert run("ledger", "rebuild").exit_code == 0
    assert ask(at, 'SELECT "user", act FROM audit') == [("planner", "rebuild")]
