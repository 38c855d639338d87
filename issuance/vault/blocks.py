"""The vault: persons in sealed blocks of about 1,000, grouped by factory and due date (principle 8).

A card knows its block and position. Nothing personal is written anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body, encode_body

BLOCK_ROWS = 1000
KEPT_BLOCKS = 256
"""About 100 MB at the most."""


def block_key(cohort_id: str, block: int) -> str:
    """The object key of a block."""
    return f"vault/{cohort_id}/block-{block:06d}"


class Vault:
    """Reads and writes one cohort's blocks; keeps what it has opened, so make one for each piece of work."""

    def __init__(self, store: ObjectStore, keys: KeyService, cohort_id: str) -> None:
        self._store = store
        self._keys = keys
        self._cohort_id = cohort_id
        self._opened: dict[int, list[bytes]] = {}

    def write_block(self, block: int, persons: Sequence[Mapping[str, Any]]) -> None:
        """Seal and store one block; a repeat replaces it by the same persons in the same positions.

        Persons are encoded one by one inside it: a reader of one decodes one.
        """
        name = block_key(self._cohort_id, block)
        body = encode_body("block", [encode_body("person", person) for person in persons])
        self._store.put(name, self._keys.seal(self._cohort_id, name, body))

    def read_persons(self, places: Iterable[tuple[int, int, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        """The persons at (block, position), each with the values of its overlays on top, the newest named last.

        In the order asked; sorted by block, each block is opened once.
        """
        for block, position, overlays in places:
            person = decode_body("person", self._open(block)[position])
            for name in overlays:
                person |= self.read_overlay(name)
            yield person

    def write_overlay(self, name: str, values: Mapping[str, str]) -> None:
        """Seal and store changed values of one person under a name that tells nothing of it; again is once."""
        key = self._overlay_key(name)
        self._store.put(key, self._keys.seal(self._cohort_id, key, json.dumps(dict(values)).encode()))

    def read_overlay(self, name: str) -> dict[str, str]:
        """The changed values that `write_overlay` stored."""
        key = self._overlay_key(name)
        values: dict[str, str] = json.loads(self._keys.open(self._cohort_id, key, self._store.get(key)))
        return values

    def _overlay_key(self, name: str) -> str:
        return f"vault/{self._cohort_id}/overlay-{name}"

    def _open(self, block: int) -> list[bytes]:
        if block not in self._opened:
            while len(self._opened) >= KEPT_BLOCKS:
                self._opened.pop(next(iter(self._opened)))
            name = block_key(self._cohort_id, block)
            body = self._keys.open(self._cohort_id, name, self._store.get(name))
            self._opened[block] = list(decode_body("block", body))
        return self._opened[block]
