"""Our own long-running processes: a consumer per stage and the relay."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from issuance.stack.program import Program

STAGES = ("submissions", "production", "mail", "collection", "activation", "statements", "holder_events")


def programs(env_digest: str) -> list[Program]:
    """The workers; always restarted when they end: what they have read is in the ledger's positions."""
    arguments = {f"consume-{stage.replace('_', '-')}": ("consume", stage) for stage in STAGES} | {"relay": ("relay",)}
    return [of_command(name, words, env_digest) for name, words in arguments.items()]


def of_command(name: str, words: Sequence[str], env_digest: str) -> Program:
    """The process of `issuance WORDS`, restarted when it ends or when stack.env has changed."""
    command = (sys.executable, "-m", "issuance.stack.launch", str(Path(sys.executable).with_name("issuance")), *words)
    return Program(name, command, {"ISSUANCE_ENV_DIGEST": env_digest}, stop_seconds=30, start_retries=10)
