"""Differences that somebody must explain. `settle` is the only writer of what evidence opens and closes, `resolve` of
what a person says.

Writes alone: break, break_event.
Makes for one transaction: found_break.
Called by: airflow, commands, conformance, demo, dispatch, docpages, reconcile, retention, tracking.
"""
