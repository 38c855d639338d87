"""From decided rows to cards: persons sealed in blocks, cards that know their block and position.

Every function may be run again: references, blocks and positions are derived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import pandas as pd

from issuance.city.policy import Policy
from issuance.errors import Broken
from issuance.intake.identifiers import plain
from issuance.intake.session import Intake, require_state, validated_key
from issuance.ledger.connection import Connection, business_day, business_now, transaction
from issuance.ledger.queries import one
from issuance.vault.blocks import BLOCK_ROWS
from issuance.vault.masking import mask_person
from issuance.wire.news import tell_cohort

BLOCKS_AT_ONCE = 4
"""Blocks in flight: while S3 stores one the next is prepared, and no more wait in memory."""
INTAKE_SOURCE = "INTAKE"
"""The source of holder events that intake itself raises; no partner has this name."""

VAULT_FIELDS = (
    "name", "id_type", "id_number", "social_security_number", "sex", "birth_date", "nationality", "phone",
    "region_code", "address", "postcode", "old_card_number", "guardian_name", "guardian_id_number", "photo_ref",
    "photo_sha256",
)  # fmt: skip


def accept_part(intake: Intake, part: int) -> int:
    """Seal the accepted rows of one part into blocks and make their cards; returns how many."""
    with transaction(intake.settings.database_url) as connection:
        require_state(connection, intake, "VALIDATED")
        now = business_now(connection)
        accepted = {
            row[0].hex: row[1:]
            for row in connection.execute(
                "SELECT card_ref, file, line, person FROM row_outcome"
                " WHERE (cohort_no, submission) = (%s, %s) AND part = %s AND outcome = 'accepted'",
                (*intake.key, part),
            )
        }
    frame = intake.parts.read(validated_key(intake, part))
    lines = {line for _, line, _ in accepted.values()}
    frame = frame[frame["card_ref"].isin(list(accepted)) & frame["line"].isin(list(lines))]
    if len(frame) != len(accepted):  # a person was erased from the part: positions would shift under the cards
        raise Broken("ROWS_MISSING", f"part {part} has only {len(frame)} of {len(accepted)} accepted rows")
    frame = _with_order(intake, frame)
    rows = list(_seal_blocks(intake, part, frame, accepted, now))
    with transaction(intake.settings.database_url) as connection:
        _insert_cards(connection, rows)
    return len(rows)


def _with_order(intake: Intake, frame: pd.DataFrame) -> pd.DataFrame:
    """Factory, due date and place of each row; sorted so that a block has one factory and due date."""
    applied = pd.to_datetime(frame["applied_at"].str.slice(0, 10)).dt.date
    start = applied.where(applied > intake.opens_on, intake.opens_on)
    place = frame["outlet_code"].where(frame["collection_method"] == "outlet", frame["region_code"])
    place = place.mask(frame["collection_method"] == "employer", frame["employer_code"])
    ordered = frame.assign(
        factory=frame["bank_code"].map(intake.city.partners.factory_of_bank),
        applied_on=applied,
        due_on=start.map({day: intake.city.due_on(day) for day in start.unique()}),
        place=place,
    )
    return ordered.sort_values(["factory", "due_on", "bank_code", "line"], kind="stable")


def _seal_blocks(
    intake: Intake, part: int, frame: pd.DataFrame, accepted: dict[str, Any], now: Any
) -> Iterable[CardRow]:
    """Write blocks, a few at the same time, and yield the card rows that point into them."""
    number = (intake.submission * 10_000 + part) * 10_000
    writing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(BLOCKS_AT_ONCE) as pool:
        for _, group in frame.groupby(["factory", "due_on"], sort=True):
            for start in range(0, len(group), BLOCK_ROWS):
                batch = group.iloc[start : start + BLOCK_ROWS]
                writing.append(pool.submit(intake.vault.write_block, number, _persons(batch)))
                yield from _card_rows(intake, batch, accepted, number, now)
                number += 1
                if len(writing) > BLOCKS_AT_ONCE:
                    writing.popleft().result()
        for block in writing:
            block.result()


def _persons(batch: pd.DataFrame) -> list[dict[str, str]]:
    """The persons of a block, each with the masked text that people may see."""
    columns = [plain(batch[name]) for name in VAULT_FIELDS]
    persons = [dict(zip(VAULT_FIELDS, values, strict=True)) for values in zip(*columns, strict=True)]
    for person, ref in zip(persons, plain(batch["card_ref"]), strict=True):
        person["social_security_number"] = person["social_security_number"] or person["id_number"]
        person["masked"] = mask_person(person["name"], person["id_number"])
        person["card_ref"] = f"{ref[:8]}-{ref[8:12]}-{ref[12:16]}-{ref[16:20]}-{ref[20:]}"
    return persons


CARD_COLUMNS = (
    "card_ref", "application_id", "kind", "category", "bank_code", "factory", "applied_on", "due_on",
    "old_card_generation", "collection_method", "place", "fee_status",
)  # fmt: skip


def _card_rows(
    intake: Intake, batch: pd.DataFrame, accepted: dict[str, Any], block: int, now: Any
) -> Iterable[CardRow]:
    """The card rows of a block, in its order."""
    rows = zip(*(batch[name].tolist() for name in CARD_COLUMNS), strict=True)
    for position, (
        ref,
        application,
        kind,
        category,
        bank,
        factory,
        applied,
        due,
        generation,
        method,
        place,
        fee,
    ) in enumerate(rows):
        file, line, person = accepted[ref]
        held = "fee" if _is_held(intake.city.policy, kind, method, fee) else None
        yield CardRow(
            bytes.fromhex(ref), intake.cohort_no, application, person, intake.submission, file, line, kind, category,
            bank, factory, applied, due, int(generation) if generation else None, method, place, block, position,
            held, "HELD" if held else "WAITING", now,
        )  # fmt: skip


def _is_held(policy: Policy, kind: str, method: str, fee_status: str) -> bool:
    """Whether a card waits for its fee: the policy holds such cards, something is due, and it is unpaid."""
    return policy.hold_until_paid and fee_status == "unpaid" and policy.charge(kind, method) > 0


class CardRow(NamedTuple):
    """A new card as copied into the table `card`; all other columns have defaults."""

    card_ref: bytes
    cohort_no: int
    application_id: str
    person: bytes | None
    submission: int
    file: str
    line: int
    kind: str
    category: str
    bank: str
    factory: str
    applied_on: date
    due_on: date
    old_card_generation: int | None
    collection_method: str
    place: str
    block: int
    position: int
    held: str | None
    state: str
    since: datetime


CARD_TYPES = (
    # of the columns of CardRow; a uuid travels as its 16 bytes
    "bytea", "int4", "text", "bytea", "int4", "text", "int4", "text", "text", "text", "text", "date", "date", "int2",
    "text", "text", "int8", "int4", "text", "text", "timestamptz",
)  # fmt: skip


def _insert_cards(connection: Connection, rows: Sequence[CardRow]) -> None:
    """Make a part's cards by COPY in one transaction, so that an earlier try left all of them or none."""
    if not rows or connection.execute("SELECT FROM card WHERE card_ref = %s", (UUID(bytes=rows[0][0]),)).fetchone():
        return
    with connection.cursor().copy(f"COPY card ({', '.join(CardRow._fields)}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(CARD_TYPES)
        for row in rows:
            copy.write_row(row)
    with connection.cursor().copy("COPY changed_card FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(("bytea",))
        for row in rows:
            copy.write_row(row[:1])


def finish_submission(intake: Intake) -> dict[str, int]:
    """Accept the submission once every accepted row is a card; returns counts by outcome.

    Raises:
        Broken: a part is missing cards (run its acceptance again).
    """
    with transaction(intake.settings.database_url) as connection:
        require_state(connection, intake, "VALIDATED")
        connection.execute("ANALYZE card")
        counts = dict(
            connection.execute(
                "SELECT outcome, count(*) FROM row_outcome WHERE (cohort_no, submission) = (%s, %s) GROUP BY outcome",
                intake.key,
            ).fetchall()
        )
        (cards,) = one(connection, "SELECT count(*) FROM card WHERE (cohort_no, submission) = (%s, %s)", intake.key)
        if cards != counts.get("accepted", 0):
            raise Broken("CARDS_MISSING", f"{counts.get('accepted', 0)} rows accepted, {cards} cards made")
        _tell_second_applications(connection, intake)
        connection.execute(
            "UPDATE card c SET replaces = a.replaces FROM acceptance a WHERE a.card_ref = c.card_ref"
            " AND a.replaces IS NOT NULL AND (c.cohort_no, c.submission) = (%s, %s)",
            intake.key,
        )
        connection.execute("UPDATE submission SET state = 'ACCEPTED' WHERE (cohort_no, number) = (%s, %s)", intake.key)
        connection.execute(
            "UPDATE cohort SET state = 'ACCEPTED' WHERE cohort_no = %s AND state = 'REGISTERED'", (intake.cohort_no,)
        )
        connection.execute(
            "INSERT INTO tally (cohort_no, state, cards)"
            " SELECT cohort_no, state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1, 2"
            " ON CONFLICT (cohort_no, state) DO UPDATE SET cards = excluded.cards",
            (intake.cohort_no,),
        )
        tell_cohort(
            connection, intake.cohort_id, "ACCEPTED", business_day(connection), submission=intake.submission,
            details=counts,
        )  # fmt: skip
    return {str(outcome): int(count) for outcome, count in counts.items()}


def _tell_second_applications(connection: Connection, intake: Intake) -> None:
    """A reapplication for a card in store becomes a holder event of that card, with intake as its source."""
    connection.execute(
        "WITH told AS (INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at)"
        " SELECT %s, event_id, sha256(convert_to(event_id || card_ref, 'UTF8')), 'SECOND_APPLICATION', card_ref, %s"
        " FROM (SELECT concat_ws('/', %s::text, submission, part, line) AS event_id, card_ref FROM row_outcome"
        " WHERE (cohort_no, submission) = (%s, %s) AND reasons = ARRAY['SECOND_APPLICATION']) r"
        " ON CONFLICT DO NOTHING RETURNING card_ref) INSERT INTO changed_card SELECT card_ref FROM told",
        (INTAKE_SOURCE, business_now(connection), intake.cohort_id, *intake.key),
    )
