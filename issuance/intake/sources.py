"""What a package is read from: files and photos on disk, or those of an upload; the readers see no difference."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class Named(Protocol):
    """What a refusal names: a file without its content."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""


class Source(Named, Protocol):
    """A file that is read several times."""

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on, '' without one."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hex."""

    def open(self) -> BinaryIO:
        """A seekable stream of its own from the first byte on; who opens it closes it."""


@dataclass(frozen=True)
class LocalFile:
    """A file on disk. All but its name is read when it is asked for; raises OSError if that fails."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on."""
        return self.path.suffix

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def open(self) -> BinaryIO:
        """A stream of its own from the first byte on."""
        return self.path.open("rb")


def source_of(file: Path | Source) -> Source:
    """A path as a source; a source as it is."""
    return LocalFile(file) if isinstance(file, Path) else file


class NameOutside(Exception):
    """A row's name of a photo leads out of where the photos lie."""


class Photos(Protocol):
    """Photos that came with a package."""

    def find(self, name: str) -> Source | None:
        """The photo under the name that a row gives, None if there is none.

        Raises:
            NameOutside: the name leads elsewhere.
        """


@dataclass(frozen=True)
class PhotoFolder:
    """Photos in a folder on disk."""

    folder: Path

    def find(self, name: str) -> Source | None:
        """The file of that name below the folder; symlinks are followed first."""
        root = self.folder.resolve()
        try:
            path = (root / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise NameOutside from error
        if not path.is_relative_to(root):
            raise NameOutside
        return LocalFile(path) if path.is_file() else None


@dataclass(frozen=True)
class UploadedPhotos:
    """Photos of an upload, by their relative name as `relative_name` writes it."""

    by_name: Mapping[str, Source]

    def find(self, name: str) -> Source | None:
        """The photo uploaded under that name."""
        return self.by_name.get(relative_name(name))


def relative_name(name: str) -> str:
    """A name with '/' between its folders, without '.', '..' and repeated slashes: 'b.jpg' of './a/../b.jpg'.

    Raises:
        NameOutside: it begins at the root, or leads above where it starts.
    """
    plain = posixpath.normpath(name)
    if plain.startswith("/") or plain.split("/", 1)[0] == ".." or "\0" in name:
        raise NameOutside
    return plain


def photos_of(given: Path | Photos | None, file: Source) -> Photos:
    """The photos that a file's rows name: those given, by default the folder `photos` beside a file on disk."""
    if given is None:
        return PhotoFolder(file.path.parent / "photos") if isinstance(file, LocalFile) else UploadedPhotos({})
    return PhotoFolder(given) if isinstance(given, Path) else given
