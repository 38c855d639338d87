"""The ledger proved: rows against a fold of their facts, kept numbers against counts, the canonical digest. Reads
everything, writes only by `rebuild`.

Writes with others: changed_card, changed_consignment, consignment.
Called by: commands.
"""
