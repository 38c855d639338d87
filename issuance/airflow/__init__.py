"""Airflow from outside: its API, who is logged in, failed runs and their retries.

Called by: dags, demo, desk, users.
"""
