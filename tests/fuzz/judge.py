"""What became of a message, by the ledger alone, and whether that is right."""

from __future__ import annotations

from typing import Any, NamedTuple

from fuzz.messages import Sent
from issuance.ledger.connection import Connection

Place = tuple[str, int, int]
"""Topic, partition and offset."""
KNOWN = {
    # family: the table that knows what was applied, its identity, and how many items were refused
    "statements": ("statement_chunk", "partner", "statement_id", "0"),
    "holder-events": ("holder_event", "source", "event_id", "0"),
    "cohort-submissions": ("submission", "'-'", "sha256", "0"),
}
REPORTS = ("report", "partner", "report_id", "refused")


class Fate(NamedTuple):
    """What became of a message; `wrong`: why that is not right."""

    name: str
    wrong: str = ""


class Judge:
    """Reads the ledger once, after everything was read."""

    def __init__(self, connection: Connection) -> None:
        letters = connection.execute("SELECT topic, topic_partition, topic_offset, code FROM dead_letter")
        self._letters: dict[Place, str] = {(topic, part, offset): code for topic, part, offset, code in letters}
        notices = connection.execute("SELECT ce_id FROM outbox WHERE ce_id LIKE '%/REPORT_REFUSED/%'")
        self._answered = {tuple(ce_id.rsplit("/", 3)[1:]) for (ce_id,) in notices}
        self._applied: dict[tuple[str, str, str], int] = {}
        for table, owner, identity, refused in (*KNOWN.values(), REPORTS):
            rows = connection.execute(f"SELECT {owner}, {identity}, {refused} FROM {table}")
            self._applied |= {(table, partner, name): count for partner, name, count in rows}

    def fate(self, sent: Sent, place: Place) -> Fate:
        """The fate of a message that was read."""
        name = self._name(sent, place)
        wrong = {
            "lost": "nothing is known of it",
            "unprocessable": "it could not be processed",
            "applied": "it is hostile" if sent.expect == "refused" else "",
        }.get(name, "it is sound" if sent.expect == "applied" else "")
        if name == "refused as a message" and sent.partner and not self._is_answered(place):
            wrong = wrong or "its sender was not answered"
        return Fate(name, f"{name}: {wrong}" if wrong else "")

    def _name(self, sent: Sent, place: Place) -> str:
        code = self._letters.get(place)
        if code:
            return "unprocessable" if code == "UNPROCESSABLE" else "refused as a message"
        if self._is_answered(place):
            return "refused as a message"  # TIME_AHEAD: answered, and nothing is kept
        table, owner, identity, _ = KNOWN.get(sent.family, REPORTS)
        value: dict[str, Any] = sent.value or {}
        refused = self._applied.get((table, "-" if owner == "'-'" else str(sent.partner), str(value.get(identity))))
        return "lost" if refused is None else "refused by item" if refused else "applied"

    def _is_answered(self, place: Place) -> bool:
        return tuple(map(str, place)) in self._answered
