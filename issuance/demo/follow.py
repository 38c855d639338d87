"""The process that steps the days of the local stack with the simulators, as long as a cohort is under way.

`python -m issuance.demo.follow DIRECTORY --seed S`: ends with the stack, or at the end of the known calendar.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from issuance.demo.people import as_user
from issuance.demo.plays import cohorts_of
from issuance.demo.simulators import Simulators
from issuance.demo.stepper import Stepper
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.lifecycle import BREAK_KINDS
from issuance.settings import Settings, load_settings

log = logging.getLogger(__name__)
SEARCHING = timedelta(days=3)
"""How long the operator waits for a plastic that a hand-over lacks."""
LAST_DAY = date(2026, 12, 31)
"""The working-day calendar ends here."""


def follow(settings: Settings, directory: Path, seed: int) -> None:
    """Step day after day while a cohort is under way; wait while none is."""
    with Simulators(directory, seed) as simulators:
        stepper = Stepper(settings, simulators)
        with transaction(settings.database_url) as connection:
            day = business_day(connection)
        while day <= LAST_DAY:
            if not under_way(settings, day):
                time.sleep(1)
                continue
            due = stepper.step(day)
            resolved = operate(settings, cohorts_of(directory))
            log.info("day=%s next=%s resolved=%d", day, due, resolved)
            if not resolved:
                day = max(due or day, day + timedelta(days=1))
        stepper.close()


def under_way(settings: Settings, day: date) -> bool:
    """Whether a cohort is dispatched and not closed, or accepted and waits for its opening day.

    One that waits for its release waits for people, and time stands still.
    """
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT FROM cohort WHERE state = 'DISPATCHED' OR (state = 'ACCEPTED' AND opens_on > %s) LIMIT 1", (day,)
        ).fetchone()
    return row is not None


def operate(settings: Settings, cohorts: Sequence[str]) -> int:
    """What the demo's operator does by the public commands; returns how many acts.

    Breaks that do not close themselves are explained. A hand-over whose counts still differ after some days is, too,
    and what it lacks is made again.
    """
    lasting = [kind.name for kind in BREAK_KINDS.values() if not kind.closes_itself]
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT break_id, kind, reference FROM break JOIN cohort USING (cohort_no) WHERE cohort_id = ANY (%s)"
            " AND break.closed_on IS NULL AND (kind = ANY (%s) OR kind = 'HANDOVER_COUNT' AND opened_on < %s)",
            (list(cohorts), lasting, business_day(connection) - SEARCHING),
        ).fetchall()
        lost = [ref for _, kind, reference in rows if kind == "HANDOVER_COUNT" for ref in _lost(connection, reference)]
    for card_ref in lost:
        as_user("planner", "card", "remake", card_ref, "--reason", "LOST_IN_HANDOVER", "--note", "searched for in vain")
    for break_id, *_ in rows:
        as_user("planner", "break", "resolve", str(break_id), "--note", "explained by the demo's operator")
    return len(rows) + len(lost)


def _lost(connection: Connection, consignment_id: str) -> list[str]:
    """The cards that were handed over to a place and not received there, while the hand-over is what they wait for."""
    rows = connection.execute(
        "SELECT card_ref FROM carriage a JOIN card c USING (card_ref) WHERE consignment_id = %s"
        " AND handed_over IS NOT NULL AND received_at_place IS NULL AND c.state = 'HANDED_OVER'"
        " AND a.attempt = c.effective ORDER BY 1",
        (consignment_id,),
    ).fetchall()
    return [str(ref) for (ref,) in rows]


def main() -> None:
    """Run until the stack goes down."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.ERROR)
    follow(load_settings(), given.directory, given.seed)


if __name__ == "__main__":
    main()
