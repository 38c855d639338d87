"""One person: identified by card, application or the hash of an ID number, and everything held about them.

All cards of a person count, in other cohorts too. What nobody can open any more is not held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from issuance.errors import Refused
from issuance.intake.parts import PartStore
from issuance.ledger.connection import Connection
from issuance.ledger.overlays import overlays
from issuance.ledger.queries import rows_of
from issuance.vault.blocks import PersonErased, Vault
from issuance.vault.keys import KeyDestroyed, KeyService
from issuance.vault.objects import ObjectStore
from issuance.vault.photos import photo_key

DECIDED = ("ACCEPTED", "REFUSED")
"""States of a submission that no longer reads its parts."""


class Named(NamedTuple):
    """How an operator identifies a person; of an ID number only the keyed hash is used."""

    card_ref: str | None = None
    application: tuple[str, str] | None = None
    """(cohort, application_id)."""
    person: bytes | None = None


class HeldCard(NamedTuple):
    """A card of the person, and where the person lies in the vault."""

    card_ref: UUID
    cohort_no: int
    cohort_id: str
    state: str
    block: int
    position: int
    overlays: list[str]


class RawRow(NamedTuple):
    """A row of a submission about the person, as it was read."""

    cohort_no: int
    cohort_id: str
    submission: int
    part: int
    object: str
    file: str
    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Held:
    """Everything about a person that can be opened: cards, the vault's values by card, rows as submitted."""

    cards: Sequence[HeldCard]
    values: Mapping[UUID, dict[str, str]]
    rows: Sequence[RawRow]

    def photos(self) -> list[tuple[str, str]]:
        """(cohort, SHA-256) of the photos that came with the person's rows."""
        of_cards = [(card.cohort_id, self.values.get(card.card_ref, {}).get("photo_sha256", "")) for card in self.cards]
        of_rows = [(row.cohort_id, row.values["photo_sha256"].strip().lower()) for row in self.rows]
        return sorted({(cohort, sha256) for cohort, sha256 in [*of_cards, *of_rows] if sha256})

    def photo_keys(self) -> list[str]:
        """Their object keys."""
        return [photo_key(cohort, sha256) for cohort, sha256 in self.photos()]


def find_card(connection: Connection, named: Named) -> UUID:
    """A card of the person.

    Raises:
        Refused: no such card, or nobody with this number has one.
    """
    found = None
    if named.card_ref is not None:
        found = connection.execute(
            "SELECT card_ref FROM card WHERE card_ref::text = lower(%s)", (named.card_ref,)
        ).fetchone()
    elif named.application is not None:
        found = connection.execute(
            "SELECT card_ref FROM card JOIN cohort USING (cohort_no) WHERE (cohort_id, application_id) = (%s, %s)",
            named.application,
        ).fetchone()
    elif named.person is not None:
        found = connection.execute(
            "SELECT card_ref FROM card WHERE person = %(person)s"
            " UNION ALL SELECT card_ref FROM acceptance WHERE person = %(person)s LIMIT 1",
            {"person": named.person},
        ).fetchone()
    if found is None:
        raise Refused(
            "PERSON_UNKNOWN",
            "没有这样的卡；仅有隔离行的人请用 issuance quarantine export 查找。"
            " / no such card; rows that were never accepted are found with issuance quarantine export.",
        )
    return UUID(str(found[0]))


def list_cards(connection: Connection, card_ref: UUID) -> list[dict[str, Any]]:
    """The card and all others of its person, with the city of each; no personal data, nothing is locked."""
    return rows_of(
        connection,
        "SELECT card_ref, cohort_id, city, application_id, c.state, since, bank, due_on FROM card c"
        " JOIN cohort USING (cohort_no) WHERE c.card_ref = %(ref)s"
        " OR c.person = (SELECT person FROM card WHERE card_ref = %(ref)s) ORDER BY 2, 4",
        {"ref": card_ref},
    )


def cards_of(connection: Connection, card_ref: UUID) -> list[HeldCard]:
    """The card and all others of its person, the one named first. Locks them: no event changes them meanwhile."""
    rows = connection.execute(
        "SELECT c.card_ref, c.cohort_no, cohort_id, c.state, block, position, o.overlays FROM card c"
        f" JOIN cohort USING (cohort_no){overlays('true')} WHERE c.card_ref = %(ref)s"
        " OR c.person = (SELECT person FROM card WHERE card_ref = %(ref)s)"
        " ORDER BY c.card_ref <> %(ref)s, c.card_ref FOR UPDATE OF c",
        {"ref": card_ref},
    ).fetchall()
    return [HeldCard(*row) for row in rows]


def gather(connection: Connection, store: ObjectStore, keys: KeyService, cards: Sequence[HeldCard]) -> Held:
    """Open everything held about a person.

    Raises:
        Refused: a submission that may contain rows of the person is still in intake.
    """
    values = {card.card_ref: found for card in cards if (found := read_values(store, keys, card)) is not None}
    numbers = {person["id_number"] for person in values.values()}
    lines = _known_lines(connection, cards)
    cohorts = {card.cohort_no for card in cards} | {cohort_no for cohort_no, *_ in lines}
    rows = list(_raw_rows(connection, partial(PartStore, store, keys), cohorts, numbers, lines))
    return Held(cards, values, rows)


def read_values(store: ObjectStore, keys: KeyService, card: HeldCard) -> dict[str, str] | None:
    """The vault's values of a card with the changed ones on top; None where they were erased."""
    vault = Vault(store, keys, card.cohort_id)
    try:
        return next(vault.read_persons([(card.block, card.position, card.overlays)]))
    except (KeyDestroyed, PersonErased):
        return None


def _known_lines(connection: Connection, cards: Sequence[HeldCard]) -> set[tuple[int, int, str, int]]:
    """(cohort_no, submission, file, line) of the rows that the ledger knows as the person's, duplicates included."""
    return set(
        connection.execute(
            "SELECT r.cohort_no, r.submission, r.file, r.line FROM row_outcome r WHERE r.person IN"
            " (SELECT person FROM card WHERE card_ref = ANY (%(cards)s))"
            " UNION SELECT cohort_no, submission, file, line FROM card WHERE card_ref = ANY (%(cards)s)",
            {"cards": [card.card_ref for card in cards]},
        ).fetchall()
    )


def _raw_rows(
    connection: Connection, parts_of: Any, cohorts: set[int], numbers: set[str], lines: set[tuple[int, int, str, int]]
) -> Iterator[RawRow]:
    """The person's rows in the inbox parts of these cohorts: known lines, and any row with the person's ID number."""
    parts = connection.execute(
        "SELECT p.cohort_no, cohort_id, p.submission, p.part, p.object, p.file, s.state FROM submission s"
        " JOIN cohort USING (cohort_no) LEFT JOIN part p ON (p.cohort_no, p.submission) = (s.cohort_no, s.number)"
        " WHERE s.cohort_no = ANY (%s) ORDER BY 1, 3, 4",
        (sorted(cohorts),),
    ).fetchall()
    if under_way := sorted({str(row[1]) for row in parts if row[6] not in DECIDED}):
        raise Refused(
            "INTAKE_UNDER_WAY",
            f"批次 {', '.join(under_way)} 正在受理，办结后再试。"
            f" / rows of {', '.join(under_way)} are in intake: try again when that has ended.",
        )
    for cohort_no, cohort_id, submission, part, object_, file, _ in parts:
        if object_ is None:
            continue
        of = {line for no, number, name, line in lines if (no, number, name) == (cohort_no, submission, file)}
        for line, values in _rows_in(parts_of(cohort_id), object_, numbers, of):
            yield RawRow(cohort_no, cohort_id, submission, part, object_, file, line, values)


def _rows_in(
    parts: PartStore, object_: str, numbers: set[str], lines: set[int]
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, values) of a part's rows with one of these lines or ID numbers; none of a part whose key is destroyed."""
    from issuance.intake.columns import NAMES
    from issuance.intake.normalise import normalise

    try:
        frame = parts.read(object_)
    except KeyDestroyed:
        return
    found = normalise(frame.copy())[0]["id_number"].isin(list(numbers)) | frame["line"].isin(list(lines))
    for line, *values in frame[found.to_numpy()][["line", *NAMES]].itertuples(index=False):
        yield int(line), dict(zip(NAMES, map(str, values), strict=True))
