"""Users in the ledger: registered at their first verified login; the desk's issuer, and its service user in Airflow."""

from __future__ import annotations

from typing import Any, NamedTuple

from issuance.errors import Refused
from issuance.ledger.audit import PIPELINE, audit
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import rows_of
from issuance.users.identity import Identity


def register_user(connection: Connection, identity: Identity) -> str:
    """The id of a user, registered and audited when seen first; a new name is only noted."""
    row = connection.execute(
        "SELECT user_id, name FROM desk_user WHERE (issuer, subject) = (%s, %s)", identity[:2]
    ).fetchone()
    if row and row[1] == identity.name:
        return str(row[0])
    (user_id, is_new) = connection.execute(
        "INSERT INTO desk_user (issuer, subject, name) VALUES (%s, %s, %s)"
        " ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name RETURNING user_id, xmax = 0",
        identity,
    ).fetchone() or ("", False)
    if is_new:
        audit(connection, user_id, "register", user_id, business_day(connection), {"issuer": identity.issuer,
              "subject": identity.subject})  # fmt: skip
    return str(user_id)


class Service(NamedTuple):
    """The desk as Airflow knows it: to whom approvals belong, and where people answer them."""

    user_id: str
    name: str
    address: str

    def link(self, cohort_id: str, dag_id: str, number: str) -> str:
        """Where people see what a run waits for."""
        part = "waves" if dag_id == "card_dispatch" else "submissions"
        return f"{self.address}/api/v1/cohorts/{cohort_id}/{part}/{number}"


def read_service(connection: Connection) -> Service:
    """The desk of this ledger.

    Raises:
        Refused: no desk has ever started on it.
    """
    row = connection.execute("SELECT service_id, service_name, address FROM desk").fetchone()
    if row is None:
        raise Refused(
            "DESK_UNKNOWN",
            "此账本还没有业务台：请启动 issuance desk，再重跑此任务（Clear）。"
            " / no desk has started on this ledger: start `issuance desk`, then clear this task.",
        )
    return Service(*row)


def open_desk(connection: Connection, issuer: str, service: Service, adopt: bool = False) -> None:
    """Record the desk's issuer and service user. With `adopt`, another issuer takes the place of the recorded one.

    Raises:
        Refused: ISSUER_CHANGED, this ledger's users are another issuer's.
    """
    row = connection.execute("SELECT issuer FROM desk FOR UPDATE").fetchone()
    if row and row[0] != issuer and not adopt:
        raise issuer_changed(row[0], issuer)
    if row and row[0] != issuer:
        audit(connection, PIPELINE, "adopt issuer", issuer, business_day(connection), {"before": row[0]})
    connection.execute(
        "INSERT INTO desk (issuer, service_id, service_name, address) VALUES (%(issuer)s, %(id)s, %(name)s, %(at)s)"
        " ON CONFLICT (one) DO UPDATE SET issuer = excluded.issuer, service_id = excluded.service_id,"
        " service_name = excluded.service_name, address = excluded.address",
        {"issuer": issuer, "id": service.user_id, "name": service.name, "at": service.address},
    )


def require_issuer(connection: Connection, issuer: str) -> None:
    """Refuse everybody while logins are another issuer's than this ledger's users.

    Raises:
        Refused: ISSUER_CHANGED.
    """
    row = connection.execute("SELECT issuer FROM desk").fetchone()
    if row is None or row[0] != issuer:
        raise issuer_changed(row[0] if row else "-", issuer)


def issuer_changed(known: str, found: str) -> Refused:
    """The error for logins of another installation, whose user ids mean other people."""
    return Refused(
        "ISSUER_CHANGED",
        f"账本中的用户属于 {known}，现在的登录属于 {found or '（未命名）'}：同一编号可能是另一个人。"
        "请恢复原来的登录系统；确要更换时停止业务台，运行 issuance desk --adopt-issuer，再由新的管理员授权。"
        f" / this ledger's users belong to {known}, logins now to {found or '(unnamed)'}: the same id may be another"
        " person. Restore the former login system; to change it for good, stop the desk, run `issuance desk"
        " --adopt-issuer`, and have a new admin grant rights.",
    )


def list_users(connection: Connection, user_id: str | None = None) -> list[dict[str, Any]]:
    """Everybody who has logged in, or one of them, with their rights by city ('*' is every city)."""
    return rows_of(
        connection,
        "SELECT u.user_id, name, issuer, subject, coalesce(jsonb_object_agg(city, rights) FILTER"
        " (WHERE city IS NOT NULL), '{}') AS rights FROM desk_user u LEFT JOIN (SELECT user_id, city,"
        ' jsonb_agg("right" ORDER BY "right") AS rights FROM user_right GROUP BY 1, 2) r USING (user_id)'
        " WHERE issuer <> 'system' AND u.user_id = coalesce(%(id)s, u.user_id)"
        " GROUP BY u.user_id ORDER BY name, u.user_id",
        {"id": user_id},
    )
