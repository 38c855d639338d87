"""Dispatch: cards read, blocks opened, a plastic and a job item a card; files encoded, signed, sealed, stored, told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from kafka import KafkaProducer

from bench.bare.access import Access
from bench.bare.avro import decode_body, encode_body, encode_job
from bench.bare.database import CARD, Connection, copying, database
from bench.bare.envelopes import make_pair, read_key, seal_signed
from bench.bare.intake import FIELDS
from bench.bare.keys import Keys
from bench.bare.stages import Stages
from bench.bare.store import Store

DAY, SINCE = date(2025, 10, 9), datetime(2025, 10, 9, tzinfo=UTC)
BLOCK_ROWS = 1000
JOB_SIZE = 5000
PERSON = dict.fromkeys(FIELDS, "") | {
    "name": "王建国", "id_type": "resident_id", "id_number": "11010519491231002X", "sex": "female",
    "social_security_number": "11010519491231002X", "birth_date": "1949-12-31", "phone": "13800000000",
    "region_code": "110105", "address": "北京市朝阳区某街道某小区一号楼二单元三零一室", "postcode": "100020",
    "masked": "王** 1***************2X",
}  # fmt: skip
GRANTED = (
    "name", "id_number", "social_security_number", "phone", "address", "postcode", "old_card_number", "photo_ref",
)  # fmt: skip


def run(access: Access, cards: int, factory_of_bank: Mapping[str, str], topics: Mapping[str, str]) -> Stages:
    """Seconds a stage, accepted cards having been made before; banks have equal shares, a factory has its topic."""
    stages, store, keys = Stages(), Store(access), Keys(access.keys)
    (private, _), (_, public) = make_pair(), make_pair()
    producer = make_producer(access, next(iter(topics.values())))
    with database(access.database_url, access.run) as connection:
        accept(connection, access, store, keys, cards, factory_of_bank)
        with stages.stage("read, write, seal, send"):
            write_wave(connection)
            signing, reader = read_key(private), read_key(public)
            for number, (name, ordered) in enumerate(jobs(connection)):
                job_id = f"{access.run}.{number}"
                write_job(connection, job_id, name, ordered)
                clear = encode_job(records(access, store, keys, ordered), job_id)
                store.put(f"bench/{job_id}.jwe", seal_signed(clear, signing, reader, name))
                producer.send(topics[name], b"bare", job_id.encode(), [])
            connection.commit()
            producer.flush()
            producer.close()
    return stages


def make_producer(access: Access, topic: str) -> Any:
    """An idempotent producer that waits for all replicas, connected before any clock runs."""
    producer = KafkaProducer(**access.kafka, allow_auto_create_topics=False, compression_type="gzip", linger_ms=5)
    producer.partitions_for(topic)
    return producer


def accept(
    connection: Connection, access: Access, store: Store, keys: Keys, cards: int, factory_of_bank: Mapping[str, str]
) -> None:
    """Cards over all banks, a third of them by mail, their persons in sealed blocks."""
    namespace = uuid5(uuid5(NAMESPACE_URL, "urn:issuance:cards"), access.run)
    banks = sorted(factory_of_bank)
    with copying(connection, "card", CARD) as copy:
        for n in range(cards):
            bank = banks[n * len(banks) // cards]
            copy.write_row((
                uuid5(namespace, str(n)).bytes, 1, f"A{n}", uuid4().bytes, 0, "f", n, "renewal", "retiree", bank,
                factory_of_bank[bank], DAY, DAY + timedelta(days=30), None, "mail" if n % 3 == 0 else "outlet",
                f"{bank}-1", n // BLOCK_ROWS, n % BLOCK_ROWS, None, None, 0, None, "WAITING", SINCE, 0, None, None,
            ))  # fmt: skip
    for start in range(0, cards, BLOCK_ROWS):
        refs = [str(uuid5(namespace, str(n))) for n in range(start, min(start + BLOCK_ROWS, cards))]
        body = encode_body("block", [encode_body("person", PERSON | {"card_ref": ref}) for ref in refs])
        name = block_name(access, start // BLOCK_ROWS)
        store.put(name, keys.seal(name, body))
    connection.commit()


def block_name(access: Access, block: int) -> str:
    """The object of a block."""
    return f"vault/{access.run}/block-{block:06d}"


def write_wave(connection: Connection) -> None:
    """The wave that all jobs are of."""
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " VALUES (1, 1, 'p', '{s}', %s, 0, '{}')", (DAY,)
    )  # fmt: skip


def jobs(connection: Connection) -> Iterator[tuple[str, list[Any]]]:
    """(factory, cards) of each job."""
    with connection.cursor("cards") as cursor:
        cursor.itersize = JOB_SIZE
        found: list[Any] = []
        for card in cursor.execute(
            "SELECT card_ref, factory, bank, collection_method, place, block, position FROM card ORDER BY bank, block"
        ):
            if found and (len(found) == JOB_SIZE or found[0][2] != card[2]):
                yield found[0][1], found
                found = []
            found.append(card)
        yield found[0][1], found


def write_job(connection: Connection, job_id: str, factory: str, cards: Sequence[Any]) -> None:
    """A job, its plastics and its items."""
    connection.execute(
        "INSERT INTO job (job_id, cohort_no, wave, bank, factory, due_on, start_on, card_count, hash_total, remake)"
        " VALUES (%s, 1, 1, 'B', %s, %s, %s, %s, '', false)", (job_id, factory, DAY, DAY, len(cards))
    )  # fmt: skip
    with connection.cursor().copy("COPY plastic (card_ref, attempt, job_id, bank, factory) FROM STDIN") as copy:
        for ref, _, bank, *_ in cards:
            copy.write_row((ref, 1, job_id, bank, factory))
    with connection.cursor().copy("COPY job_item (job_id, position, card_ref, attempt) FROM STDIN") as copy:
        for position, (ref, *_) in enumerate(cards):
            copy.write_row((job_id, position, ref, 1))


def records(access: Access, store: Store, keys: Keys, cards: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What a job's file says of each card; a block is opened once."""
    opened: dict[int, list[bytes]] = {}
    for ref, _, bank, method, place, block, position in cards:
        if block not in opened:
            name = block_name(access, block)
            opened[block] = list(decode_body("block", keys.open(name, store.get(name))))
        person = decode_body("person", opened[block][position])
        order = {"card_ref": str(ref), "attempt": 1, "bank": bank, "collection_method": method, "place": place}
        yield {**order, "pack": None, "postage": None, **{field: person[field] or None for field in GRANTED}}
