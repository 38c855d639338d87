"""Checking a partner's report: structure first (the whole message), then each item; pure functions.

A refusal is a value: a code of codes.REFUSAL_CODES. What only the ledger knows (whether the plastic exists and
the partner has its relation to it) is checked set-based in tracking.merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from issuance.tracking.marks import CONTENT_FIELDS, mark_of
from issuance.tracking.post import milestone_of, s10_contradicts
from issuance.words.lifecycle import ACTIONS, MAIL_CODES, MILESTONES, REASONS, ROLES, Milestone
from issuance.words.references import hand_over_id, hash_total, mail_item_id

Json = Mapping[str, Any]
MOST_ITEMS = 1000
"""Items in a message (contract: CardReport)."""

RECEIPT = ("card_count", "hash_total", "sha256")
"""A factory's receipt for a job file; tracking.merge checks it against the job."""


PERSONAL = re.compile(r".*[^\x20-\x7e].*|[0-9]{17}[0-9Xx]|[0-9]{15}|1[3-9][0-9]{9}", re.DOTALL)
"""A name, an ID number or a phone number: actors are named by the partner's own reference instead."""


class StagedFact(NamedTuple):
    """One item as a row of the table `staged`; `report` is the report's position in its batch."""

    report: int
    item: int
    partner: str
    relation: str
    subject: str
    job_id: str | None
    card_ref: UUID | None
    attempt: int | None
    consignment_id: str | None
    milestone: str
    mark: str
    corrects: bool


class ItemRefusal(NamedTuple):
    """An item that no later message can make valid: the report's position in its batch, the item's, the code."""

    report: int
    item: int
    code: str


@dataclass(frozen=True)
class Reporter:
    """The reporting partner: id and kind."""

    id: str
    kind: str


def check_structure(report: Json, reporter: Reporter) -> str | None:
    """The code for which the whole report is refused, or None."""
    items = report["items"]
    if report["partner"] != reporter.id:
        return "NOT_YOURS"
    if not items:
        return "EMPTY"
    if report["declared_count"] != len(items):
        return "COUNT_DIFFERS"
    if len(items) > MOST_ITEMS:
        return "TOO_MANY"
    if report["kind"] == "UNKNOWN":
        return "UNDECODABLE"
    if report["kind"] == "JOB" and (len(items) != 1 or items[0]["card_ref"] is not None):
        return "JOB_INVALID"
    if report["kind"] != "JOB" and report["hash_total"] is not None and not _hash_agrees(report):
        return "HASH_DIFFERS"
    return None


def _hash_agrees(report: Json) -> bool:
    try:
        listed = hash_total([item["card_ref"] for item in report["items"] if item["card_ref"]])
    except ValueError:
        return False
    return listed == str(report["hash_total"])


def check_items(
    report: Json, position: int, reporter: Reporter, now: datetime
) -> tuple[list[StagedFact], list[ItemRefusal]]:
    """The items of a sound report as facts, and the refused ones; `now` is business time."""
    facts: list[StagedFact] = []
    refused: list[ItemRefusal] = []
    for number, item in enumerate(report["items"]):
        milestone = MILESTONES.get(milestone_of(item["milestone"], item["code"]))
        code = "MILESTONE_UNKNOWN" if milestone is None else _refuse_item(report, item, milestone, reporter, now)
        if milestone is None or code:
            refused.append(ItemRefusal(position, number, code or "MILESTONE_UNKNOWN"))
        else:
            facts.append(_fact(report, item, milestone, position, number, reporter))
    return facts, refused


def _refuse_item(report: Json, item: Json, milestone: Milestone, reporter: Reporter, now: datetime) -> str | None:
    if reporter.kind not in milestone.reporters:
        return "NOT_AUTHORISED"
    if milestone.subject == "job" and item["corrects"]:
        return "NOT_CORRECTABLE"
    if item["occurred_at"] > now:
        return "IN_FUTURE"
    if not item["corrects"] and any(not _given(report, item, name) for name in milestone.needs):
        return "FIELD_MISSING"
    if not item["corrects"] and _witnesses(item) < milestone.witnesses:
        return "FIELD_MISSING"
    if not _subject_named(report, item, milestone):
        return "FIELD_MISSING"
    if item["reason"] is not None and item["reason"] not in REASONS:
        return "REASON_UNKNOWN"
    if item["action"] is not None and item["action"] not in ACTIONS:
        return "REASON_UNKNOWN"
    if any(actor["role"] not in ROLES for actor in item["actors"]):
        return "ROLE_UNKNOWN"
    if any(PERSONAL.fullmatch(actor["reference"]) for actor in item["actors"]):
        return "FIELD_INVALID"
    return None if _post_agrees(item, milestone) else "FIELD_INVALID"


def _post_agrees(item: Json, milestone: Milestone) -> bool:
    """Whether S10 numbers have a correct check digit, and the carrier's own code, if known, matches the milestone."""
    if any(s10_contradicts(item[name] or "") for name in ("tracking_no", "return_tracking_no")):
        return False
    return milestone.subject != "mail" or MAIL_CODES.get(item["code"] or "", milestone.name) == milestone.name


def _given(report: Json, item: Json, name: str) -> bool:
    if name == "consignment":
        return bool(report["handover_id"] or item["tracking_no"])
    return bool(item[name] if name in item else report[name])


def _witnesses(item: Json) -> int:
    witnesses = (actor for actor in item["actors"] if actor["role"] == "WITNESS")
    return len({actor["reference"] for actor in witnesses})


def _subject_named(report: Json, item: Json, milestone: Milestone) -> bool:
    match milestone.subject:
        case "job":
            return bool(report["job_id"])
        case "mail":
            return bool(item["tracking_no"])
        case "plastic_in_consignment":
            named = report["handover_id"] or (item["tracking_no"] and report["to_place"])
            return bool(named) and _plastic_named(item)
        case "plastic":
            return _plastic_named(item)


def _plastic_named(item: Json) -> bool:
    if item["card_ref"] is None or item["attempt"] is None or not 0 <= item["attempt"] < 1000:
        return False
    try:
        UUID(item["card_ref"])
    except ValueError:
        return False
    return True


def _fact(report: Json, item: Json, milestone: Milestone, position: int, number: int, reporter: Reporter) -> StagedFact:
    content = {name: item[name] for name in CONTENT_FIELDS}
    if milestone.subject == "plastic_in_consignment":
        content |= {"handover_count": report["handover_count"], "to_place": report["to_place"]}
    if milestone.name == "JOB_RECEIVED":
        content |= {name: report[name] for name in RECEIPT}
    about_plastic = milestone.subject in ("plastic", "plastic_in_consignment")
    return StagedFact(
        position,
        number,
        reporter.id,
        milestone.reporters[reporter.kind],
        milestone.subject,
        report["job_id"] if milestone.subject == "job" else None,
        UUID(item["card_ref"]) if about_plastic else None,
        item["attempt"] if about_plastic else None,
        _consignment_id(report, item, milestone, reporter),
        milestone.name,
        mark_of(item["occurred_at"], item["reason"], content),
        item["corrects"],
    )


def _consignment_id(report: Json, item: Json, milestone: Milestone, reporter: Reporter) -> str | None:
    if milestone.subject == "mail":
        return mail_item_id(reporter.id, item["tracking_no"])
    if milestone.subject != "plastic_in_consignment":
        return None
    if report["handover_id"]:
        return hand_over_id(report["handover_id"])
    return mail_item_id(report["to_place"], item["tracking_no"])
