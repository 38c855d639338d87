"""The passes that scheduled DAGs and the demo's stepper run: everything triggered by time alone, room by room."""

from __future__ import annotations

from issuance.city.city import served_city
from issuance.dispatch.remake import plan_remakes
from issuance.dispatch.seal_remakes import seal_remakes
from issuance.ledger.connection import business_day, business_now, transaction
from issuance.reconcile.beyond_order import watch_making
from issuance.reconcile.lateness import watch_chunks, watch_statements
from issuance.settings import Settings
from issuance.tracking.custody import watch_custody
from issuance.tracking.decide import decide
from issuance.tracking.gaps import watch_gaps
from issuance.tracking.job_answers import watch_jobs
from issuance.tracking.notices import send_notices
from issuance.tracking.requests import watch_requests
from issuance.tracking.snapshot import city_values


def run_clocks(settings: Settings) -> int:
    """Decide, then do all that time alone triggers; returns how much was written (0: nothing left to do)."""
    city = served_city(settings)
    written = decide(settings)
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        written += plan_remakes(connection, day)
        written += watch_gaps(connection, day)
        written += watch_chunks(connection, day)
        written += watch_jobs(connection, city, day)
        written += watch_custody(connection, day, city_values(city, day))
        written += watch_requests(connection, day)
        written += watch_making(connection, day)
        written += watch_statements(connection, city, business_now(connection), day)
    written += seal_remakes(settings)
    written += send_notices(settings)
    return written
