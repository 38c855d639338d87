"""Intakes that are due to start, as queried by cohort_starter (principle 1)."""

from __future__ import annotations

from issuance.ledger.checks import is_check
from issuance.ledger.connection import transaction
from issuance.settings import Settings


def due_intakes(settings: Settings) -> list[dict[str, object]]:
    """A run (arguments of Airflow's trigger operator) for every registered submission; run id = cohort.submission."""
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT cohort_id, number FROM submission s JOIN cohort USING (cohort_no) WHERE s.state = 'REGISTERED'"
            f" AND NOT {is_check('cohort_id')}"
            " ORDER BY 1, 2"
        ).fetchall()
    return [
        {"trigger_run_id": f"{cohort}.{number}", "conf": {"cohort_id": cohort, "submission": number}}
        for cohort, number in rows
    ]
