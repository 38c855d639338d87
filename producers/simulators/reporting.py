"""From facts to card reports: grouped by envelope, numbered, and with the faults that happen on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from issuance.words.lifecycle import MILESTONES
from issuance.words.references import hand_over_id, hash_total, mail_item_id
from producers.simulators.choices import Choices
from producers.simulators.records import Entry, Envelope, Fact, Outgoing

ITEMS = 1000


class Sent(NamedTuple):
    """A day's reports: what goes out in order, what stays back until asked for, and the truth about all of them."""

    messages: list[Outgoing]
    truth: list[dict[str, Any]]


class Reporting:
    """Writes one partner's reports; stream `main`, sequences from 1 without gaps."""

    def __init__(self, partner: str, choices: Choices) -> None:
        self._partner = partner
        self._choices = choices
        self._written: list[Outgoing] = []
        self._today: tuple[date | None, int] = (None, 0)

    def write(self, day: date, entries: Sequence[Entry]) -> Sent:
        """The reports of a day's entries."""
        batches = [(envelope, batch) for envelope, batch in _batches(entries)]
        reports = [self._report(day, envelope, batch) for envelope, batch in batches]
        order, faults = self._faults(reports)
        dropped = [report for report in reports if "drop" in faults[report.key]]
        truth = [
            {"partner": self._partner, "happening": "gap", "subject": f"{self._partner}/main/{r.value['sequence']}"}
            for r in dropped
        ]
        truth += [
            line
            for report, (_, batch) in zip(reports, batches, strict=True)
            for number, entry in enumerate(batch)
            if (line := _truth(self._partner, entry, f"{report.key}#{number}", faults[report.key])) is not None
        ]
        return Sent(order, truth)

    def again(self, first: int, last: int) -> list[Outgoing]:
        """The reports of these sequences, once more."""
        return self._written[max(first - 1, 0) : last]

    def _report(self, day: date, envelope: Envelope, batch: Sequence[Entry]) -> Outgoing:
        number = self._today[1] + 1 if self._today[0] == day else 1
        self._today = (day, number)
        if number > 1 and self._choices.happens("reuse-id", day, number):
            number -= 1
        report_id = f"{self._partner}-{self._choices.tag}{day:%Y%m%d}-{number:04d}"
        items = [_item(entry) for entry in batch]
        refs = [item["card_ref"] for item in items if "card_ref" in item]
        value = {
            "report_id": report_id,
            "partner": "NOBODY" if self._choices.happens("impostor", report_id) else self._partner,
            "stream": self._choices.stream,
            "sequence": len(self._written)
            + 1
            + (len(self._written) > 2 and self._choices.happens("gap", self._partner)),
            "reported_at": self._choices.written_at(day),
            "kind": envelope.kind,
            "job_id": envelope.job_id,
            "handover_id": envelope.handover_id,
            "handover_giver": envelope.handover_giver,
            "handover_count": envelope.handover_count,
            "to_place": envelope.to_place,
            "declared_count": len(items),
            "card_count": envelope.card_count,
            "hash_total": hash_total(refs) if refs else envelope.hash_total,
            "sha256": envelope.sha256,
            "items": items,
        }
        report = Outgoing(
            self._partner, envelope.family, report_id, "card_report", value, f"{self._partner}/{report_id}"
        )
        self._written.append(report)
        return report

    def _faults(self, reports: Sequence[Outgoing]) -> tuple[list[Outgoing], dict[str, list[str]]]:
        """The reports in the order of sending, some swapped, repeated or kept back, and which of them are which."""
        order = list(reports)
        faults: dict[str, list[str]] = {report.key: [] for report in reports}
        for n in range(len(order) - 1):
            pair = order[n], order[n + 1]
            swapped = any(faults[report.key] for report in pair)
            if pair[0].family == pair[1].family and not swapped and self._choices.happens("reorder", pair[0].key):
                order[n : n + 2] = reversed(pair)
                for report in pair:
                    faults[report.key].append("reorder")
        for report in reports:
            first = report.value["items"][0].get("card_ref", report.key)
            if self._choices.happens("drop", first, report.key):
                order.remove(report)
                faults[report.key].append("drop")
            elif self._choices.happens("repeat", report.key):
                order.append(report)
                faults[report.key].append("repeat")
        return order, faults


def _batches(entries: Sequence[Entry]) -> Iterator[tuple[Envelope, list[Entry]]]:
    """Entries of one envelope together, 1,000 at most, a job's facts one by one; in the order of their first facts."""
    groups: defaultdict[tuple[Envelope, bool, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        own = entry.fact.milestone if entry.envelope.kind == "JOB" else ""
        groups[entry.envelope, entry.late, own].append(entry)
    for group in groups.values():
        group.sort(key=_order)
    for (envelope, *_), group in sorted(groups.items(), key=lambda item: (_order(item[1][0]), str(item[0]))):
        for start in range(0, len(group), ITEMS):
            yield envelope, group[start : start + ITEMS]


def _order(entry: Entry) -> tuple[Any, ...]:
    fact = entry.fact
    about = fact.card_ref or "", fact.attempt or 0, fact.tracking_no or ""
    return fact.occurred_at, *about, fact.milestone, entry.corrects


def _item(entry: Entry) -> dict[str, Any]:
    """A fact as an item of a report; absent fields are left to the schema's defaults."""
    item = {name: value for name, value in entry.fact._asdict().items() if value not in (None, ())}
    if entry.fact.actors:
        item["actors"] = [actor._asdict() for actor in entry.fact.actors]
    return item | {"corrects": True} if entry.corrects else item


def _truth(partner: str, entry: Entry, item: str, faults: Sequence[str]) -> dict[str, Any] | None:
    """The line of a truth file, with the ids by which the ledger names the fact; None for what takes a fact back."""
    if entry.corrects:
        return None
    if entry.refused:
        return {"partner": partner, "happening": entry.refused, "subject": f"{partner} {item}"}
    fact, envelope = entry.fact, entry.envelope
    subject = MILESTONES[fact.milestone].subject
    about_plastic = subject in ("plastic", "plastic_in_consignment")
    return {
        "partner": partner,
        "subject": subject,
        "job_id": envelope.job_id if subject == "job" else None,
        "card_ref": fact.card_ref if about_plastic else None,
        "attempt": fact.attempt if about_plastic else None,
        "consignment_id": _consignment(partner, envelope, fact, subject),
        "milestone": fact.milestone,
        "occurred_at": fact.occurred_at.isoformat(timespec="milliseconds"),
        "reason": fact.reason,
        "annulled": entry.annulled,
        "defects": sorted([*faults, *(["delay"] if entry.late else [])]),
    }


def _consignment(partner: str, envelope: Envelope, fact: Fact, subject: str) -> str | None:
    if subject == "mail":
        return mail_item_id(partner, str(fact.tracking_no))
    if subject != "plastic_in_consignment":
        return None
    if envelope.handover_id:
        return hand_over_id(envelope.handover_giver or partner, envelope.handover_id)
    return mail_item_id(str(envelope.to_place), str(fact.tracking_no))
