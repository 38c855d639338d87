"""From a cohort file to accepted cards: reading, normalising, rules, the one decision on rows, acceptance.

Writes alone: part.
Writes with others: acceptance, card, changed_card, cohort, holder_event, row_outcome, submission, tally.
Makes for one transaction: earlier.
Called by: conformance, consumers, dags, demo, desk, docpages, producers, retention, tracking.
"""
