"""The vault: persons in sealed blocks of about 1,000, grouped by factory and due date (principle 8).

A card knows its block and position. Nothing personal is written anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body, encode_body

BLOCK_ROWS = 1000


def block_key(cohort_id: str, block: int) -> str:
    """The object key of a block."""
    return f"vault/{cohort_id}/block-{block:06d}"


class Vault:
    """Reads and writes one cohort's blocks."""

    def __init__(self, store: ObjectStore, keys: KeyService, cohort_id: str) -> None:
        self._store = store
        self._keys = keys
        self._cohort_id = cohort_id

    def write_block(self, block: int, persons: Sequence[Mapping[str, Any]]) -> None:
        """Seal and store one block; a repeat replaces it by the same persons in the same positions."""
        name = block_key(self._cohort_id, block)
        self._store.put(name, self._keys.seal(self._cohort_id, name, encode_body("persons", list(persons))))

    def read_block(self, block: int) -> list[dict[str, Any]]:
        """The persons of a block, by position."""
        name = block_key(self._cohort_id, block)
        persons = decode_body("persons", self._keys.open(self._cohort_id, name, self._store.get(name)))
        return list(persons)

    def read_persons(self, places: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
        """The persons at (block, position), in the order asked; every block is opened once."""
        wanted = list(places)
        opened = {block: self.read_block(block) for block in sorted({block for block, _ in wanted})}
        return [opened[block][position] for block, position in wanted]
