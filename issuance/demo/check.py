"""Planted = found: what generator and simulators recorded as done, against the ledger alone; set equality."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from issuance.clock import milliseconds
from issuance.demo.plays import Play, card_refs_of
from issuance.demo.scenarios import ANNULLED, Outcome
from issuance.ledger.connection import Connection
from issuance.ledger.queries import cohort_number
from issuance.reconcile.equations import FACT_STANDS

BY_MILESTONE = {
    "refused by the factory": ("ITEM_REFUSED", "JOB_REFUSED"),
    "spoiled": ("SPOILED",),
    "lost in the mail": ("LOST",),
    "returned by the carrier": ("RETURNED",),
    "delivery failed": ("DELIVERY_FAILED",),
    "refused by the holder": ("REFUSED_BY_HOLDER",),
    "destroyed": ("DESTROYED",),
}
"""Kinds of defects that are facts of their own."""
CARD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/[0-9]+)?$")
ON_THE_WAY = ("delay", "repeat", "reorder")
"""Kinds that happen to a report; found are the planted facts that stand exactly once."""


class FactKey(NamedTuple):
    """A fact as truth and ledger both name it."""

    subject: str
    job_id: str | None
    card_ref: str | None
    attempt: int | None
    consignment_id: str | None
    milestone: str
    occurred_ms: int
    reason: str


@dataclass(frozen=True)
class Truth:
    """What partners did: facts, which of them were annulled, and which way a report took."""

    facts: dict[FactKey, frozenset[str]]
    annulled: set[FactKey]
    happenings: dict[str, set[str]]
    """What was done but is not a fact of the doer's: the subjects by what happened."""

    def of_cohort(self, play: Play) -> Truth:
        """The part about one of several cohorts: its cards, its jobs, its letters."""
        cards = card_refs_of(play)
        letters = {fact.consignment_id for fact in self.facts if fact.card_ref in cards and fact.consignment_id}

        def concerns(fact: FactKey) -> bool:
            job = (fact.job_id or "").startswith(f"{play.cohort_id}.")
            return fact.card_ref in cards or job or (fact.subject == "mail" and fact.consignment_id in letters)

        facts = {fact: ways for fact, ways in self.facts.items() if concerns(fact)}
        return replace(self, facts=facts, annulled={fact for fact in self.annulled if concerns(fact)})


@dataclass(frozen=True)
class Checked:
    """Counts by kind of defect, and every difference between the two sets."""

    planted: dict[str, dict[str, int]]
    differences: list[str]


def read_truth(directory: Path) -> Truth:
    """The truth files of the simulators of a whole world, truth-KIND.jsonl."""
    happenings: dict[str, set[str]] = defaultdict(set)
    facts: dict[FactKey, frozenset[str]] = {}
    annulled: set[FactKey] = set()
    for path in sorted(directory.glob("truth-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if "happening" in entry:
                happenings[entry["happening"]].add(entry["subject"])
                continue
            key = _truth_key(entry)
            if entry["annulled"]:
                annulled.add(key)
            else:
                facts[key] = facts.get(key, frozenset()) | frozenset(entry["defects"])
    return Truth(facts, annulled, happenings)


def read_defects(play: Play) -> set[tuple[str, int, str]]:
    """(file, line, rule) of every defective row that a cohort's generator planted, from its truth.json."""
    defects = json.loads((play.directory / "truth.json").read_text(encoding="utf-8"))["defects"]
    return {(defect["file"], defect["line"], defect["rule"]) for defect in defects}


def _truth_key(entry: dict[str, Any]) -> FactKey:
    occurred = milliseconds(datetime.fromisoformat(entry["occurred_at"]))
    names = ("subject", "job_id", "card_ref", "attempt", "consignment_id", "milestone")
    return FactKey(**{name: entry[name] for name in names}, occurred_ms=occurred, reason=entry["reason"] or "")


def check_planted(connection: Connection, play: Play, truth: Truth) -> Checked:
    """Compare rows and facts of a cohort with its truth files."""
    in_ledger = _ledger_facts(connection, play.cohort_id, FACT_STANDS)
    gone = _ledger_facts(connection, play.cohort_id, f"NOT f.corrects AND NOT ({FACT_STANDS})")
    rows = {
        (file, line, reason)
        for file, line, reasons in connection.execute(
            "SELECT file, line, reasons FROM row_outcome JOIN cohort USING (cohort_no)"
            " WHERE cohort_id = %s AND outcome <> 'accepted'",
            (play.cohort_id,),
        )
        for reason in reasons
    }
    planted: dict[str, dict[str, int]] = {}
    defects = read_defects(play)
    for rule in sorted({rule for _, _, rule in defects}):
        _count(planted, rule, (r for r in defects if r[2] == rule), rows)
    for kind, milestones in BY_MILESTONE.items():
        _count(planted, kind, (fact for fact in truth.facts if fact.milestone in milestones), in_ledger)
    for kind in ON_THE_WAY:
        _count(planted, kind, (fact for fact, ways in truth.facts.items() if kind in ways), in_ledger)
    _count(planted, "correct", truth.annulled, gone)
    differences = [
        *_differences("row", defects, rows),
        *_differences("fact", set(truth.facts), in_ledger),
        *_differences("annulled fact", truth.annulled, gone),
    ]
    return Checked(planted, differences)


def check_outcome(connection: Connection, play: Play, truth: Truth, outcome: Outcome) -> Checked:
    """Compare a scenario's outcomes with the truth files: {the outcome: planted, found}.

    Subjects of a happening are of this cohort if the cohort's query can tell: cards, plastics and letters of others are
    left out; what belongs to no cohort (sequences, chunks, items of reports) counts whole.
    """
    rows = connection.execute(
        f"SELECT DISTINCT found FROM ({outcome.found}) AS f (found) WHERE found IS NOT NULL",
        {"cohort": cohort_number(connection, play.cohort_id)},
    ).fetchall()
    planted, found = _subjects(play, truth, outcome), {str(row[0]) for row in rows}
    counts: dict[str, dict[str, int]] = {}
    _count(counts, f"{outcome.zh} / {outcome.en}", planted, found)
    return Checked(counts, list(_differences(outcome.happening or outcome.milestone, planted, found)))


def _subjects(play: Play, truth: Truth, outcome: Outcome) -> set[str]:
    """The subjects of an outcome according to the truth files."""
    if outcome.happening == ANNULLED:
        return {f"{fact.card_ref}/{fact.attempt}" for fact in truth.annulled}
    if outcome.milestone:
        facts = [fact for fact in truth.facts if fact.milestone == outcome.milestone]
        return {f"{f.card_ref}/{f.attempt}" if f.card_ref else (f.consignment_id or "").split(":")[2] for f in facts}
    cards = card_refs_of(play)
    subjects = truth.happenings.get(outcome.happening, set())
    of_cards = {subject for subject in subjects if CARD.match(subject)}
    return {subject for subject in of_cards if subject.split("/")[0] in cards} | (subjects - of_cards)


def _ledger_facts(connection: Connection, cohort_id: str, condition: str) -> set[FactKey]:
    """Distinct facts about a cohort's cards, jobs and mail items."""
    rows = connection.execute(
        "SELECT DISTINCT subject, job_id, card_ref::text, attempt, consignment_id, milestone, left(mark, 13)::bigint,"
        " mark_reason(mark) FROM fact f WHERE " + condition + " AND ("
        " card_ref IN (SELECT card_ref FROM card JOIN cohort USING (cohort_no) WHERE cohort_id = %(cohort)s)"
        " OR job_id IN (SELECT job_id FROM job JOIN cohort USING (cohort_no) WHERE cohort_id = %(cohort)s)"
        " OR (subject = 'mail' AND consignment_id IN (SELECT consignment_id FROM plastic_in_consignment"
        " JOIN card USING (card_ref)"
        " JOIN cohort USING (cohort_no) WHERE cohort_id = %(cohort)s)))",
        {"cohort": cohort_id},
    )
    return {FactKey(*row) for row in rows}


def _count(planted: dict[str, dict[str, int]], kind: str, did: Iterable[Any], found: set[Any]) -> None:
    wanted = set(did)
    planted[kind] = {"planted": len(wanted), "found": len(wanted & found)}


def _differences(what: str, truth: set[Any], ledger: set[Any]) -> Iterator[str]:
    for entry in sorted(truth - ledger, key=str):
        yield f"{what} done and not found: {entry if isinstance(entry, str) else tuple(entry)}"
    for entry in sorted(ledger - truth, key=str):
        yield f"{what} found and not done: {entry if isinstance(entry, str) else tuple(entry)}"
