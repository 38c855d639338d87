"""Every name, defined once: milestones, states, codes, ways to collect, derived references. Imports no other room.

Called by: city, commands, conformance, demo, desk, dispatch, docpages, intake, ledger, membership, producers,
reconcile, retention, tracking, wire.
"""
