"""Airflow from outside: its API, who is logged in, runs that failed and are run again.

Writes alone: operator.
Called by: commands, dags, demo, stack.
"""
