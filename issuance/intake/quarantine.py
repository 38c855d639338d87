"""Quarantine as a to-do list: rows not accepted go back to their submitter, each with reason and remedy."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from issuance.errors import Refused
from issuance.intake.columns import NAMES
from issuance.intake.corrections import LAST_WHOLE
from issuance.intake.frames import defuse
from issuance.intake.parts import PartStore
from issuance.intake.rules import RULES
from issuance.intake.set_rules import FINAL
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import rows_of
from issuance.settings import Settings
from issuance.vault.envelopes import SealingKey, seal_to
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore

HEADER = (*NAMES, "file", "line", "reasons", "remedy")


@dataclass(frozen=True)
class OpenLine:
    """An uncorrected quarantined row: its file and line, and why."""

    object: str
    file: str
    line: int
    reasons: tuple[str, ...]


def list_quarantine(connection: Connection, cohort_id: str, everything: bool = False) -> list[dict[str, Any]]:
    """Rows that were not accepted, with reasons, remedy and the card in the way (contract: quarantine list).

    Rows that have been corrected are left out; with `everything` they are included and marked `corrected`.
    """
    rows = rows_of(
        connection,
        "SELECT r.application_id, r.file, r.line, r.outcome, r.reasons, r.card_ref, k.cohort_id AS card_cohort,"
        " r.corrected FROM cohort o JOIN row_outcome r USING (cohort_no) LEFT JOIN card c ON c.card_ref = r.card_ref"
        " LEFT JOIN cohort k ON k.cohort_no = c.cohort_no WHERE o.cohort_id = %(cohort_id)s"
        " AND r.outcome <> 'accepted' AND (%(everything)s OR NOT r.corrected)"
        f" AND r.submission >= coalesce({LAST_WHOLE.replace('%(cohort)s', 'o.cohort_no')}, (SELECT max(number)"
        " FROM submission m WHERE m.cohort_no = o.cohort_no)) ORDER BY r.submission, r.part, r.line",
        {"cohort_id": cohort_id, "everything": everything},
    )
    for row in rows:
        row["remedy"] = " ".join(RULES[reason].remedy for reason in row["reasons"])
        if not everything:
            del row["corrected"]
    return rows


def export_quarantine(
    settings: Settings, cohort_id: str, user: str, reason: str, public_pem: bytes | None
) -> tuple[bytes, int]:
    """The open rows of the user's own submissions, and how many; audited before anybody sees them.

    CSV (UTF-8 with BOM, formulas defused), or with `public_pem` that sealed to the key (JWE).

    Raises:
        Refused: unknown cohort, no reason, nothing open, the rows are another user's, or the key is not usable.
    """
    require_note(reason, "reason")
    key = read_sealing_key(public_pem) if public_pem else None
    store = PartStore(ObjectStore.of(settings), KeyService(settings.keys_dir), cohort_id)
    with transaction(settings.database_url) as connection:
        lines = _lines_for(connection, cohort_id, user)
        content = _content(_rows(store, lines))
        details = {"rows": len(lines), "sealed_to": key.key_id if key else None, "reason": reason}
        audit(connection, user, "export quarantine", cohort_id, business_day(connection), details)
    return (seal_to(key, content, cty="text/csv") if key else content), len(lines)


def _lines_for(connection: Connection, cohort_id: str, user: str) -> list[OpenLine]:
    rows = connection.execute(
        "SELECT s.submitted_by, user_name(s.submitted_by), p.object, r.file, r.line, r.reasons FROM cohort o"
        " JOIN submission s USING (cohort_no)"
        " JOIN row_outcome r ON (r.cohort_no, r.submission) = (s.cohort_no, s.number)"
        " JOIN part p ON (p.cohort_no, p.submission, p.part) = (r.cohort_no, r.submission, r.part)"
        " WHERE o.cohort_id = %(cohort_id)s AND s.state = 'ACCEPTED' AND r.outcome = 'quarantined'"
        " AND NOT r.corrected AND NOT r.reasons && %(final)s ORDER BY r.submission, r.part, r.line",
        {"cohort_id": cohort_id, "final": list(FINAL)},
    ).fetchall()
    if not rows:
        raise Refused(
            "NOTHING_TO_EXPORT",
            f"批次 {cohort_id} 没有待更正的隔离行（或受理尚未结束）。"
            f" / cohort {cohort_id} has no quarantined row to correct, or intake has not ended.",
        )
    own = [OpenLine(object_, file, line, tuple(reasons)) for by, _, object_, file, line, reasons in rows if by == user]
    if not own:
        submitters = ", ".join(sorted({row[1] for row in rows}))
        raise Refused(
            "NOT_YOUR_SUBMISSION",
            f"隔离行含个人信息，只能由提交人 {submitters} 导出。"
            f" / these rows contain personal data: only the submitter ({submitters}) may export them.",
            submitted_by=submitters,
        )
    return own


def _rows(store: PartStore, lines: Sequence[OpenLine]) -> Iterator[tuple[str, ...]]:
    """The rows as they were read, part by part in the order of the lines."""
    for object_ in dict.fromkeys(line.object for line in lines):
        wanted = {line.line: line for line in lines if line.object == object_}
        frame = store.read(object_)
        frame = frame[frame["line"].isin(list(wanted))]
        for line, *values in frame[["line", *NAMES]].itertuples(index=False):
            of = wanted[line]
            remedy = " ".join(RULES[reason].remedy for reason in of.reasons)
            yield *values, of.file, str(line), " ".join(of.reasons), remedy


def _content(rows: Iterable[tuple[str, ...]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(HEADER)
    writer.writerows([defuse(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def read_sealing_key(pem: bytes) -> SealingKey:
    """The public key of a PEM text, named after its SHA-256; RSA and EC keys have one algorithm each.

    Raises:
        Refused: it is not a public RSA or EC key.
    """
    name = hashlib.sha256(pem).hexdigest()[:16]
    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if isinstance(public, RSAPublicKey):
        return SealingKey(name, "RSA-OAEP-256", pem)
    if isinstance(public, EllipticCurvePublicKey):
        return SealingKey(name, "ECDH-ES+A256KW", pem)
    raise Refused("KEY_UNUSABLE", "不是 RSA 或 EC 公钥（PEM）。 / not a public RSA or EC key in PEM.")
