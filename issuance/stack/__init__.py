"""The local stack and its supervisor: real Kafka, PostgreSQL, S3, schema registry and Airflow, without Docker.

Called by: commands, demo, docpages, membership.
"""
