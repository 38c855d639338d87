"""Waking runs: a decision is a row in the ledger, and the run that waits for it looks (design, principle 1)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from issuance.airflow.client import Airflow
from issuance.errors import IssuanceError

log = logging.getLogger(__name__)
NUMBER_OF = {"card_dispatch": "wave", "cohort_intake": "submission"}
"""DAG: what its run is about; run id = cohort.number, conf: cohort_id and that number."""


def wake_run(service: Callable[[], Airflow], dag_id: str, cohort_id: str, number: int) -> bool:
    """As the desk's service user, start a run if there is none, and answer the approval that it waits in.

    Whatever the answer is called, the run reads what was decided from the ledger. False if Airflow does not answer
    now: the cohort starter's timer finds what is due, and what is decided, a few minutes later.
    """
    try:
        airflow, run_id = service(), f"{cohort_id}.{number}"
        airflow.start_run(dag_id, {"cohort_id": cohort_id, NUMBER_OF[dag_id]: number}, run_id)
        for _, task_id in airflow.pending_approvals(dag_id, run_id):
            airflow.answer(dag_id, run_id, task_id, APPROVE)
    except IssuanceError as error:
        log.warning("run=%s.%s of %s not woken: %s", cohort_id, number, dag_id, error.code)
        return False
    return True


APPROVE = "Approve"


def wake_decided(airflow: Airflow, is_decided: Callable[[str, str, int], bool]) -> list[tuple[str, str]]:
    """Answer the approvals whose decision the ledger holds already (dag, cohort, number); returns (dag, run)."""
    woken = []
    for dag_id in NUMBER_OF:
        for run_id, task_id in airflow.pending_approvals(dag_id):
            cohort_id, _, number = run_id.rpartition(".")
            if number.isdecimal() and is_decided(dag_id, cohort_id, int(number)):
                airflow.answer(dag_id, run_id, task_id, APPROVE)
                woken.append((dag_id, run_id))
    return woken
