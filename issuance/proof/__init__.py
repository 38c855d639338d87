"""Proof of the ledger: rows against a fold of their facts, stored totals against counts, the canonical digest. Reads
everything, writes only by `rebuild`.

Writes with others: changed_card, changed_consignment, consignment, plastic.
Makes for one transaction: work.
Needs from its caller: card_snapshot.
Called by: commands.
"""
