"""From decided rows to cards: persons sealed in blocks, cards that know their block and position.

Every function may be run again: references, blocks and positions are derived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pandas as pd

from issuance.errors import Broken
from issuance.intake.session import Intake, require_state, validated_key
from issuance.ledger.connection import Connection, business_day, business_now, transaction
from issuance.ledger.news import tell_cohort
from issuance.vault.blocks import BLOCK_ROWS
from issuance.vault.masking import mask_id_number, mask_name

INTAKE_SOURCE = "INTAKE"
"""The source of holder events that intake itself finds; no partner has this name."""

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
            str(row[0]): row[1:]
            for row in connection.execute(
                "SELECT card_ref, file, line, person FROM row_outcome"
                " WHERE (cohort_no, submission) = (%s, %s) AND part = %s AND outcome = 'accepted'",
                (*intake.key, part),
            )
        }
    frame = intake.parts.read(validated_key(intake, part))
    lines = {line for _, line, _ in accepted.values()}
    frame = frame[frame["card_ref"].isin(list(accepted)) & frame["line"].isin(list(lines))]
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
        factory=frame["bank_code"].map(intake.registry.factory_of_bank),
        applied_on=applied,
        due_on=start.map(lambda day: day + timedelta(days=intake.policy.due_days)),
        place=place,
    )
    return ordered.sort_values(["factory", "due_on", "bank_code", "line"], kind="stable")


def _seal_blocks(
    intake: Intake, part: int, frame: pd.DataFrame, accepted: dict[str, Any], now: Any
) -> Iterable[tuple[Any, ...]]:
    """Write blocks in order and yield the card rows that point into them."""
    number = (intake.submission * 10_000 + part) * 10_000
    for _, group in frame.groupby(["factory", "due_on"], sort=True):
        for start in range(0, len(group), BLOCK_ROWS):
            batch: list[dict[str, Any]] = group.iloc[start : start + BLOCK_ROWS].to_dict("records")  # type: ignore[assignment]
            intake.vault.write_block(number, [_person(row) for row in batch])
            for position, row in enumerate(batch):
                file, line, person = accepted[row["card_ref"]]
                yield _card_row(intake, row, (file, line, person), (number, position), now)
            number += 1


def _person(row: dict[str, Any]) -> dict[str, str]:
    person = {name: row[name] for name in VAULT_FIELDS}
    person["social_security_number"] = row["social_security_number"] or row["id_number"]
    masked = f"{mask_name(row['name'])} {mask_id_number(row['id_number'])}"
    return person | {"card_ref": row["card_ref"], "masked": masked}


def _card_row(
    intake: Intake,
    row: dict[str, Any],
    origin: tuple[str, int, bytes],
    place: tuple[int, int],
    now: Any,
) -> tuple[Any, ...]:
    file, line, person = origin
    held = "fee" if row["fee_status"] == "unpaid" else None
    generation = int(row["old_card_generation"]) if row["old_card_generation"] else None
    return (
        UUID(row["card_ref"]), intake.cohort_no, row["application_id"], person, intake.submission, file, line,
        row["kind"], row["category"], row["bank_code"], row["factory"], row["applied_on"], row["due_on"], generation,
        row["collection_method"], row["place"], *place, held, None, 0, None, "HELD" if held else "WAITING", now, 0,
        None,
    )  # fmt: skip


CARD_TYPES = (
    "uuid", "int4", "text", "bytea", "int4", "text", "int4", "text", "text", "text", "text", "date", "date", "int2",
    "text", "text", "int8", "int4", "text", "text", "int2", "int2", "text", "timestamptz", "int4", "date",
)  # fmt: skip


def _insert_cards(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Make cards by COPY; those that stand already from an earlier try stay."""
    connection.execute("CREATE TEMP TABLE new_card (LIKE card) ON COMMIT DROP")
    with connection.cursor().copy("COPY new_card FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(CARD_TYPES)
        for row in rows:
            copy.write_row(row)
    connection.execute(
        "WITH made AS (INSERT INTO card SELECT * FROM new_card ON CONFLICT DO NOTHING RETURNING card_ref)"
        " INSERT INTO changed_card SELECT card_ref FROM made"
    )


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
        (cards,) = connection.execute(
            "SELECT count(*) FROM card WHERE (cohort_no, submission) = (%s, %s)", intake.key
        ).fetchone() or (0,)
        if cards != counts.get("accepted", 0):
            raise Broken("CARDS_MISSING", f"{counts.get('accepted', 0)} rows accepted, {cards} cards made")
        _tell_second_applications(connection, intake)
        connection.execute("UPDATE submission SET state = 'ACCEPTED' WHERE (cohort_no, number) = (%s, %s)", intake.key)
        connection.execute(
            "UPDATE cohort SET state = 'ACCEPTED' WHERE cohort_no = %s AND state = 'REGISTERED'", (intake.cohort_no,)
        )
        connection.execute(
            "INSERT INTO tally SELECT cohort_no, state, count(*) FROM card WHERE cohort_no = %s GROUP BY 1, 2"
            " ON CONFLICT (cohort_no, state) DO UPDATE SET cards = excluded.cards",
            (intake.cohort_no,),
        )
        tell_cohort(
            connection, intake.cohort_id, "ACCEPTED", business_day(connection), submission=intake.submission,
            details=counts,
        )  # fmt: skip
    return {str(outcome): int(count) for outcome, count in counts.items()}


def _tell_second_applications(connection: Connection, intake: Intake) -> None:
    """A reapplication for a card in store is a holder event of that card, whose source is intake itself."""
    connection.execute(
        "WITH told AS (INSERT INTO holder_event (source, event_id, sha256, event, card_ref, occurred_at)"
        " SELECT %s, event_id, sha256(convert_to(event_id || card_ref, 'UTF8')), 'SECOND_APPLICATION', card_ref, %s"
        " FROM (SELECT concat_ws('/', %s::text, submission, part, line) AS event_id, card_ref FROM row_outcome"
        " WHERE (cohort_no, submission) = (%s, %s) AND reasons = ARRAY['SECOND_APPLICATION']) r"
        " ON CONFLICT DO NOTHING RETURNING card_ref) INSERT INTO changed_card SELECT card_ref FROM told",
        (INTAKE_SOURCE, business_now(connection), intake.cohort_id, *intake.key),
    )
