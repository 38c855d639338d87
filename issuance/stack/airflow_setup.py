"""`python -m issuance.stack.airflow_setup`: migrate Airflow's database, synchronise roles, make the users on stdin.

One process instead of a migration and a command per user: each would import Airflow anew, 5 s a time.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Read {user: {role, password}} from standard input; a user that exists gets the given password and role."""
    users: dict[str, dict[str, str]] = json.load(sys.stdin)
    from airflow.utils.db import upgradedb

    upgradedb()
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)  # type: ignore[no-untyped-call]
        builder.sm.sync_roles()
        for name, entry in users.items():
            _make_user(builder.sm, name, entry["role"], entry["password"])


def _make_user(manager: Any, name: str, role_name: str, password: str) -> None:
    role = manager.find_role(role_name)
    user = manager.find_user(username=name)
    if user is None:
        made = manager.add_user(name, name.capitalize(), "Demo", f"{name}@issuance.invalid", role, password)
        if not made:
            raise SystemExit(f"user {name} could not be made")
        return
    user.roles = [role]
    manager.update_user(user)
    manager.reset_password(user.id, password)


if __name__ == "__main__":
    main()
