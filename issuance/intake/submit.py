"""Submitting a cohort package: read in a stream, sealed part by part, announced on cohort-submissions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from issuance.city.city import load_city
from issuance.city.partners import topic_of
from issuance.errors import Refused, Unavailable
from issuance.intake.corrections import check_correction, lines_named
from issuance.intake.package import Package
from issuance.intake.parts import Part, PartStore, line_ranges, package_hash
from issuance.intake.photo_store import Photo, PhotoStore, photos_named
from issuance.intake.read import read_rows
from issuance.intake.register import RECORD, may_not_submit
from issuance.intake.sources import Photos, Source, photos_of, source_of
from issuance.ledger.connection import transaction
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import encode_body
from issuance.wire.bounds import bounds_of
from issuance.wire.codec import Codec
from issuance.wire.kafka import cloud_event_headers, make_producer, our_credentials


def submit_package(
    settings: Settings,
    package: Package,
    files: Sequence[Path | Source],
    user: str,
    photos: Path | Photos | None = None,
    *,
    try_only: bool = False,
) -> dict[str, Any]:
    """Seal and announce a package; the same package twice is one submission. With `try_only` only what is refused.

    Photos that rows name are taken from `photos`, a folder or those uploaded, by default from the folder of that name
    beside each file on disk.
    Returns the contract's submit JSON.

    Raises:
        Refused: a file cannot be read as rows, the count differs from the declared one, a correction names what cannot
            be corrected, the city is not served, or another submission of the cohort is live. Nothing is stored then.
    """
    sources = [source_of(file) for file in files]
    _check_names(package, sources)
    _check_city(settings, package)
    sha256 = package_hash(sources, package.manifest())
    earlier, number = _earlier(settings, package, sha256)
    if earlier:
        return earlier
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    prefix = f"inbox/{package.cohort_id}/{sha256[:32]}"
    if not try_only:
        keys.create_cohort_key(package.cohort_id)
    sealing = Sealing(None if try_only else PartStore(store, keys, package.cohort_id), prefix, package, photos)
    try:
        _seal_all(settings, sealing, sources)
    except Refused:
        for part in () if try_only else sealing.parts:
            store.delete(part.object)
        raise
    if try_only:
        return _result(package, number, len(sealing.parts), sealing.rows, sha256, "ACCEPTABLE")
    PhotoStore(store, keys, package.cohort_id).put_all(sealing.photos)
    manifest = f"{prefix}/manifest.json"
    store.put(manifest, json.dumps({"parts": [part.as_dict() for part in sealing.parts]}).encode())
    _announce(settings, package, number, sha256, manifest, user)
    return _result(package, number, len(sealing.parts), sealing.rows, sha256, "SUBMITTED")


def _seal_all(settings: Settings, sealing: Sealing, sources: Sequence[Source]) -> None:
    """Seal every file, and check what only the whole package shows: its count, the lines that a correction names."""
    for source in sources:
        sealing.seal_file(source, settings.part_rows)
    sealing.check_count()
    if sealing.package.amends:
        names = [source.name for source in sources]
        with transaction(settings.database_url) as connection:
            check_correction(connection, sealing.package.cohort_id, names, sealing.named)


def _check_city(settings: Settings, package: Package) -> None:
    """Whether the cohort can be planned at all; a correction opens nothing anew."""
    city = load_city(settings, package.city)
    if not package.amends:
        city.require_calendar(package.opens_on)


def _check_names(package: Package, files: Sequence[Source]) -> None:
    if not bounds_of(RECORD)["cohort_id"].admits(package.cohort_id):
        raise Refused(
            "COHORT_ID_INVALID",
            f"批次编号只能用字母、数字、_ . -，最多 64 个字符：{package.cohort_id}。"
            f" / a cohort ID is 1 to 64 of A-Z a-z 0-9 _ . -: {package.cohort_id}",
        )
    names = [file.name for file in files]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(
            "FILE_NAMES_REPEATED",
            f"有同名文件 {', '.join(repeated)}，行号会混淆：请改名后提交。"
            f" / several files are called {', '.join(repeated)}: rename them, lines are named by file and number.",
            files=repeated,
        )


class Sealing:
    """A package on its way into the inbox: each batch of rows is sealed as soon as it is read, if there is a store."""

    def __init__(self, store: PartStore | None, prefix: str, package: Package, photos: Path | Photos | None) -> None:
        self._store = store
        self._prefix = prefix
        self.package = package
        self._photos = photos
        self.parts: list[Part] = []
        self.photos: list[Photo] = []
        self.named: list[tuple[str, int]] = []
        """The lines that the rows of a correction name."""

    @property
    def rows(self) -> int:
        """Rows sealed so far."""
        return sum(part.rows for part in self.parts)

    def seal_file(self, file: Path | Source, part_rows: int) -> None:
        """Read a file in a stream and seal it; stops early once there are more rows than declared."""
        source = source_of(file)
        photos = photos_of(self._photos, source)
        for frame in read_rows(source, part_rows, self.package.amends):
            if self.package.amends:
                self.named += lines_named(frame, source)
            self.photos += photos_named(frame, photos, source)
            number = len(self.parts) + 1
            key = f"{self._prefix}/part-{number:05d}"
            self.parts.append(Part(number, key, source.name, line_ranges(frame["line"].to_numpy()), len(frame)))
            if self._store:
                self._store.write(key, frame)
            if self.rows > self.package.declared:
                self.check_count("至少 ", "at least ")

    def check_count(self, zh: str = "", en: str = "") -> None:
        """Check the rows against the declared count; `zh` and `en` qualify the count where reading stopped early.

        Raises:
            Refused: they differ.
        """
        rows, declared = self.rows, self.package.declared
        if rows != declared:
            raise Refused(
                "COUNT_DIFFERS",
                f"声明 {declared} 行，文件中有{zh or ' '}{rows} 行，请核对后重新提交。"
                f" / {declared} rows were declared, but the files contain {en}{rows}: check and submit again.",
                declared=declared,
                rows=rows,
            )


def _earlier(settings: Settings, package: Package, sha256: str) -> tuple[dict[str, Any] | None, int]:
    """The same package's submission if there is one, and the number for a new one."""
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT s.number, s.sha256, s.state, s.declared, s.amends,"
            " (SELECT count(*) FROM part p WHERE (p.cohort_no, p.submission) = (s.cohort_no, s.number))"
            " FROM cohort c JOIN submission s USING (cohort_no) WHERE c.cohort_id = %s ORDER BY s.number",
            (package.cohort_id,),
        ).fetchall()
    for number, hash_, state, declared, _, parts in rows:
        if hash_ == sha256:
            return _result(package, number, parts, declared, sha256, state), number
    if code := may_not_submit([(state, amends) for _, _, state, _, amends, _ in rows], package.amends):
        zh, en = STANDING_REFUSALS[code]
        live = [row[0] for row in rows if row[2] != "REFUSED" and not row[4]]
        raise Refused(code, f"批次 {package.cohort_id} {zh} / cohort {package.cohort_id} {en}", submissions=live)
    return None, len(rows)


STANDING_REFUSALS = {
    "SUBMISSION_LIVE": (
        "已有有效提交，内容不同；更正隔离行请用 --amends。",
        "has a live submission with other content; use --amends to correct quarantined lines.",
    ),
    "NOTHING_TO_AMEND": (
        "尚无可更正的提交；请不加 --amends 提交整个批次。",
        "has no submission to correct; submit the whole package without --amends.",
    ),
    "SUBMISSION_UNDECIDED": (
        "的提交尚未办结，请待受理结束后再更正（issuance cohort show）。",
        "is still in intake; correct it when that has ended (issuance cohort show).",
    ),
}


def _result(package: Package, number: int, parts: int, rows: int, sha256: str, state: str) -> dict[str, Any]:
    return {
        "cohort_id": package.cohort_id,
        "submission": number,
        "parts": parts,
        "rows": rows,
        "sha256": sha256,
        "state": state,
    }


def _announce(settings: Settings, package: Package, number: int, sha256: str, manifest: str, user: str) -> None:
    topic = topic_of("cohort-submissions")
    value = {
        **{
            name: getattr(package, name) for name in ("cohort_id", "city", "category", "opens_on", "declared", "amends")
        },
        "submission": number,
        "sha256": sha256,
        "manifest": manifest,
        "submitted_by": user,
        "submitted_at": datetime.now(UTC),
    }
    with closing(Codec(settings.schema_registry_url)) as codec:
        body = codec.frame(topic, encode_body("cohort_submission", value))
    headers = cloud_event_headers(
        f"{package.cohort_id}/{sha256}", "cn.issuance.v1.cohort_submission", "urn:issuance:submit",
        value["submitted_at"].isoformat(),
    )  # fmt: skip
    producer = make_producer(our_credentials(settings))
    try:
        producer.send(topic, body, package.cohort_id.encode(), headers).get(timeout=30)
    except KafkaError as error:
        raise Unavailable("KAFKA_UNAVAILABLE", f"not announced: {type(error).__name__}; submit again") from error
    finally:
        producer.close()
