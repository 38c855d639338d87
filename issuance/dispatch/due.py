"""Dispatches that are due to start: the answer that cohort_starter asks for (principle 1)."""

from __future__ import annotations

from issuance.dispatch.plan import next_wave
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings


def due_dispatches(settings: Settings) -> list[dict[str, object]]:
    """A run for every accepted cohort that has opened and has cards without a plan; run id = cohort.wave.

    A plan that waits for its release is named again (its run stands already, or was lost with Airflow's database);
    until it is released nothing more is planned by itself, and after a refusal only by hand.
    """
    with transaction(settings.database_url) as connection:
        cohorts = connection.execute(
            """
            SELECT cohort_id FROM cohort c WHERE state IN ('ACCEPTED', 'DISPATCHED') AND opens_on <= %s
              AND (EXISTS (SELECT FROM card k WHERE k.cohort_no = c.cohort_no AND k.state = 'WAITING'
                           AND k.last_attempt = 0 AND k.withdrawn IS NULL)
                   AND NOT EXISTS (SELECT FROM wave w WHERE w.cohort_no = c.cohort_no AND w.refused IS NOT NULL)
                OR EXISTS (SELECT FROM wave w LEFT JOIN release r USING (cohort_no, wave)
                           WHERE w.cohort_no = c.cohort_no AND r.wave IS NULL AND w.refused IS NULL))
            ORDER BY 1
            """,
            (business_day(connection),),
        ).fetchall()
        rows = [(cohort, next_wave(connection, cohort)) for (cohort,) in cohorts]
    return [
        {"trigger_run_id": f"{cohort}.{wave}", "conf": {"cohort_id": cohort, "wave": wave}} for cohort, wave in rows
    ]
