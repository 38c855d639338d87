"""What every DAG shares: tags, defaults, and Airflow's retry policy read from the error tree."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any, ParamSpec, TypeVar

from airflow.sdk.exceptions import AirflowFailException

from issuance.errors import Permanent

P = ParamSpec("P")
R = TypeVar("R")
EVERY = timedelta(minutes=int(os.environ.get("ISSUANCE_DAG_MINUTES", "5")))
"""The safety net under every event: how often the ledger is polled for what is due."""


class Tag(Enum):
    """The tags that the DAG list is filtered by."""

    INTAKE = "intake"
    DISPATCH = "dispatch"
    TRACKING = "tracking"
    RECONCILE = "reconcile"
    RETENTION = "retention"


DEFAULTS: dict[str, Any] = {
    "owner": "issuance-operations",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}


def by_error_tree(step: Callable[P, R]) -> Callable[P, R]:
    """Permanent errors fail at once, everything else is retried."""

    @functools.wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except Permanent as error:
            raise AirflowFailException(str(error)) from error

    return run
