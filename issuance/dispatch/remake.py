"""Re-make jobs: one job a day for each bank and factory, covered by the wave's release up to its allowance."""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.dispatch.plan import write_jobs
from issuance.ledger.connection import Connection
from issuance.ledger.erased import erased


def plan_remakes(connection: Connection, day: date) -> int:
    """Put plastics without a job into the day's re-make jobs; returns how many plastics.

    Past the allowance of the wave's release nothing is planned and a REMAKE_LIMIT break opens; its reference carries
    the amount and how many waves the cohort has, so that after an operator's answer the next excess opens another
    break. Left out are people whose data was erased (no file could be sealed, and the others must not wait for it),
    plastics whose card got another effective one, and those of a suspended factory. Locks the waves.
    """
    connection.execute(
        f"""
        CREATE TEMP TABLE planned ON COMMIT DROP AS
        SELECT p.card_ref, p.attempt, p.bank, p.factory, c.due_on, c.cohort_no, first.wave,
               format('%%s.%%s.R%%s.%%s.%%s', o.cohort_id, first.wave, to_char(%(day)s::date, 'YYYYMMDD'), p.bank,
                      p.factory) AS job_id,
               (row_number() OVER (PARTITION BY c.cohort_no, first.wave, p.bank, p.factory
                                   ORDER BY c.due_on, p.card_ref, p.attempt))::int - 1 AS position
        FROM plastic p JOIN card c USING (card_ref) JOIN cohort o USING (cohort_no)
        JOIN LATERAL (SELECT j.wave FROM plastic q JOIN job j USING (job_id)
                      WHERE q.card_ref = p.card_ref ORDER BY q.attempt LIMIT 1) first ON true
        WHERE p.job_id IS NULL AND p.attempt > 1 AND c.withdrawn IS NULL AND NOT {erased()}
          AND p.factory NOT IN (SELECT partner FROM partner_state WHERE reason = 'SUSPENDED')
          AND coalesce(c.effective, p.attempt) = p.attempt
          AND NOT EXISTS (SELECT FROM job j WHERE j.job_id = format('%%s.%%s.R%%s.%%s.%%s', o.cohort_id, first.wave,
                          to_char(%(day)s::date, 'YYYYMMDD'), p.bank, p.factory))
        """,
        {"day": day},
    )
    _keep_allowed(connection, day)
    jobs = connection.execute("SELECT DISTINCT job_id FROM planned").fetchall()
    write_jobs(connection, {job_id: day for (job_id,) in jobs}, remake=True)
    planned = connection.execute(
        "UPDATE plastic p SET job_id = planned.job_id FROM planned"
        " WHERE (p.card_ref, p.attempt) = (planned.card_ref, planned.attempt)"
    ).rowcount
    connection.execute("DROP TABLE planned")
    return planned


BEYOND = """
SELECT cohort_no, wave, remakes_allowed AS allowed, used + wanted AS wanted,
       concat_ws('.', cohort_no, wave, used + wanted,
                 (SELECT count(*) FROM wave v WHERE v.cohort_no = release.cohort_no)) AS reference
FROM release JOIN (SELECT cohort_no, wave, count(*) AS wanted FROM planned GROUP BY 1, 2) w USING (cohort_no, wave),
LATERAL (SELECT coalesce(sum(card_count), 0) AS used FROM job j
         WHERE (j.cohort_no, j.wave) = (release.cohort_no, release.wave) AND j.remake) u
WHERE used + wanted > remakes_allowed
"""
"""Waves whose release covers less than is wanted; a reference carries the amount and how many waves the cohort has."""
KIND = "REMAKE_LIMIT"
HELD = f"""
SELECT {
    difference(
        f"'{KIND}'", cohort_no="cohort_no", reference="reference", expected="allowed::text", actual="wanted::text"
    )
} FROM ({BEYOND}) f
WHERE NOT EXISTS (SELECT FROM break b WHERE b.kind = '{KIND}' AND b.closed_on IS NULL AND b.cohort_no = f.cohort_no
                  AND starts_with(b.reference, concat_ws('.', f.cohort_no, f.wave, '')))
"""
"""Of these, the ones without an open break."""


def _keep_allowed(connection: Connection, day: date) -> None:
    """Keep in `planned` only what the releases cover, and settle the breaks of the others."""
    settle(connection, day, [KIND], HELD)
    connection.execute(f"DELETE FROM planned p USING ({BEYOND}) f WHERE (p.cohort_no, p.wave) = (f.cohort_no, f.wave)")
