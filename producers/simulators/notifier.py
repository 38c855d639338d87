"""The notifier: opens the contact files it is sent, checks and counts them; in the demo nobody is called."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from producers.simulators.choices import Key

OpenContacts = Callable[[dict[str, Any]], int]
"""Fetches, checks and opens the contact file of a batch; returns how many contacts it holds."""


class Notifier:
    """One notifier."""

    def __init__(self, open_contacts: OpenContacts) -> None:
        self._open_contacts = open_contacts
        self._known: set[str] = set()
        self.contacts = 0
        """Holders that would have been told something."""

    def hear(self, day: date, family: str, value: dict[str, Any]) -> None:
        """A batch of notices; a repeated one is told once."""
        if value["batch_id"] not in self._known:
            self._known.add(value["batch_id"])
            self.contacts += self._open_contacts(value)

    def asked(self, day: date, request: str, key: Key) -> None:
        """Nothing is asked of notifiers."""

    def receive(self, day: date, kind: str, items: list[Any]) -> None:
        """Nothing is given to notifiers."""

    def close(self, day: date) -> None:
        """Nothing is left to do."""

    def next_own(self) -> date | None:
        """Nothing is planned."""
        return None
