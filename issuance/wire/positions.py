"""Positions of topics in the ledger: read on assignment, locked and moved with every transaction (principle 6).

A position names the topic's own id, so that another Kafka, or a topic made anew under the same name, is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from kafka import TopicPartition

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.wire.faults import HOLDING

Place = tuple[str, int]
"""Topic and number of a partition."""


def read_positions(connection: Connection, partitions: Sequence[Any]) -> dict[Any, int]:
    """The ledger's next offsets of these partitions."""
    rows = connection.execute("SELECT topic, topic_partition, next_offset FROM topic_position").fetchall()
    known = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
    return {partition: known[partition] for partition in partitions if partition in known}


def lock_positions(connection: Connection, places: set[Place], ids: Mapping[str, UUID | None]) -> dict[Place, int]:
    """Lock the positions of these partitions, in key order, and return them; a second process waits here. `ids`: the
    topics' own, for positions that are new."""
    topics, numbers = [topic for topic, _ in sorted(places)], [number for _, number in sorted(places)]
    connection.execute(
        "INSERT INTO topic_position (topic, topic_partition, next_offset, topic_id)"
        " SELECT topic, number, 0, topic_id FROM unnest(%s::text[], %s::int[], %s::uuid[]) AS p (topic, number,"
        " topic_id) ORDER BY 1, 2 ON CONFLICT DO NOTHING",
        (topics, numbers, [ids.get(topic) for topic in topics]),
    )
    rows = connection.execute(
        "SELECT topic, topic_partition, next_offset FROM topic_position WHERE (topic, topic_partition) IN"
        " (SELECT unnest(%s::text[]), unnest(%s::int[])) ORDER BY 1, 2 FOR UPDATE",
        (topics, numbers),
    )
    return {(topic, partition): offset for topic, partition, offset in rows}


def write_positions(connection: Connection, offsets: Mapping[Place, int]) -> None:
    """Move locked positions to these next offsets."""
    connection.execute(
        "UPDATE topic_position p SET next_offset = o.next_offset"
        " FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS o (topic, number, next_offset)"
        " WHERE (p.topic, p.topic_partition) = (o.topic, o.number)",
        ([t for t, _ in offsets], [n for _, n in offsets], list(offsets.values())),
    )


def changed_topics(
    connection: Connection, logs: Mapping[Any, tuple[int, int]], ids: Mapping[str, UUID | None]
) -> Iterator[tuple[str, str]]:
    """(`topic/number`, what is wrong) of partitions whose position is of another topic, or outside of the log.

    `logs`: the first and the next offset that each partition has now; `ids`: the topics' ids now.
    """
    rows = connection.execute("SELECT topic, topic_partition, next_offset, topic_id FROM topic_position").fetchall()
    for topic, number, offset, known in rows:
        log = logs.get(TopicPartition(topic, number))
        if log is None:
            continue
        if known is not None and ids.get(topic) not in (None, known):
            yield f"{topic}/{number}", f"the topic is another one: its id is {ids[topic]}, was {known}"
        elif not log[0] <= offset <= log[1]:
            yield f"{topic}/{number}", f"the position {offset} is outside of the log, {log[0]} to {log[1]}"


def name_topics(connection: Connection, ids: Mapping[str, UUID | None]) -> None:
    """Keep the ids of topics whose positions have none yet."""
    known = {topic: topic_id for topic, topic_id in ids.items() if topic_id is not None}
    connection.execute(
        "UPDATE topic_position p SET topic_id = i.topic_id FROM unnest(%s::text[], %s::uuid[]) AS i (topic, topic_id)"
        " WHERE p.topic = i.topic AND p.topic_id IS NULL",
        (list(known), list(known.values())),
    )


def go_on(connection: Connection, topic: str) -> list[str]:
    """Read a held topic again: one that has changed from its beginning (what was applied before does nothing), one that
    was held for its messages from where it stood. Returns the kinds of faults that held it.

    Raises:
        Refused: it is not held.
    """
    rows = connection.execute(
        "DELETE FROM fault WHERE kind = ANY (%s) AND reference ^@ %s RETURNING kind", (list(HOLDING), f"{topic}/")
    ).fetchall()
    if not rows:
        raise Refused("TOPIC_NOT_HELD", f"主题 {topic} 没有停读。 / the topic {topic} is not held.")
    kinds = sorted({kind for (kind,) in rows})
    if "TOPIC_CHANGED" in kinds:
        connection.execute("DELETE FROM topic_position WHERE topic = %s", (topic,))
    return kinds
