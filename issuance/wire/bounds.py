"""What a field of an inbound record may be: schemas/bounds.yaml, compiled once (contract: Bounds).

Values are those of `codec.read_inbound`: instants are UTC milliseconds, days are days since 1970-01-01. Pure but for
reading the table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from operator import itemgetter
from typing import Any, Literal

import yaml

from issuance.clock import date_of, instant_of, instant_on, milliseconds
from issuance.settings import ROOT
from issuance.words.lifecycle import MAIL_CODES
from issuance.words.personal import holds_id_number, holds_mobile, holds_old_number

FILE = ROOT / "schemas" / "bounds.yaml"
Json = Mapping[str, Any]
Kind = Literal["text", "number", "time", "instant", "day", "list"]


@dataclass(frozen=True)
class TextSet:
    """A set of characters, and which personal values a text of it may hold."""

    name: str
    zh: str
    en: str
    characters: str = ""
    """A pattern of one character; or else `pattern`, of the whole text."""
    pattern: str = ""
    mobile: bool = False
    """Whether it may hold what looks like a mobile number: ids, serials and tracking numbers."""
    personal: bool = False
    """Whether it may hold any personal value: what was sealed."""


@dataclass(frozen=True)
class Bound:
    """One line of the table; a number's range includes both ends, a text's is its length in characters."""

    path: str
    kind: Kind
    least: int
    most: int
    characters: TextSet | None = None
    window: str = ""

    @property
    def name(self) -> str:
        """The field's own name."""
        return self.path.rpartition(".")[2]

    def admits(self, value: Any) -> bool:
        """Whether a value (never null) is within the bound; times are judged by `judge_time`."""
        if self.characters is not None:
            return _pattern(self).fullmatch(value) is not None and not _is_personal(value, self.characters)
        return self.kind == "time" or self.least <= (len(value) if self.kind == "list" else value) <= self.most


@cache
def _pattern(bound: Bound) -> re.Pattern[str]:
    named = bound.characters
    assert named is not None
    return re.compile(named.pattern or f"{named.characters}{{{bound.least},{bound.most}}}")


def _all_within(bound: Bound, characters: TextSet, texts: Collection[str]) -> bool:
    """Whether all texts are within a bound, asked at once: a line each, since no set holds a line break, and lines
    part what looks like a number. False also where only a look at each can tell."""
    lines = "\n".join(texts)
    if lines.count("\n") != len(texts) - 1:
        return False
    return _lines_pattern(bound).fullmatch(f"{lines}\n") is not None and not _is_personal(lines, characters)


@cache
def _lines_pattern(bound: Bound) -> re.Pattern[str]:
    return re.compile(f"(?:(?:{_pattern(bound).pattern})\n)*")


LONG_NUMBER = re.compile("[0-9]{11}")
"""What every personal number holds; a mobile number has the fewest digits."""


def _is_personal(text: str, characters: TextSet) -> bool:
    if characters.personal or characters.pattern:
        return False  # what was sealed; a UUID, whose groups are too short for any
    if characters.name == "code" and not text.isascii() and text not in MAIL_CODES:
        return True  # Chinese words are those of the mail table, and nobody's name
    if LONG_NUMBER.search(text) is None:
        return False
    return holds_id_number(text) or (not characters.mobile and (holds_mobile(text) or holds_old_number(text)))


@cache
def table() -> dict[str, Any]:
    """The whole file."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


@cache
def bounds_of(record: str) -> dict[str, Bound]:
    """Path (`items.place`) to bound, of a record of schemas/ or `sealed`."""
    entries = table()["sealed"] if record == "sealed" else table()["records"][record]
    return {path: _bound(path, entry) for path, entry in entries.items()}


def _bound(path: str, entry: Mapping[str, Any]) -> Bound:
    if "text" in entry:
        named = table()["sets"][entry["text"]]
        return Bound(path, "text", entry.get("least", 1), entry["most"], TextSet(entry["text"], **named))
    if "time" in entry:
        return Bound(path, "time", 0, 0, window=entry["time"])
    if "day" in entry:
        first, last = ((day - date_of(0)).days for day in entry["day"])
        return Bound(path, "day", first, last)
    if "instant" in entry:
        first, last = (milliseconds(instant_on(day, 0)) for day in entry["instant"])
        return Bound(path, "instant", first, last)
    kind: Kind = "list" if "list" in entry else "number"
    return Bound(path, kind, *entry[kind])


def shown(bound: Bound, zh: bool) -> str:
    """A bound in words, for the guides."""
    if bound.characters is not None:
        length = f"{bound.least}" if bound.least == bound.most else f"{bound.least}–{bound.most}"
        return f"{length} {'位' if zh else 'of'} {bound.characters.zh if zh else bound.characters.en}"
    if bound.kind == "time":
        window = table()["windows"][bound.window]
        return str(window["zh"] if zh else window["en"])
    if bound.kind == "instant":
        return f"{instant_of(bound.least):%Y-%m-%d %H:%M} – {instant_of(bound.most):%Y-%m-%d %H:%M} UTC"
    if bound.kind == "day":
        return f"{date_of(bound.least)} – {date_of(bound.most)}"
    return f"{bound.least:,} – {bound.most:,}"


@cache
def _levels(record: str) -> dict[str, tuple[Bound, ...]]:
    """The bounds of a record by the list that their fields lie in; '' is the head."""
    levels: dict[str, list[Bound]] = {}
    for path, bound in bounds_of(record).items():
        levels.setdefault(path.rpartition(".")[0], []).append(bound)
    return {level: tuple(bounds) for level, bounds in levels.items()}


def head_refusal(record: str, value: Json, now: int) -> str | None:
    """The code for which a field of the head refuses the whole record, or None; `now` in UTC milliseconds."""
    for bound in _levels(record)[""]:
        field = value[bound.name]
        if field is None:
            continue
        if not bound.admits(field):
            return "FIELD_INVALID"
        if bound.kind == "time" and (code := judge_time(field, now, since(bound.window))):
            return code
    return None


def invalid_items(record: str, items: Sequence[Json]) -> frozenset[int]:
    """The positions of items with a field outside its bound; times are judged by `judge_time`."""
    levels = _levels(record)
    found: set[int] = set()
    for bound in levels["items"]:
        if bound.kind != "time":
            found |= _outside(bound, items)
    for level, bounds in levels.items():
        if level.startswith("items."):
            inner = level.removeprefix("items.")
            owners = [(n, entry) for n, item in enumerate(items) for entry in item[inner]]
            for bound in bounds if owners else ():
                found |= {owners[n][0] for n in _outside(bound, [entry for _, entry in owners])}
    return frozenset(found)


def _outside(bound: Bound, entries: Sequence[Json]) -> set[int]:
    """The positions of entries whose field is outside its bound; each distinct value is judged once."""
    field = itemgetter(bound.name)
    if bound.kind == "list":
        if all(bound.least <= length <= bound.most for length in set(map(len, map(field, entries)))):
            return set()
        return {n for n, entry in enumerate(entries) if not bound.admits(field(entry))}
    given = set(map(field, entries)) - {None}
    if not given or (bound.characters is not None and _all_within(bound, bound.characters, given)):
        return set()
    outside = {value for value in given if not bound.admits(value)}
    return {n for n, entry in enumerate(entries) if field(entry) in outside} if outside else set()


@cache
def since(window: str) -> int:
    """The UTC millisecond with which a window begins as far as no ledger is asked."""
    return milliseconds(instant_on(first_day(window), 0))


def first_day(window: str) -> date:
    """The day with which a window begins as far as no ledger is asked."""
    begins: date = table()["windows"][window]["since"]
    return begins


def mail_days() -> int:
    """How many days back a mail item may lie whose hand-over is not known."""
    return int(table()["mail_days"])


@cache
def ahead() -> tuple[int, int]:
    """Milliseconds ahead of ours up to which a time is taken, and up to which it is taken later."""
    seconds = table()["ahead"]
    return seconds["taken_seconds"] * 1000, seconds["later_seconds"] * 1000


def judge_time(instant: int, now: int, earliest: int) -> str | None:
    """BEFORE_ORDER, FIELD_INVALID (far ahead), TIME_AHEAD or None; all in UTC milliseconds."""
    taken, later = ahead()
    if instant < earliest:
        return "BEFORE_ORDER"
    if instant > now + later:
        return "FIELD_INVALID"
    return "TIME_AHEAD" if instant > now + taken else None


def seconds_ahead(instants: Iterable[int], now: int) -> int:
    """By how many seconds the times that make a record TIME_AHEAD are ahead of ours, at most; 0 if none is."""
    taken, later = ahead()
    return max((-(-(at - now) // 1000) for at in instants if now + taken < at <= now + later), default=0)


def sealed_are_within(values: Mapping[str, str]) -> bool:
    """Whether opened values of a holder event are known columns within their bounds."""
    bounds = bounds_of("sealed")
    return all(name in bounds and bounds[name].admits(value) for name, value in values.items())


def most_bytes(thing: str) -> int:
    """The maximum size of an object on S3, in bytes."""
    return int(table()["objects"][thing]["bytes"])


def reference(record: str, field: str, text: str | None) -> str | None:
    """A reference of a record that may be written down: the text if it is within its bound, else None."""
    return text if text is not None and bounds_of(record)[field].admits(text) else None
