"""Tracking: full topics to a journal row an item and the state of its plastic, positions in the same transaction.

A process of its own (`python -m bench.bare.tracking`): told on its first line of input, ready when it says so, and
begins with the second line.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

FRAME = 5
ITEMS = 20_000
"""In a transaction."""
DAY = date(2025, 10, 9)
TYPES = ["date", "text", "int4", "bytea", "int2", "text", "int8", "text"]
"""A uuid travels as its 16 bytes."""
COLUMNS = "day, report_id, item, card_ref, attempt, milestone, occurred_at, handover"


def plain(schema: Any) -> Any:
    """The schema without logical types: instants are read as numbers."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def decode(schema: Any, framed: bytes) -> Any:
    """The report of a message."""
    return fastavro.schemaless_reader(io.BytesIO(framed[FRAME:]), schema, None)


def take(connection: psycopg.Connection[Any], reports: list[Any], reached: dict[tuple[str, int], int]) -> None:
    """One transaction: rows to the journal, states forward, positions."""
    with connection.transaction():
        connection.execute("TRUNCATE staged")
        with connection.cursor().copy(f"COPY staged ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(TYPES)
            for report in reports:
                head, handover = report["report_id"], report["handover_id"]
                for number, item in enumerate(report["items"]):
                    card_ref = bytes.fromhex(item["card_ref"].replace("-", ""))
                    at = item["occurred_at"]
                    copy.write_row((DAY, head, number, card_ref, item["attempt"], item["milestone"], at, handover))
        connection.execute(f"INSERT INTO journal ({COLUMNS}) SELECT {COLUMNS} FROM staged")
        connection.execute(
            "UPDATE plastic p SET state = s.milestone, since = s.occurred_at FROM (SELECT DISTINCT ON"
            " (card_ref, attempt) card_ref, attempt, milestone, occurred_at FROM staged"
            " ORDER BY card_ref, attempt, occurred_at DESC) s"
            " WHERE p.card_ref = s.card_ref AND p.attempt = s.attempt AND p.since < s.occurred_at"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO position VALUES (%s, %s, %s) ON CONFLICT (topic, partition) DO UPDATE SET"
                " next = excluded.next",
                [(*place, offset) for place, offset in reached.items()],
            )


def main() -> None:
    """Read the told partitions to their ends."""
    told = json.loads(sys.stdin.readline())
    schema = fastavro.parse_schema(plain(json.loads(Path(__file__).with_name("card_report.avsc").read_text("utf-8"))))
    ends = {(topic, partition): end for topic, partition, end in told["ends"]}
    consumer = Consumer({**told["kafka"], "group.id": told["group"], "enable.auto.commit": False})
    with psycopg.connect(told["database_url"], autocommit=True) as connection:
        connection.execute(f"CREATE TEMP TABLE staged AS SELECT {COLUMNS} FROM journal LIMIT 0")
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in ends])
        print("ready", flush=True)
        sys.stdin.readline()
        while ends:
            reports: list[Any] = []
            reached: dict[tuple[str, int], int] = {}
            items = 0
            while items < ITEMS and ends:
                for message in consumer.consume(100, 0.2):
                    if message.error():
                        raise KafkaException(message.error())
                    place = message.topic(), message.partition()
                    reports.append(decode(schema, message.value()))
                    items += len(reports[-1]["items"])
                    reached[place] = message.offset() + 1
                    if reached[place] == ends[place]:
                        del ends[place]
            take(connection, reports, reached)
    consumer.close()


if __name__ == "__main__":
    main()
