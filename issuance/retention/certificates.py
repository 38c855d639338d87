"""Certificates of erasure: what was erased, when and by whom, in the ledger and hash-chained through the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.ledger.queries import one, rows_of


def canonical(content: Mapping[str, Any]) -> str:
    """The text of a certificate that is hashed: JSON with sorted keys and no spaces, UTF-8."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def issue_certificate(connection: Connection, erasure_no: int, day: date, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the next certificate; returns it with number and hash, for the audit entry.

    Locks the table, so that numbers have no gap.
    """
    connection.execute("LOCK TABLE certificate IN SHARE ROW EXCLUSIVE MODE")
    (number,) = one(connection, "SELECT coalesce(max(certificate_no), 0) + 1 FROM certificate")
    text = canonical({**content, "certificate": number})
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    connection.execute(
        "INSERT INTO certificate (certificate_no, erasure_no, issued_on, content, sha256) VALUES (%s, %s, %s, %s, %s)",
        (number, erasure_no, day, text, sha256),
    )
    return {"certificate": number, "sha256": sha256}


CERTIFICATES = """
SELECT f.certificate_no AS certificate, f.issued_on, c.cohort_id, e.whole, e.ground, f.content, f.sha256,
       a.number AS audit_entry, a.hash AS audit_hash
FROM certificate f JOIN erasure e USING (erasure_no) JOIN cohort c USING (cohort_no)
LEFT JOIN audit a ON a.act IN ('erase', 'erase person', 'erase hashes')
     AND a.details ->> 'certificate' = f.certificate_no::text AND a.details ->> 'sha256' = f.sha256
WHERE (%(cohort)s::text IS NULL OR c.cohort_id = %(cohort)s)
  AND (%(number)s::int IS NULL OR f.certificate_no = %(number)s)
  AND (%(erasure)s::int IS NULL OR f.erasure_no = %(erasure)s)
ORDER BY f.certificate_no
"""


def list_certificates(
    connection: Connection, cohort_id: str | None = None, number: int | None = None, erasure_no: int | None = None
) -> list[dict[str, Any]]:
    """Certificates, each with its hash and its entry in the audit; of one cohort or erasure, or the one of a number.

    Raises:
        Refused: no such certificate.
    """
    found = rows_of(connection, CERTIFICATES, {"cohort": cohort_id, "number": number, "erasure": erasure_no})
    if not found and (cohort_id or number or erasure_no):
        raise Refused(
            "CERTIFICATE_UNKNOWN",
            "没有这样的清除证明：见 issuance retention list。 / no such certificate: see issuance retention list.",
        )
    return found


def wrong_certificates(connection: Connection) -> Iterator[str]:
    """Violations: a certificate that was altered, has no audit entry, or is missing."""
    for row in list_certificates(connection):
        if hashlib.sha256(canonical(row["content"]).encode()).hexdigest() != row["sha256"]:
            yield f"certificate {row['certificate']} was altered"
        if row["audit_entry"] is None:
            yield f"certificate {row['certificate']} has no audit entry"
    gone = connection.execute(
        "SELECT a.number, a.details ->> 'certificate' FROM audit a WHERE a.details ? 'certificate' AND NOT EXISTS"
        " (SELECT FROM certificate f WHERE f.certificate_no::text = a.details ->> 'certificate') ORDER BY 1"
    ).fetchall()
    for number, certificate in gone:
        yield f"certificate {certificate} of audit entry {number} is missing"
