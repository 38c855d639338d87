"""`python -m fuzz --messages N --seed S`: exit 0 only if nothing went wrong; a failing seed is replayed by its seed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import conftest  # noqa: F401  # a stack of its own, beside the one that is up

from fuzz.run import fuzz
from issuance.settings import load_settings
from issuance.stack import run


def main() -> None:
    """Bring the stack up without Airflow, fuzz, say what went wrong, and take it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    run.up(print, workers=False)
    try:
        with tempfile.TemporaryDirectory() as directory:
            settings = load_settings()
            own = replace(settings, database_url=settings.owner_url)
            findings, counted = fuzz(own, Path(directory), given.messages, given.seed, whole=True)
    finally:
        run.down(print)
    for finding in findings[:200]:
        print(finding)
    print(f"seed {given.seed}: {counted}; {len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
