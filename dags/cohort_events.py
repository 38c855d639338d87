"""The asset that cohort-events wakes: an Avro-decoding trigger that commits after the event is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.apache.kafka.triggers.shared_stream import KafkaSharedStreamTrigger
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import TriggerEvent

TOPIC = "issuance.cohort-events.v1"


class CohortEventTrigger(KafkaSharedStreamTrigger):
    """One trigger event for each cohort event; what is due is read from the ledger, so unreadable bytes wake it too."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """This class, with its parent's arguments."""
        return "dags.cohort_events.CohortEventTrigger", super().serialize()[1]

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Decode the frame's body with our own schema; ids only."""
        from issuance.wire.avro import decode_body

        async for value in shared_stream:
            try:
                event = decode_body("cohort_event", bytes(value)[5:])
                yield TriggerEvent({"cohort_id": event["cohort_id"], "event": event["event"]})
            except ValueError:
                yield TriggerEvent({"cohort_id": None, "event": "UNKNOWN"})


COHORT_EVENTS = Asset(
    name="cohort-events",
    uri="x-issuance://cohort-events",
    watchers=[
        AssetWatcher(name="cohort-events", trigger=CohortEventTrigger(topics=[TOPIC], kafka_config_id="issuance_kafka"))
    ],
)
