"""Checking a partner's report: structure first (the whole message), then each item; pure functions.

A refusal is a value: a code of codes.REFUSAL_CODES. What only the ledger knows (whether the plastic exists and
the partner has its relation to it) is checked set-based in tracking.merge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from issuance.tracking.marks import CONTENT_FIELDS, mark_end
from issuance.tracking.post import milestone_of, s10_contradicts
from issuance.wire.bounds import ahead, head_refusal, invalid_items, judge_time, seconds_ahead, since
from issuance.words.lifecycle import ACTIONS, MAIL_CODES, MILESTONES, REASONS, ROLES, Milestone, Subject
from issuance.words.references import hand_over_id, hash_total, mail_item_id

Json = Mapping[str, Any]
RECORD = "card_report"
MOST_ITEMS = 1000
"""Items in a message (contract: CardReport)."""

RECEIPT = ("card_count", "hash_total", "sha256")
"""A factory's receipt for a job file; tracking.merge checks it against the job."""


class Kind(NamedTuple):
    """What alike facts of one report have in common; `report` is the report's position in its batch."""

    report: int
    partner: str
    relation: str
    subject: Subject
    job_id: str | None
    attempt: int | None
    consignment_id: str | None
    milestone: str
    corrects: bool


class StagedFact(NamedTuple):
    """One item as a row of the table `staged`; `item` is its position in its report."""

    kind: Kind
    item: int
    card_ref: bytes | None
    """Its 16 bytes, however it is written."""
    mark: str


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


def check_structure(report: Json, reporter: Reporter, now: int) -> str | None:
    """The code for which the whole report is refused, or None; `now` is business time in UTC milliseconds."""
    items = report["items"]
    if report["partner"] != reporter.id:
        return "NOT_YOURS"
    if not items:
        return "EMPTY"
    if len(items) > MOST_ITEMS:
        return "TOO_MANY"
    if report["declared_count"] != len(items):
        return "COUNT_DIFFERS"
    if code := head_refusal(RECORD, report, now):
        return code
    if report["kind"] == "UNKNOWN":
        return "UNDECODABLE"
    if report["kind"] == "JOB" and (len(items) != 1 or items[0]["card_ref"] is not None):
        return "JOB_INVALID"
    if report["kind"] != "JOB" and report["hash_total"] is not None and not _hash_agrees(report):
        return "HASH_DIFFERS"
    return "TIME_AHEAD" if seconds_ahead(instants(report), now) else None


def instants(report: Json) -> Iterator[int]:
    """When the facts of a report happened, in UTC milliseconds."""
    return (item["occurred_at"] for item in report["items"])


def _hash_agrees(report: Json) -> bool:
    try:
        listed = hash_total([item["card_ref"] for item in report["items"] if item["card_ref"]])
    except ValueError:
        return False
    return listed == str(report["hash_total"])


def check_items(
    report: Json, position: int, reporter: Reporter, now: int
) -> tuple[list[StagedFact], list[ItemRefusal]]:
    """The items of a sound report as facts, and the refused ones; `now` is business time in UTC milliseconds."""
    return _Items(report, position, reporter, now).check()


_alike = itemgetter(
    *("milestone", "code", "corrects", "reason", "action", "place", "tracking_no", "return_tracking_no", "attempt")
)
"""With the time's verdict and whether card and serial are named: all by which an item without actors is judged, and all
of its fact but card, time and serial."""


class _Items:
    """The items of one report. Most of a report's items are alike, so each kind of item is judged once."""

    def __init__(self, report: Json, position: int, reporter: Reporter, now: int) -> None:
        self._report, self._position, self._reporter, self._now = report, position, reporter, now
        self._since, self._taken = since("fact"), now + ahead()[0]
        self._judged: dict[Any, _Judged | str] = {}

    def check(self) -> tuple[list[StagedFact], list[ItemRefusal]]:
        """Facts and refused items."""
        facts: list[StagedFact] = []
        refused: list[ItemRefusal] = []
        items = self._report["items"]
        invalid = invalid_items(RECORD, items)
        for number, item in enumerate(items):
            judged = self._judge(item, number in invalid)
            if isinstance(judged, str):
                refused.append(ItemRefusal(self._position, number, judged))
            else:
                card_ref = bytes.fromhex(item["card_ref"].replace("-", "")) if judged.about_plastic else None
                facts.append(StagedFact(judged.kind, number, card_ref, judged.mark(item)))
        return facts, refused

    def _judge(self, item: Json, invalid: bool) -> _Judged | str:
        at = item["occurred_at"]
        untimely = None if self._since <= at <= self._taken else judge_time(at, self._now, self._since)
        if item["actors"]:
            return self._judge_one(item, invalid, untimely)
        alike = (invalid, untimely, item["card_ref"] is None, item["serial"] is None, _alike(item))
        judged = self._judged.get(alike)
        if judged is None:
            judged = self._judged[alike] = self._judge_one(item, invalid, untimely)
        return judged

    def _judge_one(self, item: Json, invalid: bool, untimely: str | None) -> _Judged | str:
        report, reporter = self._report, self._reporter
        milestone = MILESTONES.get(milestone_of(item["milestone"], item["code"]))
        if milestone is None:
            return "MILESTONE_UNKNOWN"
        code = "FIELD_INVALID" if invalid else _refuse_item(report, item, milestone, reporter, untimely)
        if code:
            return code
        about_plastic = milestone.subject in ("plastic", "plastic_in_consignment")
        kind = Kind(
            self._position,
            reporter.id,
            milestone.reporters[reporter.kind],
            milestone.subject,
            report["job_id"] if milestone.subject == "job" else None,
            item["attempt"] if about_plastic else None,
            _consignment_id(report, item, milestone, reporter),
            milestone.name,
            item["corrects"],
        )
        return _Judged(kind, about_plastic, *_mark_end(report, item, milestone))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the facts of alike items have in common, and the end of their marks before and behind the serial."""

    kind: Kind
    about_plastic: bool
    before: str
    behind: str

    def mark(self, item: Json) -> str:
        """The mark of one of these items."""
        serial = item["serial"]
        quoted = orjson.dumps(serial).decode() if serial else ""
        return f"{item['occurred_at']:013d}{self.before}{quoted}{self.behind}"


def _refuse_item(
    report: Json, item: Json, milestone: Milestone, reporter: Reporter, untimely: str | None
) -> str | None:
    if reporter.kind not in milestone.reporters:
        return "NOT_AUTHORISED"
    if milestone.subject == "job" and item["corrects"]:
        return "NOT_CORRECTABLE"
    if untimely:
        return untimely
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
    return item["card_ref"] is not None and item["attempt"] is not None


def _mark_end(report: Json, item: Json, milestone: Milestone) -> tuple[str, str]:
    """The end of an item's mark, before and behind its serial; no other value can be the one that stands for it."""
    content = {name: item[name] for name in CONTENT_FIELDS}
    if item["serial"]:
        content["serial"] = "\0"
    if milestone.subject == "plastic_in_consignment":
        content |= {"handover_count": report["handover_count"], "to_place": report["to_place"]}
    if milestone.name == "JOB_RECEIVED":
        content |= {name: report[name] for name in RECEIPT}
    before, _, behind = mark_end(item["reason"], content).partition('"\\u0000"')
    return before, behind


def _consignment_id(report: Json, item: Json, milestone: Milestone, reporter: Reporter) -> str | None:
    if milestone.subject == "mail":
        return mail_item_id(reporter.id, item["tracking_no"])
    if milestone.subject != "plastic_in_consignment":
        return None
    if report["handover_id"]:
        return hand_over_id(giver_of(report, milestone.name, reporter), report["handover_id"])
    return mail_item_id(report["to_place"], item["tracking_no"])


def giver_of(report: Json, milestone: str, reporter: Reporter) -> str:
    """Who gave a hand-over: the reporter, but for a receipt whom it names (stages.note_givers fills that in)."""
    return str(report["handover_giver"]) if milestone == "RECEIVED_AT_PLACE" else reporter.id
