"""Re-make jobs of released waves are sealed and sent."""

from __future__ import annotations

from issuance.dispatch.seal import Sealer
from issuance.ledger.connection import transaction
from issuance.settings import Settings


def seal_remakes(settings: Settings) -> int:
    """Seal and send the re-make jobs of released waves; returns how many."""
    with transaction(settings.database_url) as connection:
        waves = connection.execute(
            "SELECT DISTINCT cohort_id, wave FROM job JOIN cohort USING (cohort_no) LEFT JOIN sealed_job s"
            " USING (job_id, cohort_no, wave) WHERE remake AND s.job_id IS NULL ORDER BY 1, 2"
        ).fetchall()
    if not waves:
        return 0
    sealer = Sealer(settings)
    return sum(sealer.seal_wave(cohort_id, wave) for cohort_id, wave in waves)
