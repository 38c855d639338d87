"""The process that steps the days of the local stack with the simulators, as long as a cohort is under way.

`python -m issuance.demo.afterwards DIRECTORY --seed S`: ends with the stack, or at the end of the known calendar.
"""

from __future__ import annotations

import argparse
import logging
import time
from datetime import date, timedelta
from pathlib import Path

from issuance.demo.operator import operate
from issuance.demo.plays import cohorts_of
from issuance.demo.simulators import Simulators
from issuance.demo.stepper import Stepper
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings, load_settings

log = logging.getLogger(__name__)
LAST_DAY = date(2026, 12, 31)
"""The working-day calendar ends here."""


def follow(settings: Settings, directory: Path, seed: int) -> None:
    """Step one day after another while a cohort is under way; wait while none is."""
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

    While a plan waits for its release, which people have to give, time stops.
    """
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT FROM cohort WHERE state = 'DISPATCHED' OR (state = 'ACCEPTED' AND opens_on > %s) LIMIT 1", (day,)
        ).fetchone()
    return row is not None


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
