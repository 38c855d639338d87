"""`python -m consumers STAGE`: one consumer process until it is told to stop."""

from __future__ import annotations

import logging
import sys

from consumers import STAGES
from issuance.settings import load_settings
from issuance.wire.consumer import StageConsumer


def main() -> None:
    """Run the stage named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    if len(sys.argv) != 2 or sys.argv[1] not in STAGES:
        sys.exit(f"usage: python -m consumers {'|'.join(STAGES)}")
    StageConsumer(load_settings(), STAGES[sys.argv[1]]).run()


if __name__ == "__main__":
    main()
