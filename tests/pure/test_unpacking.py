"""Batches of every codec: read up to a bound, and what is past it or broken is one record that says so; pure."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import lz4.frame
import pytest
import snappy
import zstandard
from kafka import TopicPartition
from kafka.codec import snappy_encode
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from issuance.wire import unpacking
from issuance.wire.unpacking import TooLarge, Unread, limit_batches, unpack

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
PACK: list[Any] = [
    pytest.param(GZIP, gzip.compress, id="gzip"),
    pytest.param(SNAPPY, snappy.compress, id="snappy"),
    pytest.param(SNAPPY, snappy_encode, id="snappy of Java"),
    pytest.param(LZ4, lz4.frame.compress, id="lz4"),
    pytest.param(ZSTD, zstandard.ZstdCompressor(level=19).compress, id="zstd"),
]
MIB = 1024 * 1024


@pytest.mark.parametrize(("codec", "pack"), PACK)
def test_a_batch_is_unpacked_up_to_its_bound(codec: int, pack: Callable[[bytes], bytes]) -> None:
    content = b"0123456789" * 100_000
    assert unpack(codec, pack(content), len(content)) == content
    with pytest.raises(TooLarge):
        unpack(codec, pack(content), len(content) - 1)


@pytest.mark.parametrize(("codec", "pack"), PACK)
def test_a_bomb_is_refused_without_being_unpacked(codec: int, pack: Callable[[bytes], bytes]) -> None:
    import tracemalloc

    bomb = pack(bytes(200 * MIB))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        unpack(codec, bomb, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * MIB


def batch(values: list[bytes], codec: int = 0, offset: int = 0, headers: list[Any] | None = None) -> bytes:
    """A record batch as a broker sends it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 10 * MIB)
    for number, value in enumerate(values):
        builder.append(number, timestamp=1, key=None, value=value, headers=headers or [])
    built = bytearray(builder.build())
    built[:8] = offset.to_bytes(8, "big")
    return bytes(built)


def read(*batches: bytes, check_crcs: bool = True) -> list[tuple[int, bytes | None, list[Any]]]:
    """Offset, value and headers of the records that a consumer gets of these batches."""
    consumer = SimpleNamespace(_fetcher=SimpleNamespace())
    limit_batches(consumer)
    fetched = MemoryRecords(b"".join(batches))
    records = consumer._fetcher.PartitionRecords(0, TopicPartition("t", 0), fetched, check_crcs=check_crcs)
    return [(record.offset, record.value, record.headers) for record in records.take(100)]


@pytest.mark.parametrize("codec", [0, GZIP, SNAPPY, LZ4, ZSTD])
def test_batches_of_every_codec_come_out_in_order(codec: int) -> None:
    assert [(offset, value) for offset, value, _ in read(batch([b"a", b"b"], codec), batch([b"c"], codec, 2))] == [
        (0, b"a"), (1, b"b"), (2, b"c"),
    ]  # fmt: skip


def test_a_batch_past_the_bound_is_one_record_and_the_next_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_UNPACKED", 1000)
    found = read(batch([b"a"], GZIP), batch([bytes(600), bytes(600)], GZIP, 1), batch([b"b"], GZIP, 3))
    assert [(offset, value) for offset, value, _ in found] == [(0, b"a"), (2, b"BATCH_TOO_LARGE"), (3, b"b")]
    assert [isinstance(value, Unread) for _, value, _ in found] == [False, True, False]


def test_the_name_of_a_header_that_is_no_utf8_spoils_nothing() -> None:
    spoiled = batch([b"a", b"b"], headers=[("traceparent", b"1"), ("traceparent", None)])
    spoiled = spoiled.replace(b"traceparent", b"trace\xffarent", 1)
    found = read(spoiled, check_crcs=False)
    assert [value for _, value, _ in found] == [b"a", b"b"]
    assert found[0][2] == [("trace\ufffdarent", b"1"), ("traceparent", None)]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_does_not_unpack_is_one_record_and_the_next_follows(codec: int) -> None:
    broken = bytearray(batch([b"a" * 500], codec))
    broken[61:] = b"\x05".ljust(len(broken) - 61, b"\xff")
    found = read(bytes(broken), batch([b"b"], 0, 1), check_crcs=False)
    assert [(offset, value) for offset, value, _ in found] == [(0, b"UNDECODABLE"), (1, b"b")]
