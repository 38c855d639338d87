"""Photos that came with applications: sealed with their cohort's key, named by their content."""

from __future__ import annotations

from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore


def photo_key(cohort_id: str, sha256: str) -> str:
    """The object key of a photo, by the SHA-256 of its clear bytes."""
    return f"photos/{cohort_id}/{sha256}"


def read_photo(store: ObjectStore, keys: KeyService, cohort_id: str, sha256: str) -> bytes:
    """A photo's bytes as they were submitted.

    Raises:
        Broken: it does not exist, or was altered.
        KeyDestroyed: the cohort was erased.
    """
    keys.require_cohort_key(cohort_id)
    name = photo_key(cohort_id, sha256)
    return keys.open(cohort_id, name, store.get(name))
