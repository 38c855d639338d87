"""From accepted cards to sealed jobs: forecast and plan, release by a second person, sealing, and what is done with a
job afterwards.

Writes alone: job_item, release, sealed_job.
Writes with others: card, changed_card, cohort, job, plastic, remake, submission, wave.
Makes for one transaction: planned, unplanned.
Called by: conformance, dags, demo, desk, docpages, membership, passes, retention, tracking.
"""
