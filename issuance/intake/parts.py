"""Parts: batches of rows sealed at once, so that clear text never touches disk or S3."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from issuance.intake.sources import Source
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.bounds import most_bytes


@dataclass(frozen=True)
class Part:
    """One sealed batch of one file; `lines` is a PostgreSQL int4multirange of the line numbers in it."""

    part: int
    object: str
    file: str
    lines: str
    rows: int

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


class PartStore:
    """Writes and reads one cohort's sealed parts."""

    def __init__(self, store: ObjectStore, keys: KeyService, cohort_id: str) -> None:
        self._store = store
        self._keys = keys
        self._cohort_id = cohort_id

    def write(self, key: str, frame: pd.DataFrame) -> None:
        """Seal a frame of text columns as an Arrow stream."""
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pandas(frame, preserve_index=False)
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        self._store.put(key, self._keys.seal(self._cohort_id, key, sink.getvalue().to_pybytes()))

    def read(self, key: str) -> pd.DataFrame:
        """The frame that `write` sealed.

        Raises:
            KeyDestroyed: the cohort was erased.
        """
        self._keys.require_cohort_key(self._cohort_id)
        clear = self._keys.open(self._cohort_id, key, self._store.get(key, most_bytes("part")))
        with pa.ipc.open_stream(clear) as reader:
            frame: pd.DataFrame = reader.read_all().to_pandas()
        return frame


def line_ranges(lines: Sequence[int] | np.ndarray[Any, Any]) -> str:
    """Ascending line numbers as an int4multirange literal: '{[2,5),[7,8)}'."""
    numbers = np.asarray(lines)
    if not len(numbers):
        return "{}"
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = np.split(numbers, breaks)
    return "{" + ",".join(f"[{run[0]},{run[-1] + 1})" for run in runs) + "}"


def package_hash(files: Sequence[Source], manifest: dict[str, Any]) -> str:
    """SHA-256 of a package: its manifest fields, and each file's name and bytes in the order given."""
    digest = hashlib.sha256(repr(sorted(manifest.items())).encode())
    for file in files:
        digest.update(f"{file.name}:{file.sha256}".encode())
    return digest.hexdigest()
