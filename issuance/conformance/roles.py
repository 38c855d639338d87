"""The other partners, played by the kit: each reports on its own topics with its own credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from issuance.city.partners import Partner, topic_of
from issuance.errors import Misconfigured
from issuance.settings import Settings, read_env_file
from issuance.wire.avro import encode_body
from issuance.wire.codec import Codec
from issuance.wire.kafka import Credentials, cloud_event_headers, make_producer
from issuance.words.references import hash_total

Item = dict[str, Any]


def credentials_of(settings: Settings, partner: str) -> Credentials:
    """A partner's own Kafka user, as it lies in its directory.

    Raises:
        Misconfigured: it has none there.
    """
    file = settings.partner_credentials_dir / partner / "partner.env"
    env = read_env_file(file)
    if "KAFKA_PASSWORD" not in env:
        raise Misconfigured("CREDENTIALS_MISSING", f"没有 {partner} 的凭证。 / no credentials in {file}.")
    return Credentials(settings.kafka_bootstrap_servers, env["KAFKA_USER"], env["KAFKA_PASSWORD"],
                       settings.kafka_security_protocol, settings.kafka_sasl_mechanism)  # fmt: skip


def now() -> datetime:
    """The current time, to the millisecond."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


def item(milestone: str, plastic: tuple[str, int] | None = None, **values: Any) -> Item:
    """An item of a report about what happens now."""
    about = {"card_ref": plastic[0], "attempt": plastic[1]} if plastic else {}
    return {"milestone": milestone, "occurred_at": now(), **about, **values}


class Role:
    """One partner; it uses a stream of its own, so that its real client's sequence is unaffected."""

    def __init__(self, settings: Settings, codec: Codec, partner: Partner, check: str) -> None:
        self.partner = partner
        self._codec = codec
        self._stream = check
        self._sequence = 0
        self._producer = make_producer(credentials_of(settings, partner.id))

    def report(self, family: str, items: Sequence[Item], **head: Any) -> None:
        """Send a card report."""
        self._sequence += 1
        report_id = f"{self._stream}-{self._sequence}"
        refs = [entry["card_ref"] for entry in items if "card_ref" in entry]
        value = {
            "report_id": report_id,
            "partner": self.partner.id,
            "stream": self._stream,
            "sequence": self._sequence,
            "reported_at": now(),
            "kind": "ITEMS",
            "declared_count": len(items),
            "hash_total": hash_total(refs) if refs else None,
            "items": list(items),
            **head,
        }
        self.send(family, "card_report", report_id, value)

    def send(self, family: str, record: str, key: str, value: Mapping[str, Any]) -> None:
        """Send one record and await its acknowledgement."""
        topic = topic_of(family, self.partner.id)
        headers = cloud_event_headers(
            f"{self.partner.id}/{key}",
            f"cn.issuance.v1.{record}",
            f"urn:issuance:partner:{self.partner.id}",
            now().isoformat(),
        )
        body = self._codec.frame(topic, encode_body(record, value))
        self._producer.send(topic, body, key.encode(), headers).get(timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()
