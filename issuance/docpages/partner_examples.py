"""The examples of the partner guide: each value is made or validated by the production code."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from issuance.clock import milliseconds
from issuance.dispatch.seal import Job, SealedFile, order_message
from issuance.stack.credentials import env_values
from issuance.tracking.reports import Reporter, check_items, check_structure
from issuance.wire.avro import encode_body, inbound_form
from issuance.wire.codec import FRAME
from issuance.wire.kafka import cloud_event_headers
from issuance.wire.partner_notices import partner_notice
from issuance.words.references import hash_total

BANK, FACTORY = Reporter("PAB", "bank"), Reporter("F-PAB", "factory")
CARDS = ("6f1c2e0a-53b7-5d0e-9c41-0a6b1f2d3e4f", "b2a4c6d8-1e3f-5a7b-8c9d-e0f1a2b3c4d5")
NOW = datetime(2025, 11, 3, 2, 30, tzinfo=UTC)
HAPPENED = datetime(2025, 11, 3, 1, 15, tzinfo=UTC)
JOB = Job("c-2025-10.1.PAB.F-PAB.1", 1, "c-2025-10", 1, "PAB", "F-PAB", date(2025, 11, 7), 2, hash_total([*CARDS]))
FILE = SealedFile("5c1d" * 16, "F-PAB", "RSA-OAEP-256")
SCHEMA_ID = 42
Json = dict[str, Any]


def shown(value: object) -> str:
    """A value as the guide shows it: instants and days as ISO texts; on the wire they are Avro's logical types."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=lambda moment: moment.isoformat())


def env() -> str:
    """A partner.env."""
    secrets = {"kafka_F-PAB": "…", "s3_F-PAB": "…"}
    addresses = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "SCHEMA_REGISTRY_URL": "https://registry.example/apis/ccompat/v7",
        "S3_ENDPOINT_URL": "https://s3.example",
        "S3_BUCKET": "issuance",
    }
    return "\n".join(f"{name}={value}" for name, value in env_values("F-PAB", secrets, addresses).items())


def order() -> Json:
    """An order on card-jobs."""
    return dict(order_message(JOB, FILE).value)


def report(reporter: Reporter, sequence: int, items: list[Json], **head: Any) -> Json:
    """A report as a partner writes it; it must pass the checks of structure and items, or the guide is not written.

    Raises:
        ValueError: the pipeline would refuse it.
    """
    refs = [item["card_ref"] for item in items if "card_ref" in item]
    value = {
        "report_id": f"{reporter.id}-main-{sequence}",
        "partner": reporter.id,
        "stream": "main",
        "sequence": sequence,
        "reported_at": NOW,
        "kind": "ITEMS",
        "declared_count": len(items),
        **({"hash_total": hash_total(refs)} if refs else {}),
        **head,
        "items": items,
    }
    if codes := refusals(value, reporter):
        raise ValueError(f"{value['report_id']} would be refused: {codes}")
    encode_body("card_report", value)
    return value


def refusals(value: Json, reporter: Reporter) -> list[str]:
    """The codes for which the pipeline refuses a report or its items, as far as the message alone shows it."""
    read, now = inbound_form("card_report", value), milliseconds(NOW)
    code = check_structure(read, reporter, now)
    if code:
        return [code]
    return sorted({refusal.code for refusal in check_items(read, 0, reporter, now)[1]})


def item(milestone: str, card: int = 0, **values: Any) -> Json:
    """An item about a plastic."""
    return {"milestone": milestone, "occurred_at": HAPPENED, "card_ref": CARDS[card], "attempt": 1, **values}


def receipt() -> Json:
    """A factory's receipt of a job."""
    said = {"card_count": JOB.card_count, "hash_total": JOB.hash_total, "sha256": FILE.sha256}
    about = {"milestone": "JOB_RECEIVED", "occurred_at": HAPPENED}
    return report(FACTORY, 1, [about], kind="JOB", job_id=JOB.job_id, **said)


def bundle() -> Json:
    """A factory's hand-over of two plastics to an outlet."""
    head = {"handover_id": "HO-F-PAB-20251103-1", "handover_count": 2, "to_place": "PAB-0001"}
    return report(FACTORY, 7, [item("HANDED_OVER", 0), item("HANDED_OVER", 1)], **head)


def letter() -> Json:
    """A factory's hand-over of one plastic to a carrier."""
    return report(FACTORY, 8, [item("HANDED_OVER", 0, tracking_no="EJ473124829CN")], to_place="EMS")


def received() -> Json:
    """The bank's receipt for that bundle."""
    items = [item("RECEIVED_AT_PLACE", card, place="PAB-0001") for card in (0, 1)]
    return report(BANK, 1, items, handover_id="HO-F-PAB-20251103-1", handover_count=2)


def collected(sequence: int = 2, **values: Any) -> Json:
    """A holder's visit."""
    actors = [{"role": "HOLDER", "reference": "visit-8841"}]
    return report(BANK, sequence, [item("COLLECTED", place="PAB-0001", actors=actors, **values)])


def correction() -> Json:
    """The visit was that of another card's holder: annulled, and reported correctly."""
    actors = [{"role": "HOLDER", "reference": "visit-8841"}]
    right = item("COLLECTED", 1, place="PAB-0001", actors=actors)
    return report(BANK, 3, [item("COLLECTED", corrects=True), right])


def destroyed() -> Json:
    """A destruction before two witnesses."""
    actors = [{"role": "WITNESS", "reference": name} for name in ("clerk-17", "clerk-32")]
    return report(BANK, 4, [item("DESTROYED", actors=actors)])


def statement() -> Json:
    """A statement in one chunk."""
    value = {
        "statement_id": "ST-PAB-finance-20251107",
        "partner": "PAB",
        "function": "finance",
        "business_day": date(2025, 11, 7),
        "as_of": datetime(2025, 11, 7, 12, 0, tzinfo=UTC),
        "revision": 1,
        "chunk": 1,
        "chunks": 1,
        "total": 2,
        "hash_total": hash_total([*CARDS]),
        "items": [{"card_ref": ref, "attempt": 1} for ref in CARDS],
    }
    encode_body("statement", value)
    return value


def notice(kind: str, report_id: str | None, occasion: str, **values: Any) -> Json:
    """An answer or request as it stands on partner-notices."""
    found = partner_notice("PAB", kind, report_id, values, occasion).value
    encode_body("partner_notice", found)
    return {name: value for name, value in found.items() if value is not None}


def answers() -> list[Json]:
    """An answer of each kind that a bank is likely to see."""
    plastic = {"card_ref": CARDS[0], "attempt": 1}
    return [
        notice("APPLIED", "PAB-main-2", "", applied=1, refused=0),
        notice("ITEM_REFUSED", "PAB-main-5", "", refusals=[{"index": 0, "code": "FIELD_MISSING"}]),
        notice("REPORT_REFUSED", "PAB-main-6", "", code="COUNT_DIFFERS"),
        notice("MISSING", None, "main/4/4", stream="main", first=4, last=4),
        notice("MISSING", "ST-PAB-finance-20251107", "2", first=2, last=2),
        notice("REQUESTED", None, "r1", request_id="r1", request="CANCEL_ACCOUNT", plastics=[plastic],
               reason="WITHDRAWN", due_on=date(2025, 11, 10)),
    ]  # fmt: skip


def headers() -> str:
    """Our headers, recommended for partners too."""
    made = cloud_event_headers(
        "PAB/PAB-main-1", "cn.issuance.v1.card_report", "urn:issuance:partner:PAB", NOW.isoformat()
    )
    return "\n".join(f"{name}: {value.decode()}" for name, value in made)


def frame() -> str:
    """The first bytes of a framed message, in hex, and how long it is."""
    framed = FRAME.pack(0, SCHEMA_ID) + encode_body("card_report", received())
    return f"{framed[:1].hex()} {framed[1:5].hex()} {framed[5:21].hex()}…  ({len(framed)} bytes)"


def job_header() -> Mapping[str, str]:
    """The header of a job file's envelope."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from issuance.vault.envelopes import SealingKey, seal_to

    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    sealed = seal_to(SealingKey("F-PAB", "ECDH-ES+A256KW", pem), b"", cty="JWS")
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(sealed.split(b".")[0] + b"=="))
    return {name: value for name, value in found.items() if name != "epk"}
