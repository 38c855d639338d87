"""Evidence and decisions: reports are merged and folded into rows; `decide` reads what changed and decides. Merging
decides nothing, deciding reads no message.

Writes alone: brake, brake_look, carrier_feed, deciding, decision, fact, partner_stream, plastic_in_consignment,
refused_item, report, request, waiting_event, waiting_item.
Writes with others: acceptance, card, changed_card, changed_consignment, consignment, dead_letter, holder_event, job,
plastic, remake, tally, told_event.
Makes for one transaction: begins, card_snapshot, look, plastic_snapshot, staged, work.
Called by: conformance, consumers, desk, docpages, membership, passes, producers, proof, reconcile.
"""
