"""Intake: a CSV file read, sealed part by part, opened again; an outcome and a card a row, persons sealed in blocks."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from bench.bare.access import Access
from bench.bare.avro import encode_body
from bench.bare.database import CARD, OUTCOME, Connection, copying, database
from bench.bare.keys import Keys
from bench.bare.stages import Stages
from bench.bare.store import Store

DAY, SINCE = date(2025, 10, 9), datetime(2025, 10, 9, tzinfo=UTC)
BLOCK_ROWS = 1000
FIELDS = (
    "name", "id_type", "id_number", "social_security_number", "sex", "birth_date", "nationality", "phone",
    "region_code", "address", "postcode", "old_card_number", "guardian_name", "guardian_id_number", "photo_ref",
    "photo_sha256",
)  # fmt: skip
Row = dict[str, str]


def run(access: Access, applications: str, part_rows: int) -> Stages:
    """Seconds a stage, all rows being taken in."""
    stages, store, keys = Stages(), Store(access), Keys(access.keys)
    with stages.stage("read and seal parts"):
        header, objects = seal_parts(access, store, keys, Path(applications), part_rows)
    with database(access.database_url, access.run) as connection, stages.stage("open, seal blocks, copy"):
        for part, key in enumerate(objects):
            rows = [dict(zip(header, row, strict=True)) for row in json.loads(keys.open(key, store.get(key)))]
            cards = copy_outcomes(connection, access, keys, part, rows)
            for start in range(0, len(rows), BLOCK_ROWS):
                name = f"vault/{access.run}/bare-{part}-{start}"
                store.put(name, keys.seal(name, encode_block(rows[start : start + BLOCK_ROWS])))
            with copying(connection, "card", CARD) as copy:
                for card in cards:
                    copy.write_row(card)
        connection.commit()
    return stages


def seal_parts(
    access: Access, store: Store, keys: Keys, applications: Path, part_rows: int
) -> tuple[list[str], list[str]]:
    """The file's header, and the objects that hold its rows."""
    objects: list[str] = []
    with applications.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        while rows := list(islice(reader, part_rows)):
            key = f"inbox/{access.run}/{len(objects)}"
            store.put(key, keys.seal(key, json.dumps(rows, ensure_ascii=False).encode()))
            objects.append(key)
    return header, objects


def copy_outcomes(
    connection: Connection, access: Access, keys: Keys, part: int, rows: list[Row]
) -> list[tuple[Any, ...]]:
    """Write an outcome a row; returns a card for each."""
    namespace = uuid5(uuid5(NAMESPACE_URL, "urn:issuance:cards"), access.run)
    cards = []
    with copying(connection, "row_outcome", OUTCOME) as copy:
        for line, row in enumerate(rows, part * 1_000_000):
            ref, person = (
                uuid5(namespace, row["application_id"]).bytes,
                keys.hash_person(row["id_type"], row["id_number"]),
            )
            copy.write_row((1, 0, "f", line, part, "accepted", row["application_id"], person, ref, row["kind"],
                            None, None, None))  # fmt: skip
            cards.append((uuid4().bytes, 1, uuid4().hex, person, 0, "f", line, row["kind"], row["category"],
                          row["bank_code"], "F", DAY, DAY, None, row["collection_method"], row["region_code"],
                          line // BLOCK_ROWS, line % BLOCK_ROWS, None, None, 0, None, "WAITING", SINCE, 0, None,
                          None))  # fmt: skip
    return cards


def encode_block(rows: list[Row]) -> bytes:
    """The persons of a block."""
    persons = [{name: row.get(name, "") for name in FIELDS} | {"card_ref": "x" * 36, "masked": "m"} for row in rows]
    return encode_body("block", [encode_body("person", person) for person in persons])
