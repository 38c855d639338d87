"""Submitting a cohort package: read in a stream, sealed part by part, announced on cohort-submissions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from issuance.errors import Refused, Unavailable
from issuance.intake.parts import Part, PartStore, line_ranges, package_hash
from issuance.intake.read import read_rows
from issuance.intake.register import COHORT_ID
from issuance.ledger.connection import transaction
from issuance.partners import topic_of
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import encode_body
from issuance.wire.kafka import cloud_event_headers, make_producer, our_credentials
from issuance.wire.registry import Codec

Place = tuple[int, int]
"""Partition and offset of an announcement."""


@dataclass(frozen=True)
class Package:
    """What the submitter says of the files."""

    cohort_id: str
    city: str
    category: str
    opens_on: date
    declared: int
    amends: bool = False

    def manifest(self) -> dict[str, Any]:
        """The fields that, with the files, make the package's identity."""
        return {**self.__dict__, "opens_on": self.opens_on.isoformat()}


def submit_package(settings: Settings, package: Package, files: Sequence[Path], user: str) -> dict[str, Any]:
    """Seal and announce a package; the same package twice is one submission.

    Returns the contract's submit JSON.

    Raises:
        Refused: a file cannot be read as rows, the count differs from the declared one, or another submission of
            the cohort is live. Nothing is left behind.
    """
    if not COHORT_ID.fullmatch(package.cohort_id):
        raise Refused(
            "COHORT_ID_INVALID",
            f"批次编号只能用字母、数字、_ . -，最多 64 个字符：{package.cohort_id}。"
            f" / a cohort ID is 1 to 64 of A-Z a-z 0-9 _ . -: {package.cohort_id}",
        )
    sha256 = package_hash(files, package.manifest())
    standing, number = _standing(settings, package, sha256)
    if standing:
        return standing
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    keys.create_cohort_key(package.cohort_id)
    prefix = f"inbox/{package.cohort_id}/{sha256[:32]}"
    parts: list[Part] = []
    try:
        for part in seal_parts(PartStore(store, keys, package.cohort_id), prefix, files, settings.part_rows):
            parts.append(part)
        _check_count(package, parts)
    except Refused:
        for part in parts:
            store.delete(part.object)
        raise
    manifest = f"{prefix}/manifest.json"
    store.put(manifest, json.dumps({"parts": [part.as_dict() for part in parts]}).encode())
    _announce(settings, package, number, sha256, manifest, user)
    return _result(package, number, len(parts), sum(part.rows for part in parts), sha256, "SUBMITTED")


def seal_parts(parts: PartStore, prefix: str, files: Sequence[Path], part_rows: int) -> Iterator[Part]:
    """Read files in a stream and seal each batch of rows at once."""
    number = 0
    for path in files:
        for frame in read_rows(path, part_rows):
            number += 1
            key = f"{prefix}/part-{number:05d}"
            part = Part(number, key, path.name, line_ranges(frame["line"].to_numpy()), len(frame))
            parts.write(key, frame)
            yield part


def _check_count(package: Package, parts: Sequence[Part]) -> None:
    rows = sum(part.rows for part in parts)
    if rows != package.declared:
        raise Refused(
            "COUNT_DIFFERS",
            f"声明 {package.declared} 行，文件中有 {rows} 行，请核对后重新提交。"
            f" / {package.declared} rows were declared, the files hold {rows}: check and submit again.",
            declared=package.declared,
            rows=rows,
        )


def _standing(settings: Settings, package: Package, sha256: str) -> tuple[dict[str, Any] | None, int]:
    """The same package's submission if it stands, and the number that a new one gets."""
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
    live = [row for row in rows if row[2] != "REFUSED" and not row[4]]
    if live and not package.amends:
        raise Refused(
            "SUBMISSION_LIVE",
            f"批次 {package.cohort_id} 已有有效提交（第 {live[0][0]} 次），内容不同；更正请用 --amends。"
            f" / cohort {package.cohort_id} has a live submission {live[0][0]} with other content;"
            " use --amends to correct quarantined lines.",
            submission=live[0][0],
        )
    if package.amends and not live:
        raise Refused(
            "NOTHING_TO_AMEND",
            f"批次 {package.cohort_id} 尚无可更正的提交。 / cohort {package.cohort_id} has no submission to amend.",
        )
    return None, len(rows)


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


def wait_for_intake(
    settings: Settings, cohort_id: str, sha256: str, known: set[Place], sleep: Callable[[float], None]
) -> str:
    """The package's state once intake has ended: ACCEPTED, REFUSED or WAITING_FOR_OPERATOR.

    Raises:
        Refused: its announcement was dead-lettered, and is none of the dead letters known before it was sent.
    """
    while True:
        with transaction(settings.database_url) as connection:
            row = connection.execute(
                "SELECT s.state FROM submission s JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND sha256 = %s",
                (cohort_id, sha256),
            ).fetchone()
        if row and row[0] in ("ACCEPTED", "REFUSED", "WAITING_FOR_OPERATOR"):
            return str(row[0])
        refused = refused_announcements(settings, cohort_id)
        new = [code for place, (of, code) in refused.items() if of == sha256 and place not in known]
        if row is None and new:
            raise Refused(
                "SUBMISSION_REFUSED",
                f"批次 {cohort_id} 的提交未被登记（{new[0]}）。"
                f" / the submission of cohort {cohort_id} was not registered: {new[0]}.",
                reason=new[0],
            )
        sleep(0.5)


def refused_announcements(settings: Settings, cohort_id: str) -> dict[Place, tuple[str, str]]:
    """The dead letters of a cohort's announcements: (partition, offset): (the package's hash, the code)."""
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT topic_partition, topic_offset, split_part(report_id, '/', 2), code FROM dead_letter"
            " WHERE topic = %s AND split_part(report_id, '/', 1) = %s",
            (topic_of("cohort-submissions"), cohort_id),
        ).fetchall()
    return {(partition, offset): (sha256, code) for partition, offset, sha256, code in rows}
