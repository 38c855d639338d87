"""Messages: topics and their ACLs, Avro, the one consumer loop, the outbox and its relay, refusals and pauses. Knows
topics and partners, never a card.

Writes alone: fault, outbox_schema, partner_state, topic_position.
Writes with others: dead_letter, outbox.
Called by: breaks, commands, conformance, consumers, dags, demo, desk, dispatch, docpages, intake, membership, passes,
producers, reconcile, retention, stack, tracking, vault.
"""
