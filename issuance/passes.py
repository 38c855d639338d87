"""The passes that scheduled DAGs and the demo's stepper run: everything triggered by time alone, room by room.

Each watch is a transaction of its own: what fails in one is a break of ours and stops no other (principle 13).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from issuance.breaks.faults import watch_faults
from issuance.city.city import City, served_city
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal_remakes import seal_remakes
from issuance.errors import Retryable
from issuance.ledger.connection import Connection, business_day, business_now, transaction
from issuance.reconcile.beyond_order import watch_making
from issuance.reconcile.lateness import watch_chunks, watch_statements
from issuance.settings import Settings
from issuance.tracking.corrections import watch_corrections
from issuance.tracking.custody import watch_custody
from issuance.tracking.decide import decide
from issuance.tracking.feeds import watch_feeds
from issuance.tracking.gaps import watch_gaps
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.notices import send_notices
from issuance.tracking.requests import watch_requests
from issuance.tracking.snapshot import city_values
from issuance.tracking.told import act_told
from issuance.tracking.waiting_events import take_waiting
from issuance.tracking.waiting_items import take_waiting_items
from issuance.wire.faults import clear_faults, note_fault, standing
from issuance.wire.isolation import where

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """A part of a pass; `run` returns how much it wrote."""

    name: str
    run: Callable[[Settings, City], int]


def _watch(name: str, look: Callable[[Connection, City, date], int]) -> Watch:
    """A watch that is one transaction."""

    def run(settings: Settings, city: City) -> int:
        with transaction(settings.database_url) as connection:
            return look(connection, city, business_day(connection))

    return Watch(name, run)


def _act_told(settings: Settings, city: City) -> int:
    with transaction(settings.database_url) as connection:
        return act_told(connection, settings, city)


def _take_waiting(settings: Settings, city: City) -> int:
    with transaction(settings.database_url) as connection:
        return take_waiting(connection, settings, city)


WATCHES = (
    Watch("told", _act_told),
    Watch("waiting events", _take_waiting),
    _watch("waiting items", take_waiting_items),
    Watch("decide", lambda settings, city: decide(settings)),
    _watch("remakes", lambda connection, city, day: plan_remakes(connection, day)),
    _watch("gaps", lambda connection, city, day: watch_gaps(connection, day)),
    _watch("chunks", lambda connection, city, day: watch_chunks(connection, day)),
    _watch("jobs", watch_jobs),
    _watch("feeds", watch_feeds),
    _watch("custody", lambda connection, city, day: watch_custody(connection, day, city_values(city, day))),
    _watch("requests", lambda connection, city, day: watch_requests(connection, day)),
    _watch("corrections", lambda connection, city, day: watch_corrections(connection, day)),
    _watch("making", lambda connection, city, day: watch_making(connection, day)),
    _watch(
        "statements", lambda connection, city, day: watch_statements(connection, city, business_now(connection), day)
    ),
    Watch("seal remakes", lambda settings, city: seal_remakes(settings)),
    Watch("notices", lambda settings, city: send_notices(settings)),
    _watch("faults", lambda connection, city, day: watch_faults(connection, day)),
)
"""In their order: what one decides the next ones see. Faults come last, those of this pass among them."""


def run_clocks(settings: Settings) -> int:
    """Decide, then do all that time alone triggers; returns how much was written (0: nothing left to do).

    Raises:
        Retryable: the ledger or another component did not answer some watch; the others have run.
    """
    city = served_city(settings)
    written, unanswered = 0, []
    with transaction(settings.database_url) as connection:
        failing = standing(connection, "WATCH_FAILED")
    for watch in WATCHES:
        try:
            written += watch.run(settings, city)
        except Retryable as error:
            unanswered.append(error)
        except Exception as error:
            log.error("watch=%s failed: %s", watch.name, where(error))
            with transaction(settings.database_url) as connection:
                note_fault(connection, "WATCH_FAILED", watch.name, where(error), business_day(connection))
        else:
            if watch.name in failing:
                with transaction(settings.database_url) as connection:
                    clear_faults(connection, "WATCH_FAILED", watch.name)
    if unanswered:
        raise unanswered[0]
    return written
