"""The vault's keys: what is sealed opens under its own name with its cohort's key, and never again after an erasure."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.errors import Broken, Unavailable
from issuance.vault.keys import KeyDestroyed, KeyService
from issuance.vault.masking import mask_id_number, mask_name, mask_phone


@pytest.fixture
def keys(tmp_path: Path) -> KeyService:
    """A key service with one cohort."""
    service = KeyService(tmp_path)
    service.create_cohort_key("c")
    return service


def test_sealed_bytes_open_and_do_not_show_through(keys: KeyService) -> None:
    sealed = keys.seal("c", "vault/c/block-1", "欧阳𠮷".encode() * 100)
    assert "欧阳".encode() not in sealed
    assert keys.open("c", "vault/c/block-1", sealed) == "欧阳𠮷".encode() * 100
    assert keys.seal("c", "vault/c/block-1", b"x") != keys.seal("c", "vault/c/block-1", b"x")


def test_another_name_or_an_altered_byte_is_refused(keys: KeyService) -> None:
    sealed = keys.seal("c", "a", b"secret")
    with pytest.raises(Broken, match="OBJECT_ALTERED"):
        keys.open("c", "b", sealed)
    for place in (5, 50, len(sealed) - 1):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(Broken, match="OBJECT_ALTERED"):
            keys.open("c", "a", bytes(altered))
    with pytest.raises(Broken, match="OBJECT_ALTERED"):
        keys.open("c", "a", sealed[:20])


def test_a_destroyed_key_opens_nothing_and_is_not_made_again(keys: KeyService) -> None:
    sealed = keys.seal("c", "a", b"secret")
    keys.destroy_cohort_key("c")
    with pytest.raises(KeyDestroyed):
        keys.open("c", "a", sealed)
    with pytest.raises(KeyDestroyed):
        keys.create_cohort_key("c")
    with pytest.raises(Unavailable, match="KEY_UNAVAILABLE"):
        keys.seal("never", "a", b"secret")


def test_keys_are_private_files_and_two_makers_make_one(tmp_path: Path) -> None:
    services = [KeyService(tmp_path) for _ in range(8)]
    threads = [threading.Thread(target=service.create_cohort_key, args=("c",)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["c.key"]
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert services[0].open("c", "a", services[7].seal("c", "a", b"x")) == b"x"


def test_a_persons_hash_names_its_key_version_and_tells_people_apart(keys: KeyService) -> None:
    first = keys.person_hash("resident_id", "11010519491231002X")
    assert first == keys.person_hash("resident_id", "11010519491231002X")
    assert first != keys.person_hash("passport", "11010519491231002X")
    assert (first[0], len(first)) == (1, 16)


@given(st.text(max_size=30))
def test_masks_keep_no_more_than_they_may(text: str) -> None:
    assert sum(a == b != "*" for a, b in zip(text, mask_id_number(text), strict=False)) <= 3
    assert len(mask_name(text).replace("*", "")) <= 1
    assert sum(character != "*" for character in mask_phone(text)) <= 7


def test_masks_of_real_shapes() -> None:
    assert mask_name("欧阳修") == "欧**"
    assert mask_id_number("11010519491231002X") == "1***************2X"
    assert mask_phone("16100000030") == "161****0030"
