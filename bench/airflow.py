"""A cohort through Airflow, from the file to the factories' topics: seconds a stage and the largest processes.

Run on an empty ledger with the stack up: `python -m bench.airflow [--cards N] [--seed S]`. The cohort stays.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping

import psutil

from issuance.demo.run import Demo, dispatch_cohorts
from issuance.ledger.connection import transaction
from issuance.settings import load_settings
from issuance.stack.place import MARK
from issuance.waiting import wait_for
from issuance.wire.relay import unsent_count

MIB = 2**20
PATIENCE_SECONDS = 600.0


class Sizes:
    """The largest resident size of every process of the stack, sampled once a second from the start on."""

    def __init__(self) -> None:
        self.largest: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """The sizes in bytes by what the process is."""
        self._stop.set()
        self._thread.join()
        return self.largest

    def _watch(self) -> None:
        self._sample()
        while not self._stop.wait(1.0):
            self._sample()

    def _sample(self) -> None:
        for process in psutil.process_iter():
            try:
                if MARK in process.environ():
                    words = " ".join(word.rpartition("/")[2] for word in process.cmdline()[:4])
                    self.largest[words] = max(self.largest.get(words, 0), process.memory_info().rss)
            except psutil.Error:  # it has just ended, or is another user's
                continue


def await_outbox(database_url: str) -> None:
    """Until the relay has sent everything."""

    def sent() -> bool:
        with transaction(database_url) as connection:
            return not unsent_count(connection)

    if not wait_for(sent, PATIENCE_SECONDS):
        raise SystemExit(f"the relay has not sent everything after {PATIENCE_SECONDS:.0f} s")


def show(seconds: Mapping[str, float], cards: int, sizes: Mapping[str, int]) -> None:
    """Print seconds and cards a second of each stage, and the largest processes."""
    for stage, passed in seconds.items():
        print(f"{stage:<12}{passed:8.1f} s {cards / max(passed, 0.1):12,.0f} cards/s")
    for words, size in sorted(sizes.items(), key=lambda entry: -entry[1])[:6]:
        print(f"{size / MIB:8,.0f} MiB  {words[:90]}")


def main() -> None:
    """Put a cohort through intake and dispatch, and print what each stage took and how large processes became."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument("--cards", type=int, default=1_000_000)
    given.add_argument("--seed", type=int, default=7)
    options = given.parse_args()
    settings, sizes = load_settings(), Sizes()
    demo = Demo(options.cards, options.seed, print)
    dispatch_cohorts(demo, settings)
    with demo.stage("sent"):
        await_outbox(settings.database_url)
    show(demo.seconds, options.cards, sizes.stop())


if __name__ == "__main__":
    main()
