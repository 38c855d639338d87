"""Stop what a test run with ISSUANCE_TEST_KEEP=1 has left running in this checkout, by its ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Stacks by the public command; a PostgreSQL that stands alone by the id that it keeps in its folder."""
    for file in sorted(ROOT.glob(".stack-test*/stack.env")):
        env = {**os.environ, "ISSUANCE_STACK_DIR": str(file.parent)}
        subprocess.run([sys.executable, "-m", "issuance.cli", "stack", "down"], env=env, check=True)
    for file in sorted(ROOT.glob(".stack-test*-ledger/postgres/*/postmaster.pid")):
        os.kill(int(file.read_text(encoding="utf-8").split()[0]), signal.SIGINT)


if __name__ == "__main__":
    main()
