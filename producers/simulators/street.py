"""The street: where plastics, letters and word pass between partners by hand; a file that only simulators know."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from producers.simulators.records import Parcel

LONG_AGO = date(1970, 1, 1)
SCHEMA = """
CREATE TABLE IF NOT EXISTS parcel (
    id TEXT PRIMARY KEY, from_kind TEXT NOT NULL, to_kind TEXT NOT NULL, to_partner TEXT NOT NULL, kind TEXT NOT NULL,
    available_on TEXT NOT NULL, payload TEXT NOT NULL
) WITHOUT ROWID
"""


class Street:
    """The street as one kind sees it. What is given on a day is there on a later one, so a day's parcels are fixed."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._kind = kind
        self._taken_until = LONG_AGO
        self._connection = sqlite3.connect(directory / "street.db", timeout=60, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(SCHEMA)
        self._connection.execute("CREATE INDEX IF NOT EXISTS parcel_day ON parcel (available_on, to_kind)")
        # A kind that starts again plays from the beginning: nothing of an earlier play may lie about.
        self._connection.execute("DELETE FROM parcel WHERE from_kind = ?", (kind,))

    def give(self, parcels: Iterable[Parcel]) -> None:
        """Lay parcels down."""
        rows = [
            (p.id, self._kind, p.to_kind, p.to_partner, p.kind, p.available_on.isoformat(), json.dumps(p.items))
            for p in parcels
        ]
        if rows:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")

    def take(self, day: date) -> list[Parcel]:
        """The parcels for this kind that came to be there up to a day and were not taken before."""
        rows = self._connection.execute(
            "SELECT id, to_kind, to_partner, kind, available_on, payload FROM parcel"
            " WHERE available_on > ? AND available_on <= ? AND to_kind = ? ORDER BY available_on, id",
            (self._taken_until.isoformat(), day.isoformat(), self._kind),
        )
        self._taken_until = day
        return [
            Parcel(name, to_kind, to_partner, kind, date.fromisoformat(on), json.loads(payload))
            for name, to_kind, to_partner, kind, on, payload in rows
        ]

    def next_after(self, day: date) -> date | None:
        """The next day on which a parcel is there for anybody."""
        row = self._connection.execute(
            "SELECT min(available_on) FROM parcel WHERE available_on >= ?", ((day + timedelta(1)).isoformat(),)
        ).fetchone()
        return date.fromisoformat(row[0]) if row[0] else None

    def close(self) -> None:
        """Leave the street."""
        self._connection.close()
