"""The database roles of the ledger: pipeline, desk, reader; what each may do, granted after every migration.

The owner migrates and is used by nothing else. A role that the cluster lacks is left out, so that one owner alone
works too: then only the triggers keep audit, releases and sealed jobs as they are.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

PIPELINE, DESK, READER = "issuance_pipeline", "issuance_desk", "issuance_reader"
ROLES = (PIPELINE, DESK, READER)

ADDED_ONLY = ("audit", "release")
"""Tables of which no role alters or deletes a row; a trigger says the same to the owner."""

NOT_FOR_THE_PIPELINE = ("release", "desk_user", "user_right", "desk", "desk_answer")
"""What only people do, at the desk: release, and what the desk knows of people."""


def grant_roles(connection: psycopg.Connection) -> list[str]:
    """Grant the roles that the cluster has what they may do, and nothing else; returns them. Idempotent."""
    present = [name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall() if name in ROLES]
    maintain = connection.info.server_version >= 170_000
    for role in present:
        _grant_reading(connection, role)
    for role in (name for name in present if name != READER):
        _execute(connection, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}", role)
        _execute(connection, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}", role)
        if maintain:  # statistics of tables that a step has just filled
            _execute(connection, "GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO {}", role)
        for table in ADDED_ONLY:
            _execute(connection, f"REVOKE UPDATE, DELETE ON {table} FROM {{}}", role)
        for table in ("job_item", "sealed_job"):
            _execute(connection, f"REVOKE UPDATE ON {table} FROM {{}}", role)
        _execute(connection, "GRANT UPDATE (resent, sent_on) ON sealed_job TO {}", role)
        _execute(connection, "REVOKE DELETE ON sealed_job FROM {}", role)
    if PIPELINE in present:
        for table in NOT_FOR_THE_PIPELINE:
            _execute(connection, f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {{}}", PIPELINE)
    return present


def _grant_reading(connection: psycopg.Connection, role: str) -> None:
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    statement = sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Identifier(role)))
    _execute(connection, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}", role)
    _execute(connection, "REVOKE UPDATE (resent, sent_on) ON sealed_job FROM {}", role)
    _execute(connection, "GRANT USAGE ON SCHEMA public TO {}", role)
    _execute(connection, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", role)


def _execute(connection: psycopg.Connection, statement: str, role: str) -> None:
    connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
