"""Evidence and decisions: reports are merged and folded into rows; `decide` reads what changed and decides. Merging
decides nothing, deciding reads no message.

Writes alone: fact, partner_stream, plastic_in_consignment, refused_item, report, told_event.
Writes with others: acceptance, card, changed_card, changed_consignment, consignment, dead_letter, decision,
    holder_event, job, plastic, tally.
Makes for one transaction: card_snapshot, look, plastic_snapshot, staged, work.
Called by: conformance, consumers, desk, docpages, membership, passes, producers, proof, reconcile.
"""
