"""`issuance cohort`: planned ahead, planned, forecast, released, proved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from issuance.commands.output import emit, read
from issuance.commands.values import AS_JSON, NOTE, Day, Pair
from issuance.errors import Refused
from issuance.ledger import queries
from issuance.ledger.connection import transaction
from issuance.settings import load_settings

if TYPE_CHECKING:
    from issuance.dispatch.calendar import CalendarDay
    from issuance.dispatch.demands import Assumptions

REASON = click.option("--reason", required=True, help="The reason; recorded in the audit.")


@click.group()
def cohort() -> None:
    """批次。 Cohorts: list, show, calendar, postpone, withdraw, plan, release, statement, reopen, close."""


@cohort.command(name="list")
@AS_JSON
def list_cohorts(as_json: bool) -> None:
    """Every cohort, its state and counts."""
    emit(read(queries.list_cohorts), as_json)


@cohort.command()
@click.argument("cohort_id")
@AS_JSON
def show(cohort_id: str, as_json: bool) -> None:
    """One cohort: submissions, states, changes; its waves with jobs, finishing days and cards that will breach."""
    from issuance.intake.data_docs import with_links

    found = with_links(load_settings(), read(queries.show_cohort, cohort_id))
    if as_json:
        emit(found, True)
        return
    waves = found.pop("waves")
    emit(found, False)
    if waves:
        click.echo("\n各制卡批 / waves")
        emit([_wave_row(wave) for wave in waves], False)


@cohort.command()
@click.argument("cohort_id")
@AS_JSON
def ages(cohort_id: str, as_json: bool) -> None:
    """时效。 How long the cards of a cohort have stood in each state, in calendar and in working days."""
    from issuance.ledger.connection import business_day
    from issuance.tracking.ages import stage_ages
    from issuance.words.lifecycle import CARD_STATES

    with transaction(load_settings().database_url) as connection:
        found = stage_ages(connection, cohort_id, business_day(connection))
    emit([{"state": age.state, "状态": CARD_STATES[age.state].zh} | age._asdict() for age in found], as_json)


@cohort.command()
@click.argument("cohort_id", required=False)
@click.option("--within", default=7, show_default=True, type=click.IntRange(0, 366), help="Calendar days from today.")
@click.option("--cards", "single", is_flag=True, help="Every card, job and hand-over separately.")
@AS_JSON
def due(cohort_id: str | None, within: int, single: bool, as_json: bool) -> None:
    """即将超期。 What will breach within some days, or has breached: what has to happen by when, and who is awaited."""
    from issuance.city.city import served_city
    from issuance.ledger.connection import business_day
    from issuance.tracking.ages import coming_due, summed

    settings = load_settings()
    with transaction(settings.database_url) as connection:
        found = coming_due(connection, served_city(settings), business_day(connection), within, cohort_id)
    emit(found if single else summed(found), as_json)


def _wave_row(wave: dict[str, Any]) -> dict[str, Any]:
    """A wave as text: its forecast and its state."""
    forecast = wave["forecast"]
    return {
        "wave": wave["wave"],
        "plastics": wave["plastics"],
        "jobs": forecast.get("jobs"),
        "finish_on": max(filter(None, forecast.get("finish", {}).values()), default=None),
        "late_cards": forecast.get("late_cards"),
        "planned": f"{wave['planned_by']} {wave['planned_on']}",
        "released": wave["released_by"] and f"{wave['released_by']} {wave['released_on']}",
        "refused": wave["refused"],
        "finish_by_factory": forecast.get("finish"),
    }


@cohort.command()
@click.argument("cohort_id")
@click.option("--partner", "partner_id", help="Only the part for which this partner is responsible.")
@AS_JSON
def statement(cohort_id: str, partner_id: str | None, as_json: bool) -> None:
    """结清单。 The closing statement; exit code 1 while an equation does not hold."""
    from issuance.commands.statement import print_statement
    from issuance.reconcile.closing import close_statement
    from issuance.reconcile.partner_view import partner_statement

    settings = load_settings()
    found = partner_statement(settings, cohort_id, partner_id) if partner_id else close_statement(settings, cohort_id)
    if as_json:
        emit(found.as_dict(), True)
    else:
        print_statement(found)
    sys.exit(0 if found.holds else 1)


@cohort.command()
@AS_JSON
def calendar(as_json: bool) -> None:
    """日历。 The days ahead: cohorts that open, working days, cards by factory."""
    from issuance.city.city import load_cities
    from issuance.dispatch.calendar import read_calendar

    days = read(read_calendar, load_cities(load_settings()))
    emit([vars(day) if as_json else _calendar_row(day) for day in days], as_json)


def _calendar_row(day: CalendarDay) -> dict[str, Any]:
    """A day as text."""
    working = {True: "工作日 / worked", False: "休 / off", None: "未公布 / not known"}[day.working]
    opens = [f"{o['cohort_id']} {o['cards']:,}{' 声明 / declared' if o['declared'] else ''}" for o in day.opens]
    load = [f"{factory} {cards:,}" for factory, cards in day.load.items()]
    return {
        "day": day.day,
        "working": working,
        "opens": ", ".join(opens) or None,
        "load": ", ".join(load) or None,
        "maintenance": ", ".join(day.maintenance) or None,
    }


@cohort.command()
@click.argument("cohort_id")
@click.option("--to", "opens_on", type=Day(), required=True, help="The new opening day.")
@REASON
def postpone(cohort_id: str, opens_on: date, reason: str) -> None:
    """改期。 Move the opening day of a cohort that has not opened, and the due dates of its cards."""
    from issuance.airflow.login import current_user
    from issuance.dispatch.rescheduling import postpone_cohort

    settings = load_settings()
    user = current_user(settings)
    moved = postpone_cohort(settings, cohort_id, opens_on, reason, user)
    click.echo(f"{user}: {cohort_id} 改于 {opens_on} 启动，{moved} 张卡的时限随之变动"
               f" / opens on {opens_on}; the due dates of {moved} cards moved")  # fmt: skip


@cohort.command()
@click.argument("cohort_id")
@REASON
def withdraw(cohort_id: str, reason: str) -> None:
    """撤销。 Withdraw a cohort that has not opened; its cards end as withdrawn."""
    from issuance.airflow.login import current_user
    from issuance.dispatch.rescheduling import withdraw_cohort

    settings = load_settings()
    user = current_user(settings)
    cards = withdraw_cohort(settings, cohort_id, reason, user)
    click.echo(f"{user}: {cohort_id} 已撤销，{cards} 张卡 / withdrawn, with {cards} cards")


@cohort.command()
@click.argument("cohort_ids", nargs=-1, metavar="[COHORT]...")
@click.option("--forecast", "only_forecast", is_flag=True, help="Show the forecast; change nothing.")
@click.option("--capacity", type=Pair(int), multiple=True, help="What if: FACTORY=CARDS per working day.")
@click.option("--maintenance", type=Pair(date), multiple=True, help="What if: FACTORY=DAY, a day without work.")
@click.option(
    "--opens", type=Pair(date, bare=True), multiple=True, help="What if: COHORT=DAY, or DAY for the only cohort."
)
@AS_JSON
def plan(
    cohort_ids: tuple[str, ...],
    only_forecast: bool,
    capacity: Sequence[tuple[str, int]],
    maintenance: Sequence[tuple[str, date]],
    opens: Sequence[tuple[str, date]],
    as_json: bool,
) -> None:
    """计划。 Plan the next wave of one cohort, which a second person releases; or forecast open and coming cohorts.

    With --forecast or any what-if nothing changes, and all open and coming cohorts count together.
    """
    from issuance.commands.forecast import assume

    if only_forecast or capacity or maintenance or opens:
        _show_forecast(cohort_ids, assume(cohort_ids, capacity, maintenance, opens), as_json)
    elif len(cohort_ids) == 1:
        _start_plan(cohort_ids[0], as_json)
    else:
        raise click.UsageError("请指定一个批次，或加 --forecast。 / give one cohort, or add --forecast.")


def _show_forecast(cohort_ids: Sequence[str], assumed: Assumptions, as_json: bool) -> None:
    from issuance.city.city import load_cities
    from issuance.commands.forecast import print_forecast
    from issuance.dispatch.forecast import forecast

    found = read(forecast, load_cities(load_settings()), cohort_ids, assumed)
    if as_json:
        emit(found.as_dict(), True)
    else:
        print_forecast(found)


def _start_plan(cohort_id: str, as_json: bool) -> None:
    from issuance.airflow.login import session
    from issuance.dispatch.plan import wave_to_plan

    settings = load_settings()
    user, airflow = session(settings)
    wave = read(wave_to_plan, cohort_id)
    run_id = airflow.start_run("card_dispatch", {"cohort_id": cohort_id, "wave": wave}, f"{cohort_id}.{wave}")
    if as_json:
        emit({"cohort_id": cohort_id, "wave": wave, "run_id": run_id, "user": user}, True)
        return
    click.echo(f"{user}: planning wave {wave} of {cohort_id}; another person releases it: "
               f"issuance cohort release {cohort_id} {wave}")  # fmt: skip


@cohort.command()
@click.argument("cohort_id")
@click.argument("wave", type=int)
@click.option("--refuse", "reason", help="Refuse the plan, with a reason.")
def release(cohort_id: str, wave: int, reason: str | None) -> None:
    """放行。 Release a planned wave (or refuse it); never by the person who submitted or planned it."""
    from issuance.airflow.login import session
    from issuance.dispatch.release import may_not_release

    if reason is not None and not reason.strip():
        raise Refused("REASON_MISSING", "拒绝放行须写明原因。 / a refusal needs a reason.")
    settings = load_settings()
    user, airflow = session(settings)
    if user in may_not_release(settings, cohort_id, wave):
        raise Refused("SAME_PERSON", f"{user} 已提交或编制该计划，须由他人放行。 / {user} submitted or planned it.")
    airflow.answer(
        "card_dispatch", f"{cohort_id}.{wave}", "wait_for_release", "Reject" if reason else "Approve", reason or ""
    )
    click.echo(f"{user}: {'refused' if reason else 'released'} wave {wave} of {cohort_id}")


@cohort.command()
@click.argument("cohort_id")
@NOTE
def reopen(cohort_id: str, note: str) -> None:
    """重新打开。 Open a closed cohort again; it then stays open until a person closes it."""
    from issuance.airflow.login import current_user
    from issuance.reconcile.reopening import reopen_cohort

    settings = load_settings()
    user = current_user(settings)
    revision = reopen_cohort(settings, cohort_id, user, note)
    click.echo(f"{user}: {cohort_id} 已重新打开（第 {revision} 版） / reopened, revision {revision}")


@cohort.command()
@click.argument("cohort_id")
@NOTE
def close(cohort_id: str, note: str) -> None:
    """结清。 Close a cohort that a person reopened, by the same rule as automatic closing."""
    from issuance.airflow.login import current_user
    from issuance.reconcile.reopening import close_cohort

    settings = load_settings()
    user = current_user(settings)
    revision = close_cohort(settings, cohort_id, user, note)
    click.echo(f"{user}: {cohort_id} 已结清（第 {revision} 版） / closed, revision {revision}")


COMMANDS = (cohort,)
