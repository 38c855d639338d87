"""Cards, jobs and breaks at the desk: seen, found, re-made, explained; holder events told."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from issuance.breaks.listing import Wanted
from issuance.breaks.listing import list_breaks as listed_breaks
from issuance.breaks.resolve import assign_break, resolve_break
from issuance.city.city import load_cities
from issuance.city.partners import load_registry
from issuance.desk.door import Act
from issuance.desk.routes_cohorts import Note, Reason
from issuance.desk.routing import acts, reads
from issuance.desk.scopes import BRAKE, BREAK, CARD, EVENT, JOB, OWN
from issuance.dispatch.job_acts import reassign_job, resend_job
from issuance.dispatch.jobs import list_jobs as listed_jobs
from issuance.ledger import queries
from issuance.reconcile.evidence import show_break as shown_break
from issuance.retention.contact import unmask_phone
from issuance.tracking.brakes import decide_brake, list_brakes
from issuance.tracking.by_hand import remake_card
from issuance.tracking.told import Telling, confirm_event, drop_event, list_told, tell_event
from issuance.tracking.waiving import list_requests, waive_request
from issuance.tracking.why import explain_card
from issuance.vault.objects import ObjectStore

router = APIRouter(tags=["卡与差异 / cards and breaks"])


@reads(router, "/cards", "view", OWN)
def find(act: Act, words: str) -> Any:
    """查卡。 Cards by application id, tracking number, hand-over id, job id or serial number; never by an ID number."""
    return act.seen(queries.find_cards(act.connection, words))


@reads(router, "/cards/{card_ref}", "view", CARD)
def show_card(act: Act, card_ref: str) -> Any:
    """One card's whole life: facts, decisions, breaks."""
    return queries.show_card(act.connection, card_ref)


@reads(router, "/cards/{card_ref}/why", "view", CARD)
def why(act: Act, card_ref: str) -> Any:
    """原因。 Which rules hold for a card now, and why; nothing is changed."""
    return explain_card(act.connection, load_cities(act.settings), card_ref)


class Remake(Note):
    """Why a plastic is made again: LOST_IN_HANDOVER or DAMAGED."""

    reason: str


@acts(router, "/cards/{card_ref}/remake", "resolve", CARD)
def remake(act: Act, card_ref: str, body: Remake) -> Any:
    """补制。 Have a card re-made whose plastic was lost or damaged before collection."""
    attempt = remake_card(act.connection, card_ref, body.reason, body.note, act.by, act.day)
    return {"card_ref": card_ref, "attempt": attempt}


@acts(router, "/cards/{card_ref}/phone", "unmask", CARD, kept=False)
def phone(act: Act, card_ref: str, body: Reason) -> Any:
    """查看电话。 A holder's phone number in clear, with the reason; each time is a line of the audit."""
    return {"card_ref": card_ref, "phone": unmask_phone(act.connection, act.settings, card_ref, body.reason, act.by)}


class Told(BaseModel):
    """A holder event, its day, the paper that shows it, and new values {column: text}; of ANNULLED the earlier event
    that did not happen, as SOURCE/EVENT_ID."""

    event: str
    occurred_on: date
    paper: str = Field(max_length=500)
    values: dict[str, str] = {}
    annuls: str | None = Field(None, max_length=200)


@acts(router, "/cards/{card_ref}/events", "tell", CARD)
def tell(act: Act, card_ref: str, body: Told) -> Any:
    """登记事项。 Tell a holder event with its paper; a death or withdrawal acts later, or when another confirms."""
    telling = Telling(body.event, body.occurred_on, body.paper, body.values, body.annuls)
    return tell_event(act.connection, act.settings, card_ref, telling, act.by)


@reads(router, "/events", "view", OWN)
def told_events(act: Act) -> Any:
    """已登记事项。 Told events, those that wait first."""
    return act.seen(list_told(act.connection))


@acts(router, "/events/{event_no}/confirm", "tell", EVENT)
def confirm(act: Act, event_no: int) -> Any:
    """确认。 As a second user confirm a told event, which then acts at once."""
    return confirm_event(act.connection, act.settings, event_no, act.by)


@acts(router, "/events/{event_no}/drop", "tell", EVENT)
def drop(act: Act, event_no: int, body: Note) -> Any:
    """撤回登记。 Take back a told event that has not acted yet."""
    return drop_event(act.connection, event_no, body.note, act.by)


class Waiver(Note):
    """Which request is waived, and why."""

    request: str


@reads(router, "/requests", "view", OWN)
def list_open_requests(act: Act, cohort_id: str | None = None, partner: str | None = None) -> Any:
    """待回应的请求。 What partners were asked and have not answered."""
    return act.seen(list_requests(act.connection, cohort_id, partner))


@acts(router, "/cards/{card_ref}/plastics/{attempt}/waive", "resolve", CARD)
def waive(act: Act, card_ref: str, attempt: int, body: Waiver) -> Any:
    """豁免请求。 Waive a request that nobody will answer; later steps of a cancel order are void, the card ends so."""
    return waive_request(act.connection, card_ref, attempt, body.request, body.note, act.by)


@reads(router, "/brakes", "view", OWN)
def brakes(act: Act) -> Any:
    """刹车。 What fell due in numbers past the policy's share, those first that wait for a person."""
    return act.seen(list_brakes(act.connection))


class BrakeDecision(Note):
    """Whether what the brake holds goes on, and why."""

    goes_on: bool


@acts(router, "/brakes/{brake_no}/decide", "resolve", BRAKE)
def decide(act: Act, brake_no: int, body: BrakeDecision) -> Any:
    """决定刹车。 Let go on what a brake holds, or keep it for this day; it is asked again on the next one."""
    return decide_brake(act.connection, brake_no, body.goes_on, body.note, act.by)


@reads(router, "/jobs", "view", OWN)
def list_jobs(act: Act, cohort_id: str | None = None) -> Any:
    """制卡任务。 Jobs and their state."""
    return act.seen(listed_jobs(act.connection, cohort_id))


@acts(router, "/jobs/{job_id}/resend", "plan", JOB)
def resend(act: Act, job_id: str) -> Any:
    """重发任务。 Resend a job's order: the same file, while the factory has not answered."""
    resend_job(act.connection, ObjectStore.of(act.settings), job_id, act.by)
    return {"job_id": job_id, "resent": True}


class Reassignment(Reason):
    """Why, and to which factory; by default the bank's backup."""

    to: str | None = None


@acts(router, "/jobs/{job_id}/reassign", "plan", JOB)
def reassign(act: Act, job_id: str, body: Reassignment) -> Any:
    """改派。 Cancel a job and plan what is not made yet at another factory; a second person releases it."""
    registry = load_registry(act.settings.partners_file)
    cohort_id, wave = reassign_job(act.connection, registry, job_id, body.to, body.reason, act.by)
    act.wake("card_dispatch", cohort_id, wave)
    return {"job_id": job_id, "cohort_id": cohort_id, "wave": wave}


@reads(router, "/breaks", "view", OWN)
def list_breaks(
    act: Act,
    cohort_id: str | None = None,
    kind: str | None = None,
    owner: str | None = None,
    severity: str | None = None,
    everything: bool = False,
) -> Any:
    """差异。 Differences, the oldest first: how severe, how old, whose, and what to do next."""
    return act.seen(listed_breaks(act.connection, Wanted(cohort_id, kind, owner, severity, everything)))


@reads(router, "/breaks/{break_id}", "view", BREAK)
def show_break(act: Act, break_id: str) -> Any:
    """One difference: the evidence from both sides, and what happened to it."""
    return shown_break(act.connection, break_id)


class Owner(BaseModel):
    """Who looks after it."""

    owner: str = Field(min_length=1, max_length=100)


@acts(router, "/breaks/{break_id}/assign", "resolve", BREAK)
def assign(act: Act, break_id: str, body: Owner) -> Any:
    """指派。 Assign an owner to a break."""
    assign_break(act.connection, break_id, act.by, body.owner, act.day)
    return {"break_id": break_id, "owner": body.owner}


@acts(router, "/breaks/{break_id}/resolve", "resolve", BREAK)
def resolve(act: Act, break_id: str, body: Note) -> Any:
    """说明。 Explain a break and close it."""
    resolve_break(act.connection, break_id, act.by, body.note, act.day)
    return {"break_id": break_id, "resolved": True}
