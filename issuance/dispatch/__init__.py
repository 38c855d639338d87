"""From accepted cards to sealed jobs: forecast and plan, release by a second person, sealing, and what is done with a
job afterwards.

Writes alone: job_item, sealed_job.
Writes with others: card, changed_card, cohort, decision, job, plastic, release, submission, wave.
Makes for one transaction: planned, unplanned.
Called by: commands, conformance, dags, demo, docpages, membership, passes, retention, tracking.
"""
