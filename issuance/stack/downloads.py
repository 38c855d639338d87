"""The Java programs of the stack, fetched once from Maven Central into a cache that all clones share."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from issuance.errors import Unavailable

PINS = Path(__file__).with_name("downloads.yaml")
ATTEMPTS = 3


def pinned(component: str) -> dict[str, str]:
    """Coordinate → SHA-256 of the files of a component."""
    pins: dict[str, dict[str, str]] = yaml.safe_load(PINS.read_text(encoding="utf-8"))
    return pins[component]


def fetch(component: str, cache: Path, progress: Callable[[str], None]) -> list[Path]:
    """The files of a component, downloaded and verified where they are not in the cache yet.

    Raises:
        Unavailable: Maven Central cannot be reached, or served something other than what is pinned.
    """
    pins = pinned(component)
    wanted = {coordinate: cache / "jars" / _file_name(coordinate) for coordinate in pins}
    missing = [coordinate for coordinate, path in wanted.items() if not path.exists()]
    if missing:
        progress(f"{component}: downloading {len(missing)} files from Maven Central into {cache}")
        (cache / "jars").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(
                pool.map(
                    lambda coordinate: _fetch_one(coordinate, pins[coordinate], wanted[coordinate], cache), missing
                )
            )
    return list(wanted.values())


def _parts(coordinate: str) -> tuple[str, str, str, str, str]:
    """Group, artifact, version, classifier, packaging."""
    group, artifact, version, *rest = coordinate.split(":")
    classifier, packaging = rest if rest else ("", "jar")
    return group, artifact, version, classifier, packaging


def _file_name(coordinate: str) -> str:
    _, artifact, version, classifier, packaging = _parts(coordinate)
    return f"{artifact}-{version}{'-' if classifier else ''}{classifier}.{packaging}"


def _fetch_one(coordinate: str, digest: str, target: Path, cache: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            source = _resolve(coordinate, cache)
            break
        except Exception as error:  # whatever jgo and requests raise: one line for people, the cause kept
            if attempt == ATTEMPTS:
                raise Unavailable(
                    "DOWNLOAD_FAILED",
                    f"{coordinate} cannot be downloaded from Maven Central ({str(error)[:200]}). Check the network or "
                    "HTTPS_PROXY and try again; files already fetched are kept.",
                    coordinate=coordinate,
                ) from error
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != digest:
        source.unlink()
        raise Unavailable("DOWNLOAD_ALTERED", f"{coordinate} has SHA-256 {found}, not the pinned {digest}; not used")
    # A rename within one directory: another clone that starts at the same time sees all of the file or nothing.
    source.replace(target)


def _resolve(coordinate: str, cache: Path) -> Path:
    from jgo.maven import MavenContext  # 0.3 s to import, needed at the first start only

    group, artifact, version, classifier, packaging = _parts(coordinate)
    component = MavenContext(repo_cache=cache / "maven").project(group, artifact).at_version(version)
    return Path(component.artifact(classifier=classifier, packaging=packaging).resolve())


def unpack(archive: Path, target: Path) -> Path:
    """The archive's content in `target`, unpacked once; a broken attempt leaves nothing behind."""
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(draft, filter="data")
            draft.replace(target)
        except OSError:
            if not target.exists():  # else another clone was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target
