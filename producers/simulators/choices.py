"""Every choice is a function of (seed, what it is about, step): no random state, so order changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import TypeVar

from issuance.clock import instant_on
from issuance.tracking.post import s10_check_digit
from producers.simulators.rates import ACTIVATE_DAYS, HOURS, REPORT_HOUR

Choice = TypeVar("Choice")
Key = tuple[str, int]
"""A plastic: (card_ref, attempt)."""

_midnight = lru_cache(maxsize=1024)(lambda day: instant_on(day, 0))


class Choices:
    """The choices of one seed and its rates; `by_subject` has other rates for some cards and applications."""

    def __init__(
        self, seed: int, rates: Mapping[str, float], by_subject: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self.seed = seed
        self._rates = rates
        self._by_subject = by_subject or {}
        self._salt = blake2b(str(seed).encode(), digest_size=16).digest()

    @property
    def stream(self) -> str:
        """The stream of a partner's reports."""
        return "main"

    @property
    def tag(self) -> str:
        """What makes ids of this play differ from another's; a stepped play is told apart by its days."""
        return ""

    def written_at(self, day: date) -> datetime:
        """When the reports of a day are written."""
        return instant_of(day, REPORT_HOUR * 3_600_000)

    def stated_at(self, day: date, hour: int) -> tuple[date, datetime]:
        """The business day and the moment of a statement that is due on a day."""
        return day, instant_of(day, hour * 3_600_000)

    def number(self, *about: object) -> int:
        """64 even bits."""
        text = "\x1f".join(map(str, about))
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._salt).digest(), "big")

    def part(self, *about: object) -> float:
        """A number in [0, 1)."""
        return (self.number(*about) >> 11) / 2**53

    def happens(self, what: str, *about: object, of: str | None = None) -> bool:
        """Whether something with a rate happens; the first of what it is about names whose rates count, or `of`."""
        rate = self._by_subject.get(of or str(about[0]), self._rates)[what]
        return rate > 0 and self.part(what, *about) < rate

    def days(self, span: tuple[int, int], *about: object) -> timedelta:
        """A number of days in a span, both ends included."""
        least, most = span
        return timedelta(least + self.number(*about) % (most - least + 1))

    def soon(self, span: tuple[int, int], *about: object) -> timedelta:
        """The same, early days likelier."""
        least, most = span
        return timedelta(least + int(self.part(*about) ** 2 * (most - least + 1)))

    def pick(self, options: Sequence[Choice], *about: object) -> Choice:
        """One of the options."""
        return options[self.number(*about) % len(options)]

    def moment(self, day: date, step: str, *about: object) -> datetime:
        """When a step happens on a day, in UTC: to the millisecond, within the step's hour."""
        offset = HOURS[step] * 3_600_000 + self.number("moment", step, *about) % 3_600_000
        return instant_of(day, offset)

    def activation_day(self, key: Key, collected_on: date) -> date | None:
        """When the holder activates social security; None: never. The day after collection at the earliest."""
        if self.happens("unactivated", *key):
            return None
        return collected_on + max(timedelta(1), self.days(ACTIVATE_DAYS, "activate", *key))


def instant_of(day: date, milliseconds: int) -> datetime:
    """The instant so many milliseconds after a Shanghai day's beginning, in UTC."""
    midnight: datetime = _midnight(day)
    return midnight + timedelta(milliseconds=milliseconds)


def tracking_number(choices: Choices, carrier: str, key: Key, trip: int, turn: int = 0) -> str:
    """The number of a letter: EMS as S10, others as two letters and 13 digits; another turn gives another number."""
    number = choices.number("tracking", carrier, *key, trip, turn)
    if carrier != "EMS":
        return f"{carrier[:2]}{number % 10**13:013d}"
    serial = f"{number % 10**8:08d}"
    return f"E{chr(ord('A') + number // 10**8 % 26)}{serial}{s10_check_digit(serial)}CN"
