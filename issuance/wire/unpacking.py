"""Reading batches that others have packed: each codec up to a bound, and a batch that can't be read is one message.

kafka-python unpacks a whole batch in memory, whatever it comes to, and an error in it would be met again at every
poll. Here a batch past the bound, or one that doesn't unpack, comes out as a single record whose value is `Unread`, so
that the position moves past it.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any

import lz4.frame
import snappy
import zstandard
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import decode_varint

MOST_UNPACKED = 16 * 1024 * 1024
"""Bytes that a batch may unpack to. A Java producer sends at most 1 MiB unpacked unless told otherwise."""
WINDOW = 8 * 1024 * 1024
"""Bytes that a zstd frame may ask for while it is read; level 19 asks for 8 MiB."""
XERIAL = b"\x82SNAPPY\x00"
"""How the framing of Java's snappy begins: 16 bytes, then blocks with their length."""


class Unread(bytes):
    """The value of a record that stands for a batch that was not read: a refusal code."""


class TooLarge(ValueError):
    """A batch unpacks to more than the bound."""


def limit_batches(consumer: Any) -> None:
    """Make a consumer read batches up to the bound."""
    consumer._fetcher.PartitionRecords = _PartitionRecords


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """As kafka-python's, but a batch that can't be read is one record, and the next batch follows."""

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        batches = _Batches(records)
        while True:
            try:
                yield from super()._unpack_records(tp, batches, *deserializers)
                return
            except _Unreadable as error:
                batch = batches.last
                self.next_fetch_offset = batch.next_offset
                yield ConsumerRecord(
                    tp.topic, tp.partition, batch.leader_epoch, batch.last_offset, batch.max_timestamp,
                    batch.timestamp_type, None, Unread(error.code), [], None, -1, len(error.code), -1,
                )  # fmt: skip


class _Unreadable(Exception):
    def __init__(self, code: bytes) -> None:
        super().__init__(code)
        self.code = code


class _Batches:
    """The batches of a fetched partition, each bounded; remembers the last one."""

    def __init__(self, records: MemoryRecords) -> None:
        self._records = records
        self.last: Any = None

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if isinstance(batch, DefaultRecordBatch):
            batch = _Batch(batch._buffer)
        self.last = batch
        return batch


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    _buffer: bytearray
    _pos: int
    _decompressed: bool

    def _maybe_uncompress(self) -> None:
        if self._decompressed or self.compression_type == self.CODEC_NONE:
            self._decompressed = True
            return
        try:
            unpacked = unpack(self.compression_type, bytes(memoryview(self._buffer)[self._pos :]), MOST_UNPACKED)
        except TooLarge as error:
            raise _Unreadable(b"BATCH_TOO_LARGE") from error
        except Exception as error:  # whatever foreign bytes lead a codec to
            raise _Unreadable(b"UNDECODABLE") from error
        self._buffer, self._pos, self._decompressed = bytearray(unpacked), 0, True

    def _read_msg(self, *args: Any) -> Any:
        start = self._pos
        try:
            return super()._read_msg(*args)
        except UnicodeDecodeError:  # a header's name that is no UTF-8
            self._pos = start
            return self._read_leniently()

    def _read_leniently(self) -> DefaultRecord:
        """The record at the position, with what is no UTF-8 in the names of its headers replaced."""
        length, pos = decode_varint(self._buffer, self._pos)
        end = pos + length
        delta, pos = decode_varint(self._buffer, pos + 1)
        offset, pos = decode_varint(self._buffer, pos)
        key, pos = self._bytes_at(pos)
        value, pos = self._bytes_at(pos)
        count, pos = decode_varint(self._buffer, pos)
        headers = []
        for _ in range(count):
            name, pos = self._bytes_at(pos)
            content, pos = self._bytes_at(pos)
            headers.append(((name or b"").decode("utf-8", "replace"), content))
        self._pos = end
        timestamp = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else self.first_timestamp + delta
        return DefaultRecord(length, self.base_offset + offset, timestamp, self.timestamp_type, key, value, headers)

    def _bytes_at(self, pos: int) -> tuple[bytes | None, int]:
        length, pos = decode_varint(self._buffer, pos)
        return (None, pos) if length < 0 else (bytes(self._buffer[pos : pos + length]), pos + length)


def unpack(codec: int, data: bytes, most: int) -> bytes:
    """Unpacked bytes, at most `most` of them; `codec` as in a batch's attributes (Kafka protocol: RecordBatch).

    Raises:
        TooLarge: there are more.
        Exception: the codec's own, where the bytes are not its.
    """
    unpacked = {1: _gunzip, 2: _unsnappy, 3: _unlz4, 4: _unzstd}[codec](data, most)
    if len(unpacked) > most:
        raise TooLarge(f"more than {most} bytes")
    return unpacked


def _gunzip(data: bytes, most: int) -> bytes:
    unpacked = b""
    while data and len(unpacked) <= most:
        stream = zlib.decompressobj(wbits=31)
        unpacked += stream.decompress(data, most + 1 - len(unpacked))
        if not stream.eof and len(unpacked) <= most:
            raise ValueError("the gzip stream ends early")
        data = stream.unused_data
    return unpacked


def _unsnappy(data: bytes, most: int) -> bytes:
    if not data.startswith(XERIAL):
        return _snappy_block(data, most)
    unpacked, place = b"", 16
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        unpacked += _snappy_block(data[place + 4 : end], most - len(unpacked))
        place = end
    return unpacked


def _snappy_block(block: bytes, most: int) -> bytes:
    """One block; its first bytes say how long it will be."""
    size = shift = 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > most:
        raise TooLarge(f"{size} bytes in a block")
    return bytes(snappy.uncompress(block))


def _unlz4(data: bytes, most: int) -> bytes:
    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=most + 1))


def _unzstd(data: bytes, most: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(io.BytesIO(data), read_across_frames=True)
    return bytes(reader.read(most + 1))
