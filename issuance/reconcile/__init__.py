"""Reconciliation: partners' statements against the ledger, the closing equations, closing and reopening cohorts.

Writes alone: daily_report, statement, statement_chunk, statement_difference.
Writes with others: cohort.
Makes for one transaction: difference, listed, work.
Needs from its caller: plastic_snapshot.
Called by: conformance, consumers, dags, demo, desk, docpages, passes.
"""
