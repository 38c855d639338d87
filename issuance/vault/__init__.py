"""Personal data, sealed: blocks of persons, our keys and the partners', masking, photos. All access to a
person's data goes through here.

Writes with others: partner_key.
Called by: commands, conformance, desk, dispatch, docpages, intake, membership, producers, reconcile, retention,
stack, tracking.
"""
