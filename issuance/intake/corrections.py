"""Corrections: a row of `submit --amends` names a quarantined line by file and line, and only such a line (contract).

Whether a line may be corrected is decided by one query, run when a correction is submitted, so that people learn at
once, and again when it is decided, because another correction may have come in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from issuance.errors import Refused, Retryable
from issuance.intake.frames import LISTED
from issuance.intake.identifiers import matches
from issuance.intake.refusals import refuse
from issuance.intake.session import Intake
from issuance.intake.set_rules import FINAL, SET_RULES
from issuance.intake.sources import Named
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one

LAST_WHOLE = (
    "(SELECT max(number) FROM submission w WHERE w.cohort_no = %(cohort)s AND NOT w.amends AND w.state <> 'REFUSED')"
)
"""The number of the cohort's live whole submission; what came before it was refused."""

JUDGED = f"""
SELECT n.of_file, n.of_line, t.submission, t.card_ref, CASE
    WHEN t.outcome IS NULL OR t.reasons && %(final)s THEN 'LINE_UNKNOWN'
    WHEN t.outcome = 'accepted' THEN 'LINE_ACCEPTED'
    WHEN t.outcome = 'duplicate' THEN 'LINE_DUPLICATE'
    WHEN t.corrected THEN 'LINE_CORRECTED'
    END AS verdict
FROM named n LEFT JOIN LATERAL (
    SELECT r.* FROM row_outcome r
    JOIN submission s ON (s.cohort_no, s.number) = (r.cohort_no, r.submission) AND s.state = 'ACCEPTED'
    WHERE r.cohort_no = %(cohort)s AND r.submission >= {LAST_WHOLE} AND (r.file, r.line) = (n.of_file, n.of_line)
    ORDER BY r.submission DESC LIMIT 1) t ON true
"""
"""For each named line: why it may not be corrected, NULL if it may. The caller provides `named` (of_file, of_line)."""


def lines_named(frame: pd.DataFrame, file: Named) -> list[tuple[str, int]]:
    """The (file, line) that each row of a correction names.

    Raises:
        Refused: a line number or a file name is missing or invalid.
    """
    readable = matches(frame["of_line"], "[1-9][0-9]{0,8}") & (frame["of_file"] != "").to_numpy()
    wrong = frame["line"][~readable].tolist()[:LISTED]
    if wrong:
        refuse("LINES_UNREADABLE", file, ", ".join(f"line {line}" for line in wrong), lines=wrong)
    return list(zip(frame["of_file"], frame["of_line"].astype(int), strict=True))


def check_correction(
    connection: Connection, cohort_id: str, files: Sequence[str], named: Sequence[tuple[str, int]]
) -> None:
    """Refuse a correction that names what cannot be corrected; the first lines of each kind are listed.

    Raises:
        Refused: a line is accepted, a duplicate, corrected already, named twice, or unknown; or a file of this name
            has been submitted before, so that its lines could not be told apart.
    """
    values: dict[str, Any] = {"cohort_id": cohort_id, "final": list(FINAL)}
    (values["cohort"],) = connection.execute(
        "SELECT cohort_no FROM cohort WHERE cohort_id = %(cohort_id)s", values
    ).fetchone() or (None,)
    used = connection.execute(
        f"SELECT DISTINCT file FROM part WHERE cohort_no = %(cohort)s AND submission >= {LAST_WHOLE}"
        " AND file = ANY (%(files)s)",
        values | {"files": list(files)},
    ).fetchall()
    if used:
        raise Refused(
            "FILE_NAME_USED",
            f"该批次已提交过同名文件 {used[0][0]}，行号会混淆：请换一个文件名。"
            f" / a file called {used[0][0]} was already submitted: rename this one.",
            files=[row[0] for row in used],
        )
    _refuse_lines(_uncorrectable(connection, values, named))


def _uncorrectable(
    connection: Connection, values: dict[str, Any], named: Sequence[tuple[str, int]]
) -> list[tuple[str, int, str]]:
    rows = connection.execute(
        "WITH named AS (SELECT of_file, of_line FROM unnest(%(files)s::text[], %(lines)s::int4[])"
        f" AS n (of_file, of_line)), judged AS ({JUDGED})"
        " SELECT of_file, of_line, coalesce(min(verdict), 'LINE_NAMED_TWICE') FROM judged GROUP BY of_file, of_line"
        " HAVING min(verdict) IS NOT NULL OR count(*) > 1 ORDER BY of_file, of_line",
        values | {"files": [file for file, _ in named], "lines": [line for _, line in named]},
    ).fetchall()
    return [(str(file), int(line), str(code)) for file, line, code in rows]


def _refuse_lines(wrong: Sequence[tuple[str, int, str]]) -> None:
    if not wrong:
        return
    rules = {rule.id: rule for rule in SET_RULES}
    said = []
    for code in dict.fromkeys(code for _, _, code in wrong):
        lines = [f"{file}:{line}" for file, line, of in wrong if of == code]
        more = " …" if len(lines) > LISTED else ""
        said.append(
            f"{rules[code].zh}（{', '.join(lines[:LISTED])}{more}）：{rules[code].remedy_zh}"
            f" / {rules[code].en}: {rules[code].remedy_en}"
        )
    listed = [{"file": file, "line": line, "code": code} for file, line, code in wrong[:100]]
    raise Refused("LINES_NOT_CORRECTABLE", " ".join(said), lines=listed, count=len(wrong))


def judge_named_lines(connection: Connection, intake: Intake) -> None:
    """Rows of a correction that do not name an open quarantined line get that as their only reason."""
    connection.execute(
        # parts announced by somebody else may name nothing at all
        "UPDATE row_outcome SET of_file = '', of_line = 0 WHERE (cohort_no, submission) = (%s, %s) AND of_file IS NULL",
        intake.key,
    )
    connection.execute(
        f"""
        WITH named AS (
            SELECT DISTINCT of_file, of_line FROM row_outcome
            WHERE (cohort_no, submission) = (%(cohort)s, %(submission)s)),
        judged AS ({JUDGED}),
        own AS (
            SELECT file, line, of_file, of_line, row_number() OVER (PARTITION BY of_file, of_line ORDER BY part, line)
                   AS rank
            FROM row_outcome WHERE (cohort_no, submission) = (%(cohort)s, %(submission)s))
        UPDATE row_outcome r SET outcome = 'quarantined', person = NULL, card_ref = judged.card_ref,
               reasons = ARRAY[coalesce(judged.verdict, 'LINE_NAMED_TWICE')]
        FROM own JOIN judged USING (of_file, of_line)
        WHERE (judged.verdict IS NOT NULL OR own.rank > 1) AND r.cohort_no = %(cohort)s
          AND r.submission = %(submission)s AND (r.file, r.line) = (own.file, own.line)
        """,
        {"cohort": intake.cohort_no, "submission": intake.submission, "final": list(FINAL)},
    )


def mark_corrected(connection: Connection, intake: Intake) -> None:
    """Mark the lines that this correction corrects as done. Locks them; each is corrected once.

    Raises:
        Retryable: another correction has just corrected one of them; the next try reports it.
    """
    values = {"cohort": intake.cohort_no, "submission": intake.submission, "final": list(FINAL)}
    named = (
        "SELECT of_file, of_line FROM row_outcome WHERE (cohort_no, submission) = (%(cohort)s, %(submission)s)"
        " AND NOT coalesce(reasons && %(final)s, false)"
    )
    (wanted,) = one(connection, f"SELECT count(*) FROM ({named}) n", values)
    done = connection.execute(
        f"WITH named AS ({named}), judged AS ({JUDGED}) UPDATE row_outcome r SET corrected = true FROM judged"
        " WHERE judged.verdict IS NULL AND NOT r.corrected AND r.cohort_no = %(cohort)s"
        " AND r.submission = judged.submission AND (r.file, r.line) = (judged.of_file, judged.of_line)",
        values,
    )
    if done.rowcount != wanted:
        raise Retryable("LINES_TAKEN", f"{wanted - done.rowcount} lines have just been corrected by another submission")
