"""Validating a single part: an outcome for each of its rows, the valid ones sealed again in normalised form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from issuance.intake.identifiers import plain
from issuance.intake.normalise import normalise
from issuance.intake.photos import FINDING
from issuance.intake.rules import RuleContext
from issuance.intake.session import Intake, validated_key
from issuance.intake.validate import validate_frame
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.vault.keys import KeyService, PersonHasher
from issuance.words.references import card_refs_of

OUTCOME = {
    "cohort_no": "int4", "submission": "int4", "file": "text", "line": "int4", "part": "int4", "outcome": "text",
    "application_id": "text", "person": "bytea", "card_ref": "bytea", "kind": "text", "reasons": "text[]",
    "of_file": "text", "of_line": "int4",
}  # fmt: skip
"""Columns of `row_outcome` as they are copied, and the types of our values: a uuid travels as its 16 bytes."""
UNSPEAKABLE = frozenset({"APPLICATION_ID_SHAPE", "APPLICATION_ID_PERSONAL", "REQUIRED_APPLICATION_ID"})
"""Reasons for which an application_id itself may hold personal data and is not stored."""


def validate_part(intake: Intake, part: int) -> dict[str, int]:
    """Validate one part: an outcome for each of its rows, the valid ones sealed again as normalised.

    Once the submission is decided nothing is validated again: the decision is final. Returns counts: rows, quarantined.
    """
    with transaction(intake.settings.database_url) as connection:
        day = business_day(connection)
        object_, file, rows = one(
            connection,
            "SELECT object, file, rows FROM part WHERE (cohort_no, submission) = (%s, %s) AND part = %s",
            (*intake.key, part),
        )
    frame, notes = normalise(intake.parts.read(object_))
    frame = frame.assign(**{FINDING: intake.photos.findings(frame)})
    banks = frozenset(bank.id for bank in intake.city.partners.of_kind("bank"))
    validation = validate_frame(frame, RuleContext(intake.city.policy, banks, day))
    hasher = KeyService(intake.settings.keys_dir).person_hasher()
    refs = card_refs_of(intake.cohort_id, plain(frame["application_id"]))
    valid = [position not in validation.reasons for position in range(len(frame))]
    kept = frame.assign(card_ref=[ref.hex() for ref in refs])[valid].drop(columns=FINDING)
    intake.parts.write(validated_key(intake, part), kept)
    outcomes = _outcomes(intake, part, file, frame, validation.reasons, refs, hasher)
    summary = {"notes": notes, "rules": validation.summary}
    with transaction(intake.settings.database_url) as connection:
        state = connection.execute(
            "SELECT state FROM submission WHERE (cohort_no, number) = (%s, %s) FOR SHARE", intake.key
        ).fetchone()
        if state != ("REGISTERED",):
            return {"rows": rows, "quarantined": 0}
        _write_outcomes(connection, intake, part, outcomes)
        connection.execute(
            "UPDATE part SET validation = %s WHERE (cohort_no, submission) = (%s, %s) AND part = %s",
            (json.dumps(summary, default=str), *intake.key, part),
        )
    return {"rows": rows, "quarantined": len(validation.reasons)}


def _outcomes(
    intake: Intake,
    part: int,
    file: str,
    frame: pd.DataFrame,
    reasons: dict[int, list[str]],
    refs: Sequence[bytes],
    hasher: PersonHasher,
) -> Iterable[tuple[Any, ...]]:
    columns = (plain(frame[name]) for name in ("application_id", "id_type", "id_number", "kind"))
    rows = zip(frame["line"].tolist(), *columns, strict=True)
    named = _named(frame)
    for position, (line, application, id_type, id_number, kind) in enumerate(rows):
        why = reasons.get(position)
        if why:
            speakable = None if UNSPEAKABLE & set(why) else application
            outcome: tuple[Any, ...] = ("quarantined", speakable, None, None, kind, why)
        else:
            outcome = ("accepted", application, hasher(id_type, id_number), refs[position], kind, None)
        yield (*intake.key, file, line, part, *outcome, *named[position])


def _named(frame: pd.DataFrame) -> Sequence[tuple[str | None, int | None]]:
    """The (file, line) that each row corrects, (None, None) where the submission is no correction."""
    if "of_file" not in frame.columns:
        return [(None, None)] * len(frame)
    lines = [int(line) if line.isdecimal() and len(line) < 10 else 0 for line in frame["of_line"]]
    return list(zip(frame["of_file"], lines, strict=True))


def _write_outcomes(connection: Connection, intake: Intake, part: int, outcomes: Iterable[tuple[Any, ...]]) -> None:
    connection.execute(
        "DELETE FROM row_outcome WHERE (cohort_no, submission) = (%s, %s) AND part = %s", (*intake.key, part)
    )
    with connection.cursor().copy(f"COPY row_outcome ({', '.join(OUTCOME)}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(list(OUTCOME.values()))
        for outcome in outcomes:
            copy.write_row(outcome)
