"""A city as one value: its policy, its partners, its working days. Reads files, never the database.

Called by: breaks, commands, conformance, demo, desk, dispatch, docpages, intake, membership, passes, producers,
proof, reconcile, retention, stack, tracking, vault, wire.
"""
