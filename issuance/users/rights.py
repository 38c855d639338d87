"""Rights: what a user may do, per city or for all; in the ledger, set by an admin (contract: The desk)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from issuance.errors import Refused
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day

RIGHTS: dict[str, tuple[str, str]] = {
    "view": ("查看、查找", "see and find cohorts, cards, breaks, partners"),
    "submit": ("提交批次与更正", "submit cohorts and corrections"),
    "plan": ("编制计划、改期、撤销、重发与改派任务", "plan, postpone, withdraw; resend and reassign jobs"),
    "release": ("放行、拒绝、越过警戒线继续", "release and refuse plans; go on past a warning, refuse submissions"),
    "tell": ("登记持卡人事项", "tell holder events, confirm them"),
    "resolve": ("说明差异、补制、恢复、重放", "explain breaks, re-make, resume, replay, reopen and close cohorts"),
    "unmask": ("查看未遮盖的个人信息、导出（须写原因）", "see personal data in clear and export it, with a reason"),
    "erase": ("删除个人信息", "erase personal data"),
    "admin": ("用户、合作方、城市", "users, partners, cities"),
}
"""Right: Chinese, English."""

EVERYWHERE = "*"


class Rights:
    """What one user may do: right by right, the cities; EVERYWHERE covers each."""

    def __init__(self, granted: Iterable[tuple[str, str]]) -> None:
        self._cities: dict[str, set[str]] = {}
        for right, city in granted:
            self._cities.setdefault(right, set()).add(city)

    def cities(self, right: str) -> list[str] | None:
        """The cities in which the user has the right; None: in every one."""
        held = self._cities.get(right, set())
        return None if EVERYWHERE in held else sorted(held)

    def allow(self, right: str, cities: Iterable[str]) -> bool:
        """Whether the user has the right in all these cities; EVERYWHERE asks for all there are."""
        held = self._cities.get(right, set())
        return EVERYWHERE in held or (bool(held) and set(cities) <= held)


def rights_of(connection: Connection, user_id: str) -> Rights:
    """The rights of a user."""
    return Rights(connection.execute('SELECT "right", city FROM user_right WHERE user_id = %s', (user_id,)).fetchall())


def not_allowed(right: str, cities: Iterable[str]) -> Refused:
    """The error for a user who lacks a right; names it, and where."""
    where = ", ".join(cities)
    zh, en = RIGHTS[right]
    return Refused(
        "NOT_ALLOWED",
        f"您没有所需权限 {right}（{zh}，{where}），请向管理员申请。"
        f" / you lack the right {right} ({en}; {where}): ask an admin.",
        right=right,
    )


def grant(connection: Connection, user_id: str, rights: Sequence[str], city: str, by: str) -> None:
    """Grant a user rights in a city, or EVERYWHERE. Idempotent.

    Raises:
        Refused: no such user.
    """
    require_user(connection, user_id)
    day = business_day(connection)
    connection.execute(
        'INSERT INTO user_right (user_id, "right", city, granted_by, granted_on) SELECT %s, r, %s, %s, %s'
        " FROM unnest(%s::text[]) AS r ON CONFLICT DO NOTHING",
        (user_id, city, by, day, list(rights)),
    )
    audit(connection, by, "grant", user_id, day, {"rights": sorted(rights), "city": city})


def revoke(connection: Connection, user_id: str, rights: Sequence[str], city: str, by: str) -> None:
    """Take rights of a city, or those EVERYWHERE, from a user; the last admin stays one.

    Raises:
        Refused: no such user, or nobody would be left who may grant rights.
    """
    require_user(connection, user_id)
    day = business_day(connection)
    connection.execute("LOCK TABLE user_right IN SHARE ROW EXCLUSIVE MODE")
    connection.execute(
        'DELETE FROM user_right WHERE (user_id, city) = (%s, %s) AND "right" = ANY (%s)', (user_id, city, list(rights))
    )
    if not has_admin(connection):
        raise Refused("LAST_ADMIN", "至少须有一名管理员。 / at least one admin has to be left.")
    audit(connection, by, "revoke", user_id, day, {"rights": sorted(rights), "city": city})


def require_user(connection: Connection, user_id: str) -> None:
    """Check that people have this user.

    Raises:
        Refused: no such user; it has to log in once first.
    """
    if not connection.execute("SELECT FROM desk_user WHERE user_id = %s AND issuer <> 'system'", (user_id,)).rowcount:
        raise Refused(
            "USER_UNKNOWN",
            f"没有用户 {user_id}：请先让本人登录一次（issuance login）。"
            f" / there is no user {user_id}: the person has to log in once (issuance login).",
        )


def has_admin(connection: Connection) -> bool:
    """Whether somebody who can log in, so a user of the desk's issuer, may grant rights everywhere."""
    row = connection.execute(
        "SELECT FROM user_right JOIN desk_user USING (user_id) JOIN desk USING (issuer)"
        " WHERE \"right\" = 'admin' AND city = %s LIMIT 1",
        (EVERYWHERE,),
    )
    return bool(row.rowcount)


def grant_first(connection: Connection, rights: Mapping[str, Sequence[str]], by: str) -> None:
    """Grant rights EVERYWHERE on a ledger that has no admin yet; on any other nothing happens."""
    if has_admin(connection):
        return
    for user_id, names in rights.items():
        grant(connection, user_id, names, EVERYWHERE, by)
