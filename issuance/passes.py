"""What time alone brings about: silence of partners, gaps in sequences, hand-over counts, re-make jobs, notices."""

from __future__ import annotations

from issuance.city.partners import load_registry
from issuance.city.policy import load_policy
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal_remakes import seal_remakes
from issuance.ledger.connection import business_day, business_now, transaction
from issuance.reconcile.beyond_order import watch_making
from issuance.reconcile.lateness import watch_statements
from issuance.settings import Settings
from issuance.tracking.custody import watch_custody
from issuance.tracking.decide import decide
from issuance.tracking.gaps import ask_missing
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.notices import send_notices
from issuance.tracking.requests import watch_requests


def run_clocks(settings: Settings) -> int:
    """Decide, then all that time brings about; returns how much was written (0: at rest)."""
    registry = load_registry(settings.partners_file)
    policy = load_policy(settings.policies_dir, registry.city)
    written = decide(settings)
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        written += plan_remakes(connection, day)
        written += ask_missing(connection, day)
        written += watch_jobs(connection, policy, day)
        written += watch_custody(connection, policy, day, registry.hrss)
        written += watch_requests(connection, day)
        written += watch_making(connection, day)
        written += watch_statements(connection, registry, business_now(connection), day)
    written += seal_remakes(settings)
    written += send_notices(settings)
    return written
