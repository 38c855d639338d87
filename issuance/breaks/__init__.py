"""Differences that somebody must explain. Only `settle` writes what evidence opens and closes, only `resolve` what a
person decides.

Writes alone: break, break_event.
Makes for one transaction: found_break.
Called by: airflow, commands, conformance, demo, desk, dispatch, docpages, passes, reconcile, retention, tracking.
"""
