"""Cohorts at the desk: seen, planned, released, moved, closed."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from issuance.city.city import load_cities, served_city
from issuance.desk.door import Act
from issuance.desk.routing import acts, reads
from issuance.desk.scopes import COHORT, OWN
from issuance.dispatch.calendar import read_calendar
from issuance.dispatch.demands import Assumptions
from issuance.dispatch.forecast import forecast as make_forecast
from issuance.dispatch.plan import wave_to_plan
from issuance.dispatch.release import describe_wave, refuse_wave, release_wave, wave_state
from issuance.dispatch.rescheduling import postpone_cohort, withdraw_cohort
from issuance.dispatch.wanted import want_wave
from issuance.intake.data_docs import with_links
from issuance.ledger import queries
from issuance.reconcile.closing import close_statement
from issuance.reconcile.partner_view import partner_statement
from issuance.reconcile.reopening import close_cohort, reopen_cohort
from issuance.tracking.ages import coming_due, stage_ages, summed
from issuance.words.lifecycle import CARD_STATES

router = APIRouter(tags=["批次 / cohorts"])
DAY = Field(description="YYYY-MM-DD")


class Reason(BaseModel):
    """Why; kept in the audit."""

    reason: str = Field(max_length=1000)


class Note(BaseModel):
    """What is known; kept in the audit."""

    note: str = Field(max_length=1000)


class Postponement(Reason):
    """A new opening day, and why."""

    opens_on: date = DAY


class WhatIf(BaseModel):
    """Assumptions of a forecast: cards a working day by factory, days without work, opening days by cohort."""

    cohorts: list[str] = []
    capacity: dict[str, int] = {}
    maintenance: dict[str, list[date]] = {}
    opens: dict[str, date] = {}


@reads(router, "/cohorts", "view", OWN)
def list_cohorts(act: Act) -> Any:
    """批次。 Every cohort of the user's cities, its state and counts."""
    return act.seen(queries.list_cohorts(act.connection))


@reads(router, "/cohorts/{cohort_id}", "view", COHORT)
def show_cohort(act: Act, cohort_id: str) -> Any:
    """One cohort: submissions, states, changes, waves."""
    return with_links(act.settings, queries.show_cohort(act.connection, cohort_id))


@reads(router, "/cohorts/{cohort_id}/ages", "view", COHORT)
def ages(act: Act, cohort_id: str) -> Any:
    """时效。 How long its cards have stood in each state, in calendar and in working days."""
    found = stage_ages(act.connection, cohort_id, act.day)
    return [{"state": age.state, "状态": CARD_STATES[age.state].zh} | age._asdict() for age in found]


@reads(router, "/due", "view", OWN)
def due(act: Act, cohort_id: str | None = None, within: int = 7, single: bool = False) -> Any:
    """即将超期。 What will breach within some days, or has breached, and who is awaited."""
    city = served_city(act.settings)
    act.require([city.code])
    found = coming_due(act.connection, city, act.day, min(max(within, 0), 366), cohort_id)
    return found if single else summed(found)


@reads(router, "/cohorts/{cohort_id}/statement", "view", COHORT)
def statement(act: Act, cohort_id: str, partner: str | None = None) -> Any:
    """结清单。 The closing statement, or a partner's part of it; `holds` says whether every equation does."""
    if partner:
        part = partner_statement(act.settings, cohort_id, partner)
        return part.as_dict() | {"holds": part.holds}
    whole = close_statement(act.settings, cohort_id)
    return whole.as_dict() | {"holds": whole.holds}


@reads(router, "/calendar", "view", OWN)
def calendar(act: Act) -> Any:
    """日历。 The days ahead: cohorts that open, working days, cards by factory."""
    mine = act.cohorts()
    days = read_calendar(act.connection, load_cities(act.settings))
    return [{**vars(day), "opens": [one for one in day.opens if one["cohort_id"] in mine]} for day in days]


@reads(router, "/forecast", "view", OWN)
def forecast(act: Act, assumed: str = "{}") -> Any:
    """预测。 When what is planned and to be planned will be made; `assumed`: WhatIf as JSON. Nothing is changed."""
    what_if = WhatIf.model_validate_json(assumed)
    seen = act.cohorts()
    if act.cities is not None and not set(what_if.cohorts) <= seen:
        act.require(["*"])
    maintenance = {name: frozenset(days) for name, days in what_if.maintenance.items()}
    assumptions = Assumptions(what_if.capacity, maintenance, what_if.opens)
    wanted = what_if.cohorts or ([] if act.cities is None else sorted(seen))
    return make_forecast(act.connection, load_cities(act.settings), wanted, assumptions).as_dict()


@acts(router, "/cohorts/{cohort_id}/postpone", "plan", COHORT)
def postpone(act: Act, cohort_id: str, body: Postponement) -> Any:
    """改期。 Move the opening day of a cohort that has not opened, and the due dates of its cards."""
    moved = postpone_cohort(act.settings, cohort_id, body.opens_on, body.reason, act.by)
    return {"cohort_id": cohort_id, "opens_on": body.opens_on, "cards": moved}


@acts(router, "/cohorts/{cohort_id}/withdraw", "plan", COHORT)
def withdraw(act: Act, cohort_id: str, body: Reason) -> Any:
    """撤销。 Withdraw a cohort that has not opened; its cards end as withdrawn."""
    cards = withdraw_cohort(act.settings, cohort_id, body.reason, act.by)
    return {"cohort_id": cohort_id, "cards": cards}


@acts(router, "/cohorts/{cohort_id}/plan", "plan", COHORT)
def plan(act: Act, cohort_id: str) -> Any:
    """计划。 Have the next wave planned; a second person releases it."""
    wave = wave_to_plan(act.connection, cohort_id)
    planner = want_wave(act.connection, cohort_id, wave, act.by)
    act.wake("card_dispatch", cohort_id, wave)
    return {"cohort_id": cohort_id, "wave": wave, "run_id": f"{cohort_id}.{wave}", "user": act.user.name,
            "planned_by": planner}  # fmt: skip


@reads(router, "/cohorts/{cohort_id}/waves/{wave}", "view", COHORT)
def show_wave(act: Act, cohort_id: str, wave: int) -> Any:
    """一个制卡批。 A wave: its state, and what a releaser should know."""
    return {"cohort_id": cohort_id, "wave": wave, "state": wave_state(act.settings, cohort_id, wave),
            "summary": describe_wave(act.settings, cohort_id, wave)}  # fmt: skip


@acts(router, "/cohorts/{cohort_id}/waves/{wave}/release", "release", COHORT)
def release(act: Act, cohort_id: str, wave: int) -> Any:
    """放行。 Release a planned wave; never by who submitted or planned it."""
    release_wave(act.settings, cohort_id, wave, act.by)
    act.wake("card_dispatch", cohort_id, wave)
    return {"cohort_id": cohort_id, "wave": wave, "state": "released"}


@acts(router, "/cohorts/{cohort_id}/waves/{wave}/refuse", "release", COHORT)
def refuse(act: Act, cohort_id: str, wave: int, body: Reason) -> Any:
    """拒绝放行。 Refuse a plan: its cards wait again."""
    refuse_wave(act.settings, cohort_id, wave, act.by, body.reason)
    act.wake("card_dispatch", cohort_id, wave)
    return {"cohort_id": cohort_id, "wave": wave, "state": "refused"}


@acts(router, "/cohorts/{cohort_id}/reopen", "resolve", COHORT)
def reopen(act: Act, cohort_id: str, body: Note) -> Any:
    """重新打开。 Open a closed cohort again; it then stays open until a person closes it."""
    return {"cohort_id": cohort_id, "revision": reopen_cohort(act.settings, cohort_id, act.by, body.note)}


@acts(router, "/cohorts/{cohort_id}/close", "resolve", COHORT)
def close(act: Act, cohort_id: str, body: Note) -> Any:
    """结清。 Close a cohort that a person reopened, by the same rule as automatic closing."""
    return {"cohort_id": cohort_id, "revision": close_cohort(act.settings, cohort_id, act.by, body.note)}
