"""Airflow from outside: its API, who is logged in, failed runs and their retries.

Writes alone: operator.
Called by: commands, dags, demo, stack.
"""
