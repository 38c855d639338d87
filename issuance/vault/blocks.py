"""The vault: persons in sealed blocks of about 1,000, grouped by factory and due date (principle 8).

A card knows its block and position. Nothing personal is written anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from issuance.errors import Permanent
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import decode_body, encode_body

BLOCK_ROWS = 1000
ERASED = b""
"""The placeholder in a block for a person who was erased."""
KEPT_BLOCKS = 256
"""About 100 MB at the most."""


def block_key(cohort_id: str, block: int) -> str:
    """The object key of a block."""
    return f"vault/{cohort_id}/block-{block:06d}"


def overlay_key(cohort_id: str, name: str) -> str:
    """The object key of a person's changed values."""
    return f"vault/{cohort_id}/overlay-{name}"


class PersonErased(Permanent):
    """The person was erased deliberately: nothing is left to read."""


class Vault:
    """Reads and writes one cohort's blocks; caches what it has opened, so make one for each piece of work."""

    def __init__(self, store: ObjectStore, keys: KeyService, cohort_id: str) -> None:
        self._store = store
        self._keys = keys
        self._cohort_id = cohort_id
        self._opened: dict[int, list[bytes]] = {}

    def write_block(self, block: int, persons: Sequence[Mapping[str, Any]]) -> None:
        """Seal and store one block; repeating it writes the same persons to the same positions.

        Persons are encoded one by one inside it: a reader of one decodes one.
        """
        name = block_key(self._cohort_id, block)
        body = encode_body("block", [encode_body("person", person) for person in persons])
        self._store.put(name, self._keys.seal(self._cohort_id, name, body))

    def read_persons(self, places: Iterable[tuple[int, int, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        """The persons at (block, position), each with the values of its overlays on top, the newest named last.

        In the order asked; sorted by block, each block is opened once.

        Raises:
            PersonErased: one of them was erased.
        """
        for block, position, overlays in places:
            sealed = self._open(block)[position]
            if sealed == ERASED:
                raise _erased(self._cohort_id, block, position)
            person = decode_body("person", sealed)
            for name in overlays:
                person |= self.read_overlay(name)
            yield person

    def erase_persons(self, block: int, positions: Iterable[int]) -> None:
        """Rewrite a block without these persons; the others stay byte for byte, at their positions. Idempotent."""
        name, persons = block_key(self._cohort_id, block), list(self._open(block))
        for position in positions:
            persons[position] = ERASED
        self._store.put(name, self._keys.seal(self._cohort_id, name, encode_body("block", persons)))
        self._opened[block] = persons

    def write_overlay(self, name: str, values: Mapping[str, str]) -> None:
        """Seal and store changed values of one person under an opaque name. Idempotent."""
        key = overlay_key(self._cohort_id, name)
        self._store.put(key, self._keys.seal(self._cohort_id, key, json.dumps(dict(values)).encode()))

    def read_overlay(self, name: str) -> dict[str, str]:
        """The changed values that `write_overlay` stored."""
        key = overlay_key(self._cohort_id, name)
        values: dict[str, str] = json.loads(self._keys.open(self._cohort_id, key, self._store.get(key)))
        return values

    def _open(self, block: int) -> list[bytes]:
        if block not in self._opened:
            while len(self._opened) >= KEPT_BLOCKS:
                self._opened.pop(next(iter(self._opened)))
            self._keys.require_cohort_key(self._cohort_id)
            name = block_key(self._cohort_id, block)
            body = self._keys.open(self._cohort_id, name, self._store.get(name))
            self._opened[block] = list(decode_body("block", body))
        return self._opened[block]


def _erased(cohort_id: str, block: int, position: int) -> PersonErased:
    return PersonErased(
        "PERSON_ERASED",
        f"批次 {cohort_id} 中此人的个人数据已清除，不能再使用；请撤回该卡。"
        f" / the personal data of this person of cohort {cohort_id} was erased and cannot be used: withdraw the card.",
        block=block,
        position=position,
    )
