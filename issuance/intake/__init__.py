"""From a cohort file to accepted cards: reading, normalising, rules, the one decision on rows, acceptance.

Writes alone: part.
Writes with others: acceptance, card, changed_card, cohort, holder_event, row_outcome, submission, tally.
Makes for one transaction: earlier.
Called by: commands, conformance, consumers, dags, demo, docpages, producers, retention, tracking.
"""
