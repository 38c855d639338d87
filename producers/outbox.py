"""`python -m producers.outbox`: the relay process, sends the ledger's outbox until it is told to stop."""

from __future__ import annotations

import logging

from issuance.settings import load_settings
from issuance.wire.relay import Relay


def main() -> None:
    """Run the relay."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    Relay(load_settings()).run()


if __name__ == "__main__":
    main()
