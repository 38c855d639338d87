"""The net of principle 13: which message an error lies in, and when it is no message's but ours."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Sequence

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from issuance.errors import Broken, IssuanceError
from issuance.ledger.connection import Connection
from issuance.settings import ROOT
from issuance.wire.outbox import Outgoing
from issuance.wire.refusals import Message, Outcome

log = logging.getLogger(__name__)
IN_MESSAGE = ("22", "23", "54")
"""Classes of SQLSTATE that lie in a value: data exception, integrity violation, program limit exceeded."""
OURS = (IssuanceError, BotoCoreError, ClientError, OSError, MemoryError)
MOST_OF_A_PARTNER = 5
"""Culprits of one partner in a transaction; more hold its partitions."""
PARTNERS, WITHIN = 3, 100
"""Culprits of so many partners within so many messages are a fault of ours, and nobody's message is dead-lettered."""
Applied = tuple[list[Outcome], list[Outgoing]]
Apply = Callable[[Sequence[Message]], Applied]


class Culprits(Exception):
    """More messages of one partner than may be can't be processed."""

    def __init__(self, partner: str, places: Sequence[str]) -> None:
        super().__init__(f"{len(places)} messages cannot be processed, the first: {places[0]}")
        self.partner = partner


def is_ours(error: BaseException) -> bool:
    """Whether an error is of our store, settings or code's environment; every other lies in what was given."""
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "")[:2] not in IN_MESSAGE
    return isinstance(error, OURS)


def isolate(connection: Connection, messages: Sequence[Message], apply: Apply, again: bool = False) -> Applied:
    """Apply messages under a savepoint; where an error lies in one, halve until it is alone: UNPROCESSABLE.

    An integrity violation is tried once more: another process may just have written the same identity.
    """
    if not messages:
        return [], []
    try:
        with connection.transaction():
            return apply(messages)
    except Exception as error:
        if is_ours(error):
            raise
        if len(messages) == 1 and not again and isinstance(error, psycopg.IntegrityError):
            return isolate(connection, messages, apply, again=True)
        if len(messages) == 1:
            log.error("unprocessable %s: %s", messages[0].place, where(error))
            return [Outcome(messages[0], "UNPROCESSABLE")], []
    middle = len(messages) // 2
    first, told = isolate(connection, messages[:middle], apply)
    second, more = isolate(connection, messages[middle:], apply)
    return [*first, *second], [*told, *more]


class Recent:
    """The last messages of a stage, as far as they could not be processed."""

    def __init__(self) -> None:
        self._fates: deque[str | None] = deque(maxlen=WITHIN)

    def judge(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Whether the culprits among these are partners' or ours.

        Raises:
            Broken: they are ours: culprits of too many partners lie too close.
            Culprits: one partner has too many in this transaction.
        """
        culprits = [outcome.message for outcome in outcomes if outcome.refusal == "UNPROCESSABLE"]
        if not culprits:
            return
        fates = [*self._fates, *_fates(messages, culprits)]
        for start in range(max(len(fates) - WITHIN, 0) + 1):
            partners = {partner for partner in fates[start : start + WITHIN] if partner is not None}
            if len(partners) >= PARTNERS:
                listed = ", ".join(message.place for message in culprits[:10])
                raise Broken("CULPRITS_EVERYWHERE", f"messages of {sorted(partners)} cannot be processed: {listed}")
        for partner in sorted({message.partner or "" for message in culprits}):
            places = [message.place for message in culprits if (message.partner or "") == partner]
            if len(places) > MOST_OF_A_PARTNER:
                raise Culprits(partner, places)

    def add(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Remember these as applied."""
        culprits = [outcome.message for outcome in outcomes if outcome.refusal == "UNPROCESSABLE"]
        self._fates.extend(_fates(messages, culprits))


def _fates(messages: Sequence[Message], culprits: Sequence[Message]) -> list[str | None]:
    known = {id(message) for message in culprits}
    return [message.partner or message.topic if id(message) in known else None for message in messages]


def where(error: BaseException) -> str:
    """An error by its type, its code and where it arose; never its text, which may quote a value."""
    code = getattr(error, "sqlstate", None) or getattr(error, "code", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(ROOT))]
    place = f" at {frames[-1].filename.removeprefix(f'{ROOT}/')}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{f' {code}' if code else ''}{place}"
