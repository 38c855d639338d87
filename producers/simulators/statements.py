"""A partner's statements: every week the full list of what is active, in chunks, as long as anything happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

from issuance.words.references import hash_total
from producers.simulators.choices import Key
from producers.simulators.desk import Desk
from producers.simulators.rates import LAST_STATEMENTS, STATEMENT_WINDOW_DAYS
from producers.simulators.records import Outgoing

ITEMS = 1000


class Schedule(NamedTuple):
    """What a partner states, and when it is due."""

    function: str
    weekday: int
    """0 = Monday."""
    hour: int


class Statements:
    """The statements of one partner and function, by the time at which things happened, reported or not."""

    def __init__(self, desk: Desk, schedule: Schedule, chunk_items: int = ITEMS) -> None:
        self._desk = desk
        self._chunk_items = chunk_items
        self._schedule = schedule
        self._active: dict[Key, datetime] = {}
        self._due_on: date | None = None
        self._quiet = 0
        self._started = False
        self._worked = 0
        """Facts reported until the last statement."""
        self._sent: dict[str, list[Outgoing]] = {}

    @property
    def due_on(self) -> date | None:
        """The day of the next statement."""
        return self._due_on

    def activate(self, key: Key, moment: datetime) -> None:
        """A plastic is active from now on."""
        self._active[key] = moment

    def cancel(self, key: Key) -> None:
        """A plastic is active no more."""
        self._active.pop(key, None)

    def close(self, day: date) -> None:
        """Send the statement of a day, if it is due; the first one comes with the first due day."""
        if not self._started:
            self._started = True
            self._due_on = day + timedelta((self._schedule.weekday - day.weekday()) % 7)
        if self._due_on == day:
            self._draw(day)

    def wake(self, day: date) -> None:
        """Plan the next statement after a day, when there is anything to state again."""
        if self._started and self._due_on is None and self._busy:
            self._due_on = day + timedelta((self._schedule.weekday - day.weekday() - 1) % 7 + 1)

    @property
    def _busy(self) -> bool:
        """Whether something happened since the last statement, or is still to come."""
        return self._desk.busy or self._worked != self._desk.worked

    def _draw(self, day: date) -> None:
        """State what is active; after everything has ended, twice more."""
        self._quiet = 0 if self._busy else self._quiet + 1
        self._worked = self._desk.worked
        self._due_on = day + timedelta(7) if self._quiet < LAST_STATEMENTS else None
        if self._desk.choices.happens("state-late", self._desk.partner, day):
            return  # forgotten, until somebody asks
        for revision in (1, 2) if self._desk.choices.happens("revise", day) else (1,):
            chunks = list(self._chunks(day, revision))
            self._sent[chunks[0].key] = chunks
            self._desk.outgoing += [chunk for chunk in chunks if not self._hidden(chunk)]

    def _hidden(self, chunk: Outgoing) -> bool:
        """Whether a chunk is forgotten until it is asked for; the first one is not."""
        hidden = chunk.value["chunk"] > 1 and self._desk.choices.happens("hide-chunk", self._desk.partner, chunk.ce_id)
        if hidden:
            self._desk.happened("chunk hidden", f"{self._desk.partner} {chunk.key}/{chunk.value['chunk']}")
        return hidden

    def again(self, statement_id: str, first: int, last: int) -> list[Outgoing]:
        """These chunks once more."""
        return self._sent.get(statement_id, [])[max(first - 1, 0) : last]

    def asked(self, day: date) -> list[Outgoing]:
        """A late statement that is asked for: what is active today."""
        chunks = list(self._chunks(day, 1))
        name = chunks[0].key
        if name not in self._sent:
            self._desk.happened("statement late", f"{self._desk.partner} {name}")
        return self._sent.setdefault(name, chunks)

    def _chunks(self, day: date, revision: int) -> Iterator[Outgoing]:
        business_day, as_of = self._desk.choices.stated_at(day, self._schedule.hour)
        oldest = as_of - timedelta(STATEMENT_WINDOW_DAYS)
        keys = sorted(key for key, moment in self._active.items() if oldest <= moment <= as_of)
        if self._desk.choices.happens("short-list", day):
            keys = keys[1:]
        size = self._chunk_items
        parts = [keys[start : start + size] for start in range(0, len(keys), size)] or [[]]
        statement_id = f"ST-{self._desk.partner}-{self._schedule.function}-{self._desk.choices.tag}{day:%Y%m%d}"
        whole = {
            "statement_id": statement_id,
            "partner": self._desk.partner,
            "function": self._schedule.function,
            "business_day": business_day,
            "as_of": as_of,
            "revision": revision,
            "chunks": len(parts),
            "total": len(keys) + self._desk.choices.happens("wrong-total", day),
            "hash_total": hash_total([ref for ref, _ in keys]),
        }
        for number, part in enumerate(parts, 1):
            items = [{"card_ref": ref, "attempt": attempt} for ref, attempt in part]
            value = {**whole, "chunk": number, "items": items}
            again = f"/{revision}" if revision > 1 else ""
            ce_id = f"{self._desk.partner}/{statement_id}/{number}{again}"
            yield Outgoing(self._desk.partner, "statements", statement_id, "statement", value, ce_id)
