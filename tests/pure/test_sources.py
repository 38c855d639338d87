"""Files and photos of a package, on disk or uploaded, by their names."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuance.desk.uploads import file_name
from issuance.intake.columns import ALWAYS
from issuance.intake.parts import package_hash
from issuance.intake.read import read_rows
from issuance.intake.sources import LocalFile, NameOutside, PhotoFolder, Photos, UploadedPhotos, photos_of


def test_a_path_and_a_file_on_disk_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "名单.csv.gz"
    path.write_bytes(gzip.compress(",".join(ALWAYS).encode() + b"\n" + b",".join([b"x"] * len(ALWAYS))))
    source = LocalFile(path)
    assert (source.name, source.suffix, source.size) == ("名单.csv.gz", ".gz", path.stat().st_size)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    pd.testing.assert_frame_equal(pd.concat(read_rows(path, 10)), pd.concat(read_rows(source, 10)))


def test_the_hash_of_a_package_is_made_of_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    digest = hashlib.sha256(b"[('cohort_id', 'c')]a.csv:" + hashlib.sha256(b"1").hexdigest().encode())
    assert package_hash([LocalFile(tmp_path / "a.csv")], {"cohort_id": "c"}) == digest.hexdigest()


def found(photos: Photos, name: str) -> str:
    try:
        photo = photos.find(name)
    except NameOutside:
        return "outside"
    return photo.name if photo else "none"


@given(st.lists(st.sampled_from(["a", "b.jpg", "..", ".", "", "\0"]), max_size=5).map("/".join))
def test_a_name_means_the_same_in_a_folder_and_in_an_upload(name: str) -> None:
    with TemporaryDirectory() as directory:
        photo = Path(directory, "photos", "a", "b.jpg")
        photo.parent.mkdir(parents=True)
        photo.touch()
        uploaded = UploadedPhotos({"a/b.jpg": LocalFile(photo)})
        assert found(uploaded, name) == found(PhotoFolder(Path(directory, "photos")), name)


def test_photos_lie_beside_a_file_on_disk_unless_they_are_given(tmp_path: Path) -> None:
    source, uploaded = LocalFile(tmp_path / "a.csv"), UploadedPhotos({})
    assert photos_of(None, source) == PhotoFolder(tmp_path / "photos")
    assert photos_of(tmp_path, source) == PhotoFolder(tmp_path)
    assert photos_of(uploaded, source) is uploaded


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ('form-data; name="files"; filename="a.csv"', "a.csv"),
        ('form-data; name="files"; filename="北京 名单.csv"', "北京 名单.csv"),
        ('form-data; name="files"; filename="a%22b%25.csv"', 'a"b%25.csv'),
        ("form-data; name=files; filename*=UTF-8''%E5%90%8D%E5%8D%95.csv", "名单.csv"),
        ("form-data; name=files; filename=\"x.csv\"; filename*=utf-8'zh'%E5%90%8D.csv", "名.csv"),
        ("form-data; name=files; filename=\"; filename*=UTF-8''x\"", "; filename*=UTF-8''x"),
        ('form-data; name="files"', ""),
        ('form-data; name="files"; filename=""', ""),
        ('form-data; name="files"; filename="a\0b"', ""),
        ("form-data; name=files; filename*=UTF-8''%FF.csv", ""),
        ("", ""),
    ],
)
def test_a_file_name_is_read_as_clients_write_it(given: str, name: str) -> None:
    assert file_name(given.encode()) == name


def test_a_file_name_of_another_encoding_is_none() -> None:
    assert file_name('form-data; filename="名单.csv"'.encode("gb18030")) == ""
