"""Photos that come along: what is found wrong with one, and how they travel from a folder to the vault."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from intake_fixture import Intakes, Row, person, picture, sha256
from PIL import Image

from issuance.errors import Refused
from issuance.intake.photos import MAX_BYTES, judge_photo
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore


def with_border(share: float) -> bytes:
    """A photo of which this share of the border pixels is dark, from the left of the top row on."""
    image = Image.new("L", (358, 441), 255)
    for number in range(int(share * (2 * 358 + 2 * 439))):
        image.putpixel((number % 358, 0 if number < 358 else 440), 0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=100)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (picture(), ""),
        (picture(background=235), ""),
        (picture(background=225), "PHOTO_BACKGROUND"),
        (with_border(0.03), ""),
        (with_border(0.08), "PHOTO_BACKGROUND"),
        (picture((441, 358)), "PHOTO_SIZE"),
        (picture((60_000, 2)), "PHOTO_SIZE"),
        (picture(kind="PNG"), "PHOTO_FORMAT"),
        (picture()[:2000], "PHOTO_FORMAT"),
        (b"", "PHOTO_FORMAT"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "PHOTO_FORMAT"),
    ],
)
def test_what_is_found_wrong_with_a_photo(content: bytes, finding: str) -> None:
    assert judge_photo(content, sha256(content)) == finding


def test_another_photo_than_the_row_says() -> None:
    assert judge_photo(picture(), "0" * 64) == "PHOTO_DIFFERS"


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own; photos lie beside the cohort file."""
    made = Intakes(stack, "photos", tmp_path_factory.mktemp("photos"))
    folder = made.directory / "photos" / "a"
    folder.mkdir(parents=True)
    for name, content in (("good.jpg", picture()), ("grey.jpg", picture(background=100)), ("big.jpg", b"x" * 9)):
        (folder / name).write_bytes(content)
    yield made
    made.close()


def row(sequence: int, ref: str, content: bytes = b"") -> Row:
    return person(sequence, photo_ref=ref, photo_sha256=sha256(content).upper())


def test_photos_are_sealed_and_judged_with_their_rows(intakes: Intakes) -> None:
    grey = picture(background=100)
    rows = [
        row(1, "a/good.jpg", picture()),
        row(2, "a/grey.jpg", grey),
        row(3, "a/good.jpg", b"another"),
        row(4, "a/none.jpg", b"none"),
        row(5, " a/../a/good.jpg", picture()),
        *(person(n) for n in range(10, 210)),
    ]
    intakes.take_in("with-photos", rows)
    outcomes = intakes.outcomes("with-photos")
    assert [outcomes[line] for line in range(2, 8)] == [
        ("accepted", None),
        ("quarantined", ["PHOTO_BACKGROUND"]),
        ("quarantined", ["PHOTO_DIFFERS"]),
        ("quarantined", ["PHOTO_MISSING"]),
        ("accepted", None),
        ("accepted", None),
    ]
    key = f"photos/with-photos/{sha256(picture())}"
    sealed = ObjectStore.of(intakes.settings).get(key)
    assert picture() not in sealed
    assert KeyService(intakes.settings.keys_dir).open("with-photos", key, sealed) == picture()


def test_a_photo_that_came_wrong_or_not_at_all_comes_with_the_correction(intakes: Intakes, tmp_path: Path) -> None:
    (tmp_path / "3.jpg").write_bytes(picture(background=254))
    wanted = sha256(picture(background=254))
    fixed = row(3, "3.jpg") | {"photo_sha256": wanted, "file": "with-photos-rows.csv", "line": "4"}
    intakes.submit("with-photos", intakes.file("fixed.csv", [fixed]), 1, amends=True, photos=tmp_path)
    intakes.finish(intakes.validate("with-photos", 1))
    assert intakes.outcomes("with-photos", 1) == {2: ("accepted", None)}


@pytest.mark.parametrize("ref", ["../secret.jpg", "/etc/hostname", "a/../../secret.jpg", "link.jpg", "\0"])
def test_a_name_that_leads_out_of_the_folder_refuses_the_package(intakes: Intakes, ref: str) -> None:
    (intakes.directory / "secret.jpg").write_bytes(picture())
    link = intakes.directory / "photos" / "link.jpg"
    if not link.is_symlink():
        link.symlink_to(intakes.directory / "secret.jpg")
    if ref == "\0":  # no CSV file can hold it; a Parquet file can
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        file = intakes.directory / "nul.parquet"
        pq.write_table(pa.table({name: [value] for name, value in row(300, ref).items()}), file)
    else:
        file = intakes.file("escape.csv", [row(300, ref)])
    with pytest.raises(Refused, match="PHOTO_PATH") as caught:
        intakes.submit("escape", file, 1)
    assert caught.value.details["line"] == 2
    assert "secret" not in caught.value.message
    assert intakes.rows("SELECT FROM cohort WHERE cohort_id = 'escape'") == []


def test_a_file_that_is_no_photo_by_its_size_refuses_the_package(intakes: Intakes) -> None:
    (intakes.directory / "photos" / "a" / "big.jpg").write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(Refused, match="PHOTO_TOO_LARGE"):
        intakes.submit("large", intakes.file("large.csv", [row(301, "a/big.jpg", b"y")]), 1)
