"""Personal data, sealed: blocks of persons, our keys and the partners', masking, photos. Whoever opens a person comes
through here.

Writes with others: partner_key.
Called by: commands, conformance, dispatch, docpages, intake, membership, producers, reconcile, retention, stack,
    tracking.
"""
