"""`issuance cohort`: planned ahead, planned, forecast, released, proved."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import click

from issuance.client.session import desk
from issuance.commands.output import emit, tell
from issuance.commands.values import AS_JSON, DRY_RUN, NOTE, REASON, Day, Pair


@click.group()
def cohort() -> None:
    """批次。 Cohorts: list, show, calendar, postpone, withdraw, continue, refuse, plan, release, statement, reopen."""


@cohort.command(name="list")
@AS_JSON
def list_cohorts(as_json: bool) -> None:
    """Every cohort, its state and counts."""
    emit(desk().get("cohorts"), as_json)


@cohort.command()
@click.argument("cohort_id")
@AS_JSON
def show(cohort_id: str, as_json: bool) -> None:
    """One cohort: submissions, states, changes; its waves with jobs, finishing days and cards that will breach."""
    found = desk().get(f"cohorts/{cohort_id}")
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
    emit(desk().get(f"cohorts/{cohort_id}/ages"), as_json)


@cohort.command()
@click.argument("cohort_id", required=False)
@click.option("--within", default=7, show_default=True, type=click.IntRange(0, 366), help="Calendar days from today.")
@click.option("--cards", "single", is_flag=True, help="Every card, job and hand-over separately.")
@AS_JSON
def due(cohort_id: str | None, within: int, single: bool, as_json: bool) -> None:
    """即将超期。 What will breach within some days, or has breached: what has to happen by when, and who is awaited."""
    emit(desk().get("due", cohort_id=cohort_id, within=within, single=single), as_json)


def _wave_row(wave: dict[str, Any]) -> dict[str, Any]:
    """A wave as text: its forecast and its state."""
    forecast = wave["forecast"]
    return {
        "wave": wave["wave"],
        "plastics": wave["plastics"],
        "jobs": forecast.get("jobs"),
        "finish_on": max(filter(None, forecast.get("finish", {}).values()), default=None),
        "late_cards": forecast.get("late_cards"),
        "planned": f"{wave['planned_by']} {wave['planned_on'] or ''}".strip(),
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

    found = desk().get(f"cohorts/{cohort_id}/statement", partner=partner_id)
    holds = found.pop("holds")
    if as_json:
        emit(found, True)
    else:
        print_statement(found)
    sys.exit(0 if holds else 1)


@cohort.command()
@AS_JSON
def calendar(as_json: bool) -> None:
    """日历。 The days ahead: cohorts that open, working days, cards by factory."""
    days = desk().get("calendar")
    emit(days if as_json else [_calendar_row(day) for day in days], as_json)


def _calendar_row(day: Mapping[str, Any]) -> dict[str, Any]:
    """A day as text."""
    working = {True: "工作日 / worked", False: "休 / off", None: "未公布 / not known"}[day["working"]]
    opens = [f"{o['cohort_id']} {o['cards']:,}{' 声明 / declared' if o['declared'] else ''}" for o in day["opens"]]
    load = [f"{factory} {cards:,}" for factory, cards in day["load"].items()]
    return {
        "day": day["day"],
        "working": working,
        "opens": ", ".join(opens) or None,
        "load": ", ".join(load) or None,
        "maintenance": ", ".join(day["maintenance"]) or None,
    }


@cohort.command()
@click.argument("cohort_id")
@click.option("--to", "opens_on", type=Day(), required=True, help="The new opening day.")
@REASON
@DRY_RUN
def postpone(cohort_id: str, opens_on: date, reason: str, dry_run: bool) -> None:
    """改期。 Move the opening day of a cohort that has not opened, and the due dates of its cards."""
    body = {"opens_on": str(opens_on), "reason": reason}
    done = desk().act(f"cohorts/{cohort_id}/postpone", body, dry_run=dry_run)
    tell(f"{cohort_id} 改于 {opens_on} 启动，{done['cards']} 张卡的时限随之变动"
         f" / opens on {opens_on}; the due dates of {done['cards']} cards moved", dry_run)  # fmt: skip


@cohort.command()
@click.argument("cohort_id")
@REASON
@DRY_RUN
def withdraw(cohort_id: str, reason: str, dry_run: bool) -> None:
    """撤销。 Withdraw a cohort that has not opened; its cards end as withdrawn."""
    done = desk().act(f"cohorts/{cohort_id}/withdraw", {"reason": reason}, dry_run=dry_run)
    tell(f"{cohort_id} 已撤销，{done['cards']} 张卡 / withdrawn, with {done['cards']} cards", dry_run)


@cohort.command(name="continue")
@click.argument("cohort_id")
@click.argument("submission", type=int, default=0)
@DRY_RUN
def go_on(cohort_id: str, submission: int, dry_run: bool) -> None:
    """继续受理。 Go on with a submission past the warning threshold; never by its submitter."""
    done = desk().act(f"cohorts/{cohort_id}/submissions/{submission}/continue", dry_run=dry_run)
    tell(f"{cohort_id}.{submission}: {done['state']}", dry_run)


@cohort.command()
@click.argument("cohort_id")
@click.argument("submission", type=int, default=0)
@REASON
@DRY_RUN
def refuse(cohort_id: str, submission: int, reason: str, dry_run: bool) -> None:
    """退回。 Refuse a submission past the warning threshold."""
    path = f"cohorts/{cohort_id}/submissions/{submission}/refuse"
    done = desk().act(path, {"reason": reason}, dry_run=dry_run)
    tell(f"{cohort_id}.{submission}: {done['state']}", dry_run)


@cohort.command()
@click.argument("cohort_ids", nargs=-1, metavar="[COHORT]...")
@click.option("--forecast", "only_forecast", is_flag=True, help="Show the forecast; change nothing.")
@click.option("--capacity", type=Pair(int), multiple=True, help="What if: FACTORY=CARDS per working day.")
@click.option("--maintenance", type=Pair(date), multiple=True, help="What if: FACTORY=DAY, a day without work.")
@click.option(
    "--opens", type=Pair(date, bare=True), multiple=True, help="What if: COHORT=DAY, or DAY for the only cohort."
)
@DRY_RUN
@AS_JSON
def plan(
    cohort_ids: tuple[str, ...],
    only_forecast: bool,
    capacity: Sequence[tuple[str, int]],
    maintenance: Sequence[tuple[str, date]],
    opens: Sequence[tuple[str, date]],
    dry_run: bool,
    as_json: bool,
) -> None:
    """计划。 Plan the next wave of one cohort, which a second person releases; or forecast open and coming cohorts.

    With --forecast or any what-if nothing changes, and all open and coming cohorts count together.
    """
    from issuance.commands.forecast import assume, print_forecast

    if only_forecast or capacity or maintenance or opens:
        assumed = assume(cohort_ids, capacity, maintenance, opens)
        found = desk().get("forecast", assumed=json.dumps(assumed, default=str))
        if as_json:
            emit(found, True)
        else:
            print_forecast(found)
    elif len(cohort_ids) == 1:
        _plan(cohort_ids[0], dry_run, as_json)
    else:
        raise click.UsageError("请指定一个批次，或加 --forecast。 / give one cohort, or add --forecast.")


def _plan(cohort_id: str, dry_run: bool, as_json: bool) -> None:
    done = desk().act(f"cohorts/{cohort_id}/plan", dry_run=dry_run)
    if as_json:
        emit(done, True)
        return
    wave = done["wave"]
    tell(f"编制 {cohort_id} 第 {wave} 制卡批，由他人放行 / wave {wave} is being planned; another person releases it:"
         f" issuance cohort release {cohort_id} {wave}", dry_run)  # fmt: skip


@cohort.command()
@click.argument("cohort_id")
@click.argument("wave", type=int)
@click.option("--refuse", "reason", help="Refuse the plan, with a reason.")
@DRY_RUN
def release(cohort_id: str, wave: int, reason: str | None, dry_run: bool) -> None:
    """放行。 Release a planned wave (or refuse it); never by the person who submitted or planned it."""
    path = f"cohorts/{cohort_id}/waves/{wave}"
    if reason is not None:
        desk().act(f"{path}/refuse", {"reason": reason}, dry_run=dry_run)
    else:
        desk().act(f"{path}/release", dry_run=dry_run)
    tell(f"{'已放行 / released' if reason is None else '已拒绝 / refused'}: {cohort_id}.{wave}", dry_run)


@cohort.command()
@click.argument("cohort_id")
@NOTE
@DRY_RUN
def reopen(cohort_id: str, note: str, dry_run: bool) -> None:
    """重新打开。 Open a closed cohort again; it then stays open until a person closes it."""
    done = desk().act(f"cohorts/{cohort_id}/reopen", {"note": note}, dry_run=dry_run)
    tell(f"{cohort_id} 已重新打开（第 {done['revision']} 版） / reopened, revision {done['revision']}", dry_run)


@cohort.command()
@click.argument("cohort_id")
@NOTE
@DRY_RUN
def close(cohort_id: str, note: str, dry_run: bool) -> None:
    """结清。 Close a cohort that a person reopened, by the same rule as automatic closing."""
    done = desk().act(f"cohorts/{cohort_id}/close", {"note": note}, dry_run=dry_run)
    tell(f"{cohort_id} 已结清（第 {done['revision']} 版） / closed, revision {done['revision']}", dry_run)


COMMANDS = (cohort,)
