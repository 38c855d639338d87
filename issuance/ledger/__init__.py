"""The ledger's base: connections, migrations, the business clock, the audit, and operators' queries. Knows no
message and no rule.

Writes alone: audit, business_clock.
Called by: airflow, breaks, commands, conformance, dags, demo, desk, dispatch, intake, membership, passes, proof,
reconcile, retention, stack, tracking, users, vault, wire.
"""
