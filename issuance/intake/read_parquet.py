"""Parquet files: columns of text, whole numbers and dates, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from issuance.intake.frames import columns_of, frame_of
from issuance.intake.refusals import refuse
from issuance.intake.sources import Source

PARQUET = b"PAR1"
GROUP_BYTES = 1 << 30
"""Bytes that a row group may unpack to; one is held in memory at the worst."""


def read_parquet(source: Source, rows_per_batch: int, amends: bool) -> Iterator[pd.DataFrame]:
    """Rows of a Parquet file, as `read_rows` says."""
    try:
        with source.open() as stream, pq.ParquetFile(stream) as file:
            names = columns_of(file.schema_arrow.names, source, amends)
            lossy = [field.name for field in file.schema_arrow if not _is_text_like(field.type)]
            if lossy:
                refuse("PARQUET_TYPE", source, ", ".join(lossy), columns=lossy)
            if not file.metadata.num_rows:
                refuse("NO_ROWS", source)
            groups = range(file.metadata.num_row_groups)
            if any(file.metadata.row_group(number).total_byte_size > GROUP_BYTES for number in groups):
                refuse("PARQUET_TOO_LARGE", source)
            line = 2
            for batch in file.iter_batches(batch_size=rows_per_batch):
                columns = {n: _as_text(values) for n, values in zip(names, batch.columns, strict=True) if n}
                yield frame_of(columns, range(line, line + batch.num_rows))
                line += batch.num_rows
    except (pa.ArrowException, OSError):
        refuse("PARQUET_BROKEN", source)


def _is_text_like(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text_like(kind.value_type)
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    return any(check(kind) for check in (*checks, pa.types.is_date, pa.types.is_timestamp, pa.types.is_null))


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string()).fill_null("")
