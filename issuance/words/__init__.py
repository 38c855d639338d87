"""Every name once: milestones, states, codes, ways to collect, derived references. Imports nothing of ours.

Called by: city, commands, conformance, demo, dispatch, docpages, intake, membership, producers, reconcile, retention,
    tracking.
"""
