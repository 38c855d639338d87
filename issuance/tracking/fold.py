"""Folding facts into rows: the SQL of principle 6, generated from the milestones of each subject.

A row keeps the least mark of a single milestone and the greatest of a repeatable one, so merging commutes,
associates and is idempotent. A row that a correction touches is always folded anew from its facts from then on.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.words.lifecycle import Milestone, Subject, milestones_of


@dataclass(frozen=True)
class Fold:
    """How the facts of one subject become columns of its table."""

    subject: Subject
    table: str
    keys: tuple[str, ...]
    creates_rows: bool
    """Whether a first fact creates the row; plastics and jobs exist before their facts."""

    @property
    def milestones(self) -> list[Milestone]:
        """The milestones whose values the table keeps."""
        return milestones_of(self.subject)

    def pivot(self, source: str, milestones: Sequence[Milestone] | None = None) -> str:
        """Rows of facts as one row per key: a column per milestone (by default all), `corrected` and `conflict`."""
        chosen = self.milestones if milestones is None else milestones
        keys = ", ".join(self.keys)
        values = ",\n       ".join(f"{_aggregate(m)} AS {m.column}" for m in chosen)
        conflict = "\n       OR ".join(["false", *(_differs(m) for m in chosen if not m.repeatable)])
        return (
            f"SELECT {keys},\n       {values},\n       bool_or(corrects) AS corrected,\n"
            f"       coalesce({conflict}, false) AS conflict\n"
            f"FROM {source} WHERE subject = '{self.subject}' GROUP BY {keys}"
        )

    def merge_sql(self, milestones: Sequence[Milestone]) -> str:
        """Merge the facts of these milestones in the table `staged` into their rows, in key order; one row tells
        whether one of them is corrected, so that it has to be folded anew."""
        keys = ", ".join(self.keys)
        new = "excluded" if self.creates_rows else "s"
        differs = [f"(t.{m.column} <> {new}.{m.column}) IS TRUE" for m in milestones if not m.repeatable]
        sets = [
            *(f"{m.column} = {_better(m)}(t.{m.column}, {new}.{m.column})" for m in milestones),
            f"conflict = {' OR '.join(['t.conflict', f'{new}.conflict', *differs])}",
            f"corrected = t.corrected OR {new}.corrected",
        ]
        if self.creates_rows:
            columns = ", ".join([*self.keys, *(m.column for m in milestones), "conflict", "corrected"])
            into = f"INSERT INTO {self.table} AS t ({columns}) SELECT {columns} FROM s ORDER BY {keys}"
            write = f"{into} ON CONFLICT ({keys}) DO UPDATE SET {', '.join(sets)}"
        else:
            write = f"UPDATE {self.table} t SET {', '.join(sets)} FROM s WHERE {self._on('t', 's')}"
        return (
            f"WITH s AS MATERIALIZED ({self.pivot('staged', milestones)} ORDER BY {keys}),\n"
            f"written AS ({write} RETURNING t.corrected) SELECT coalesce(bool_or(corrected), false) FROM written"
        )

    def refold_sql(self, scope: str) -> str:
        """Fold the rows of `scope` (a SELECT of keys) anew from the journal."""
        columns = [*(m.column for m in self.milestones), "conflict", "corrected"]
        sets = ", ".join(f"{column} = s.{column}" for column in columns)
        return f"UPDATE {self.table} t SET {sets} FROM ({self.expected_sql(scope)}) s WHERE {self._on('t', 's')}"

    def missing_sql(self) -> str:
        """Keys of facts whose row is gone."""
        keys = ", ".join(f"f.{key}" for key in self.keys)
        return (
            f"SELECT DISTINCT {keys} FROM fact f WHERE f.subject = '{self.subject}'"
            f" AND NOT EXISTS (SELECT FROM {self.table} t WHERE {self._on('t', 'f')})"
        )

    def expected_sql(self, scope: str) -> str:
        """What the rows of `scope` should be by the journal alone; columns as in the table."""
        columns = ", ".join(f"s.{m.column}" for m in self.milestones)
        keys = ", ".join(self.keys)
        corrects = f"SELECT DISTINCT {keys}, true AS corrected FROM fact WHERE corrects AND subject = '{self.subject}'"
        return (
            f"WITH touched AS MATERIALIZED ({scope}), s AS ({self._valid('touched')})\n"
            f"SELECT {keys}, {columns}, coalesce(s.conflict, false) AS conflict,"
            f" coalesce(c.corrected, false) AS corrected"
            f" FROM touched LEFT JOIN s USING ({keys}) LEFT JOIN ({corrects}) c USING ({keys})"
        )

    def _valid(self, touched: str) -> str:
        """The pivot of the journal's facts of `touched` keys without those that their own reporter has annulled."""
        annulled = (
            "SELECT FROM fact k WHERE k.corrects AND k.milestone = f.milestone"
            f" AND left(k.mark, 13) = left(f.mark, 13) AND {self._on('k', 'f')} AND reporter_of(k) = reporter_of(f)"
        )
        keys = " AND ".join(f"f.{key} = t.{key}" for key in self.keys)
        source = (
            f"(SELECT f.* FROM {touched} t JOIN fact f ON {keys} AND f.subject = '{self.subject}'"
            f" WHERE NOT f.corrects AND NOT EXISTS ({annulled}))"
        )
        return self.pivot(f"{source} valid")

    def _on(self, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{key} = {right}.{key}" for key in self.keys)


def _aggregate(milestone: Milestone) -> str:
    function = "max" if milestone.repeatable else "min"
    return f"{function}(mark) FILTER (WHERE milestone = '{milestone.name}' AND NOT corrects)"


def _differs(milestone: Milestone) -> str:
    matching = f"FILTER (WHERE milestone = '{milestone.name}' AND NOT corrects)"
    return f"min(mark) {matching} <> max(mark) {matching}"


def _better(milestone: Milestone) -> str:
    return "greatest" if milestone.repeatable else "least"


def stands(fact: str) -> str:
    """SQL: whether a fact of the journal, under this name, is none that its own reporter has annulled."""
    return (
        f"NOT {fact}.corrects AND NOT EXISTS (SELECT FROM same_facts({fact}) k"
        f" WHERE k.corrects AND reporter_of(k) = reporter_of({fact}))"
    )


PLASTIC = Fold("plastic", "plastic", ("card_ref", "attempt"), creates_rows=False)
IN_CONSIGNMENT = Fold(
    "plastic_in_consignment", "plastic_in_consignment", ("card_ref", "attempt", "consignment_id"), creates_rows=True
)
MAIL = Fold("mail", "consignment", ("consignment_id",), creates_rows=True)
JOB = Fold("job", "job", ("job_id",), creates_rows=False)
FOLDS = (JOB, PLASTIC, IN_CONSIGNMENT, MAIL)


def fold_staged(connection: Connection, milestones: Set[str]) -> None:
    """Fold the facts of the table `staged` (of these milestones), already in the journal, into their rows.

    Locks rows in key order within each table; the primary-key path is forced, since a plan made for a small batch
    reads whole tables when they are large.
    """
    connection.execute("SET LOCAL enable_hashjoin = off")
    connection.execute("SET LOCAL enable_mergejoin = off")
    for fold in FOLDS:
        staged = [milestone for milestone in fold.milestones if milestone.name in milestones]
        if not staged:
            continue
        (corrected,) = one(connection, fold.merge_sql(staged))
        if corrected:
            keys = ", ".join(fold.keys)
            touched = (
                f"SELECT DISTINCT {keys} FROM staged JOIN {fold.table} USING ({keys})"
                f" WHERE subject = '{fold.subject}' AND {fold.table}.corrected"
            )
            connection.execute(fold.refold_sql(touched))
    connection.execute("SET LOCAL enable_hashjoin = on")
    connection.execute("SET LOCAL enable_mergejoin = on")
