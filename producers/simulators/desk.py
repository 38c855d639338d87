"""A partner's desk: its agenda of steps, the facts it has to report and what it gives others, each by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from producers.simulators.choices import Choices
from producers.simulators.rates import CLOCK_AHEAD_MINUTES, CORRECT_DAYS, DELAY_DAYS
from producers.simulators.records import Entry, Envelope, Fact, Outgoing, Parcel

Step = Callable[[date], None]
TOMORROW = timedelta(1)


class Desk:
    """Keeps what one partner has to do and to say, until its day."""

    def __init__(self, partner: str, choices: Choices) -> None:
        self.partner = partner
        self.choices = choices
        self.outgoing: list[Outgoing] = []
        """Messages beside card reports, to be sent today."""
        self.worked = 0
        """Facts reported so far."""
        self._steps: defaultdict[date, list[Step]] = defaultdict(list)
        self._entries: defaultdict[date, list[Entry]] = defaultdict(list)
        self._happenings: list[dict[str, Any]] = []
        self._parcels = 0
        self._given: defaultdict[tuple[str, str, str], list[Any]] = defaultdict(list)

    @property
    def busy(self) -> bool:
        """Whether anything is still to be done or said."""
        return bool(self._steps or self._entries)

    def first(self) -> date | None:
        """The earliest day with a step or a fact to report."""
        return min([*self._steps, *self._entries], default=None)

    def at(self, day: date, step: Step) -> None:
        """Put a step on the agenda."""
        self._steps[day].append(step)

    def take_steps(self, day: date) -> list[Step]:
        """The steps of a day, in no promised order."""
        return self._steps.pop(day, [])

    def report(self, day: date, envelope: Envelope, fact: Fact, silent_until: date | None = None) -> None:
        """Report a fact of today; some facts are reported days later, in a report of their own, and those of somebody
        who is silent when that ends."""
        if self.choices.happens("clock-ahead", self.partner):
            fact = fact._replace(occurred_at=fact.occurred_at + timedelta(minutes=CLOCK_AHEAD_MINUTES))
        about = (fact.card_ref, fact.attempt, fact.milestone, fact.tracking_no, fact.occurred_at)
        late = envelope.kind == "ITEMS" and self.choices.happens("delay", *about)
        when = max(day + self.choices.days(DELAY_DAYS, "delayed", *about) if late else day, silent_until or day)
        self._entries[when].append(Entry(envelope, fact, late=late))

    def report_wrongly(self, day: date, envelope: Envelope, wrong: Fact, right: Fact) -> None:
        """Report a wrong fact today and correct it a day or two later; their occurred_at must differ."""
        self._entries[day].append(Entry(envelope, wrong, annulled=True))
        later = day + self.choices.days(CORRECT_DAYS, "corrected", right.card_ref, right.attempt)
        self._entries[later] += [Entry(envelope, wrong, corrects=True), Entry(envelope, right)]

    def report_refused(self, day: date, envelope: Envelope, fact: Fact, happening: str) -> None:
        """Report what is none of this partner's business; the truth is that it is refused."""
        self._entries[day].append(Entry(envelope, fact, refused=happening))

    def happened(self, happening: str, subject: str) -> None:
        """Tell the truth about something that is no fact of one's own."""
        self._happenings.append({"partner": self.partner, "happening": happening, "subject": subject})

    def take_happenings(self) -> list[dict[str, Any]]:
        """What was told since the last time."""
        told, self._happenings = self._happenings, []
        return told

    def take_entries(self, day: date) -> list[Entry]:
        """All that is to be reported up to a day."""
        due = [when for when in self._entries if when <= day]
        entries = [entry for when in sorted(due) for entry in self._entries.pop(when)]
        self.worked += len(entries)
        return entries

    def give(self, to_kind: str, to_partner: str, kind: str, item: Any) -> None:
        """Give somebody something by hand; it is there tomorrow."""
        self._given[to_kind, to_partner, kind].append(item)

    def take_parcels(self, day: date) -> list[Parcel]:
        """What was given today, bundled."""
        given, self._given = self._given, defaultdict(list)
        return [self._parcel(day, *address, items) for address, items in sorted(given.items())]

    def _parcel(self, day: date, to_kind: str, to_partner: str, kind: str, items: list[Any]) -> Parcel:
        self._parcels += 1
        return Parcel(f"{self.partner}/{self._parcels:06d}", to_kind, to_partner, kind, day + TOMORROW, items)
