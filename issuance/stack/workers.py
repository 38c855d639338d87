"""Our own long-running processes: a consumer per stage and the relay."""

from __future__ import annotations

import sys
from pathlib import Path

from issuance.stack.program import Program

STAGES = ("submissions", "production", "mail", "collection", "activation", "statements", "holder_events")


def programs(env_digest: str) -> list[Program]:
    """The workers; always restarted when they end: what they have read is in the ledger's positions."""
    command = (sys.executable, "-m", "issuance.stack.launch", str(Path(sys.executable).with_name("issuance")))
    arguments = {f"consume-{stage.replace('_', '-')}": ("consume", stage) for stage in STAGES} | {"relay": ("relay",)}
    environment = {"ISSUANCE_ENV_DIGEST": env_digest}
    return [
        Program(name, (*command, *words), environment, stop_seconds=30, start_retries=10)
        for name, words in arguments.items()
    ]
