"""Values at and past every line of the bounds table."""

from __future__ import annotations

import random
from typing import Any

from issuance.wire.bounds import Bound, ahead, since

HOSTILE_TEXTS = (
    "\0",
    "A\0B",
    "A\nB",
    "\x7f",
    "\u0085",
    "王建国",
    "王建国 11010519491231002X",
    "A-11010519491231002X",
    "\ufeff",
)
INT, LONG = 2**31, 2**63
FITTING = {"card": "00000000-0000-4000-8000-000000000000", "hex": "0", "digits": "1"}


def value_at(bound: Bound, now: int, choice: random.Random) -> Any:
    """A value at an edge of a bound, which must not be UNPROCESSABLE."""
    if bound.characters is not None:
        fitting = FITTING.get(bound.characters.name, "A")
        return fitting if bound.characters.name == "card" else fitting * choice.choice((bound.least, bound.most))
    if bound.kind == "time":
        return choice.choice((since(bound.window), now, now + ahead()[0]))
    return choice.choice((bound.least, bound.most))


def value_past(bound: Bound, now: int, choice: random.Random) -> Any:
    """A value outside of a bound, which must be refused; what the field's Avro type cannot hold is left out."""
    if bound.characters is not None:
        texts = [*HOSTILE_TEXTS, "", "B" * 5000, "A" * (bound.most + 1)]
        return choice.choice([text for text in texts if not bound.admits(text)])
    if bound.kind == "time":
        taken, later = ahead()
        return choice.choice(
            (
                -LONG,
                -1,
                0,
                now // 1000,
                now * 1000,
                now + taken + 1000,
                now + later + 1000,
                LONG - 1,
                since(bound.window) - 1,
            )
        )
    edge = LONG if bound.most > INT else INT
    past = [number for number in (bound.least - 1, bound.most + 1, -edge, edge - 1) if not bound.admits(number)]
    return choice.choice([number for number in past if -edge <= number < edge])
