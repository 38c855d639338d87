"""Stepping business time: a day is done when no messages are left and the decisions have converged."""

from __future__ import annotations

import re
import time
from datetime import date
from typing import Any

from kafka import TopicPartition

from issuance.demo.simulators import Simulators
from issuance.errors import Unavailable
from issuance.ledger.connection import set_business_day, transaction
from issuance.passes import run_clocks
from issuance.reconcile.activation import reconcile_activation
from issuance.reconcile.closing import close_cohorts
from issuance.settings import Settings
from issuance.wire.kafka import make_consumer, our_credentials
from issuance.wire.pauses import paused_partners
from issuance.wire.positions import read_positions
from issuance.wire.refusals import partner_of
from issuance.wire.relay import unsent_count

INBOUND = re.compile(
    r"^issuance\.(cohort-submissions|(production|mail|collection|activation|statements|holder-events)\.[^.]+)\.v1$"
)
PATIENCE = 120.0
"""Seconds without any progress after which the stepper gives up."""


class Stepper:
    """Steps days over running consumers, relay and simulators; never waits for a fixed time, only for conditions."""

    def __init__(self, settings: Settings, simulators: Simulators) -> None:
        self._settings = settings
        self._simulators = simulators
        self._consumer = make_consumer(our_credentials(settings), None)
        self._partitions = self._inbound()

    def step(self, day: date) -> date | None:
        """Run a whole day; returns the next day on which something is due, None if nothing is."""
        with transaction(self._settings.database_url) as connection:
            set_business_day(connection, day)
        while True:
            answers = self._simulators.tell(day)
            self.await_quiet()
            if sum(answer.sent for answer in answers.values()):
                continue
            if run_clocks(self._settings) == 0:
                break
            self.await_quiet()
        reconcile_activation(self._settings)
        close_cohorts(self._settings)
        self.await_quiet()
        due = [answer.next_due for answer in answers.values() if answer.next_due]
        return min([*due, *self._clock_due(day)], default=None)

    def await_quiet(self) -> None:
        """Until every inbound message is in the ledger and the outbox is sent.

        Raises:
            Unavailable: nothing has moved for two minutes.
        """
        waited_since, last = time.monotonic(), (-1, -1)
        while True:
            backlog = self._backlog()
            if backlog == (0, 0):
                return
            if backlog != last:
                waited_since, last = time.monotonic(), backlog
            if time.monotonic() - waited_since > PATIENCE:
                raise Unavailable(
                    "NO_PROGRESS",
                    f"{backlog[0]} inbound messages and {backlog[1]} outgoing messages are stuck; see the logs",
                )
            time.sleep(0.02)

    def _backlog(self) -> tuple[int, int]:
        """(inbound messages that are not in the ledger, outgoing ones that are not sent)."""
        with transaction(self._settings.database_url) as connection:
            unsent = unsent_count(connection)
        ends: dict[Any, int] = self._consumer.end_offsets(self._partitions)
        with transaction(self._settings.database_url) as connection:
            paused = paused_partners(connection)
            positions = read_positions(connection, self._partitions)
        lag = sum(
            max(end - positions.get(partition, 0), 0)
            for partition, end in ends.items()
            if partner_of(partition.topic) not in paused
        )
        return lag, unsent

    def _inbound(self) -> list[Any]:
        """All inbound partitions, cached: listing them costs more than a step."""
        topics = sorted(topic for topic in self._consumer.topics() if INBOUND.match(topic))
        found = [(topic, self._consumer.partitions_for_topic(topic) or set()) for topic in topics]
        return [TopicPartition(topic, partition) for topic, partitions in found for partition in sorted(partitions)]

    def _clock_due(self, day: date) -> list[date]:
        """The next day on which a clock of the ledger is due."""
        with transaction(self._settings.database_url) as connection:
            row = connection.execute(
                "SELECT min(next_due) FROM card JOIN cohort USING (cohort_no) WHERE next_due > %s"
                " AND cohort.state <> 'CLOSED'",
                (day,),
            ).fetchone()
        return [row[0]] if row and row[0] else []

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
