"""Registering submissions in the ledger: the stage behind the topic cohort-submissions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from issuance.city.city import load_city
from issuance.clock import date_of, milliseconds
from issuance.errors import Refused
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.vault.objects import ObjectStore
from issuance.wire.bounds import head_refusal, most_bytes
from issuance.wire.consumer import Context, Stage
from issuance.wire.news import tell_cohort
from issuance.wire.outbox import Outgoing
from issuance.wire.refusals import Message, Outcome


def register_submissions(
    connection: Connection, messages: Sequence[Message], context: Context
) -> tuple[list[Outcome], list[Outgoing]]:
    """Register announced packages: idempotent; other content while a submission is live is refused."""
    return [Outcome(message, _register(connection, message.value or {}, context)) for message in messages], []


RECORD = "cohort_submission"
STAGE = Stage("submissions", "cohort-submissions", RECORD, register_submissions)


def _register(connection: Connection, announced: Any, context: Context) -> str | None:
    if head_refusal(RECORD, announced, milliseconds(context.now)):
        return "FIELD_INVALID"
    value = {**announced, "opens_on": date_of(announced["opens_on"])}
    try:
        city = load_city(context.settings, value["city"])
        if not value["amends"]:
            city.require_calendar(value["opens_on"])
    except Refused as refused:
        return refused.code
    connection.execute(
        "INSERT INTO cohort (cohort_id, city, category, opens_on, state, registered_on)"
        " VALUES (%s, %s, %s, %s, 'REGISTERED', %s) ON CONFLICT (cohort_id) DO NOTHING",
        (value["cohort_id"], value["city"], value["category"], value["opens_on"], context.day),
    )
    cohort_no, withdrawn = one(
        connection,
        "SELECT cohort_no, withdrawal IS NOT NULL FROM cohort WHERE cohort_id = %s FOR UPDATE",
        (value["cohort_id"],),
    )
    earlier = connection.execute(
        "SELECT number, sha256, state, amends FROM submission WHERE cohort_no = %s ORDER BY number", (cohort_no,)
    ).fetchall()
    if any(sha256 == value["sha256"] for _, sha256, _, _ in earlier):
        return None
    if withdrawn:
        return "COHORT_WITHDRAWN"
    if code := may_not_submit([(state, amends) for _, _, state, amends in earlier], value["amends"]):
        return code
    number = len(earlier)
    connection.execute(
        "INSERT INTO submission (cohort_no, number, sha256, declared, amends, manifest, submitted_by, state)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, 'REGISTERED')",
        (cohort_no, number, value["sha256"], value["declared"], value["amends"], value["manifest"],
         value["submitted_by"]),
    )  # fmt: skip
    connection.execute(
        # nothing of a refused cohort is kept, so the next submission sets its attributes anew
        "UPDATE cohort SET state = 'REGISTERED', city = %s, category = %s, opens_on = %s"
        " WHERE cohort_no = %s AND state = 'REFUSED'",
        (value["city"], value["category"], value["opens_on"], cohort_no),
    )
    audit(connection, value["submitted_by"], "submit", value["cohort_id"], context.day, {"submission": number})
    tell_cohort(connection, value["cohort_id"], "REGISTERED", context.day, submission=number)
    return None


def may_not_submit(earlier: Sequence[tuple[str, bool]], amends: bool) -> str | None:
    """Why a package may not be submitted to a cohort with these submissions (state, amends); None if it may.

    `submit` checks it to tell people, registration checks it again: other submissions may have come in between.
    """
    live = [state for state, correction in earlier if state != "REFUSED" and not correction]
    if live and not amends:
        return "SUBMISSION_LIVE"
    if amends and not live:
        return "NOTHING_TO_AMEND"
    if amends and any(state != "ACCEPTED" for state in live):
        return "SUBMISSION_UNDECIDED"
    return None


def register_parts(connection: Connection, store: ObjectStore, cohort_id: str, number: int) -> list[int]:
    """Take the manifest's parts into the ledger; returns their numbers. Idempotent."""
    row = connection.execute(
        "SELECT cohort_no, manifest FROM cohort JOIN submission USING (cohort_no) WHERE cohort_id = %s AND number = %s",
        (cohort_id, number),
    ).fetchone()
    if row is None:
        raise LookupError(f"no submission {number} of cohort {cohort_id}")
    parts = json.loads(store.get(row[1], most_bytes("manifest")))["parts"]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO part (cohort_no, submission, part, object, file, lines, rows)"
            " VALUES (%s, %s, %s, %s, %s, %s::int4multirange, %s) ON CONFLICT DO NOTHING",
            [(row[0], number, p["part"], p["object"], p["file"], p["lines"], p["rows"]) for p in parts],
        )
    return [int(part["part"]) for part in parts]
