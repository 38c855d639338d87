"""`issuance login`, `user`, `desk`: who one is, who may do what, and the desk's own process."""

from __future__ import annotations

import os
from typing import Any

import click

from issuance.client.session import desk, log_in
from issuance.commands.output import emit, tell
from issuance.commands.values import AS_JSON, DRY_RUN
from issuance.errors import Refused


@click.command()
@click.argument("user", required=False)
@click.option("--desk", "at", help="The desk's address; by default ISSUANCE_DESK_URL, the last login's, or local.")
def login(user: str | None, at: str | None) -> None:
    """登录。 Log in at the desk; every act is recorded as that user's."""

    def password() -> str:
        return os.environ.get("ISSUANCE_PASSWORD") or str(click.prompt("密码 / password", hide_input=True, err=True))

    me = log_in(user, password, at, click.echo)
    rights = "; ".join(f"{city}: {', '.join(rights)}" for city, rights in sorted(me["rights"].items()))
    click.echo(f"已登录 / logged in as {me['name']} ({me['user_id']})")
    click.echo(f"权限 / rights: {rights or '无，请向管理员申请 / none: ask an admin'}")


def verified(right: str) -> dict[str, Any]:
    """Who is logged in, as the desk says, for an act with the components; the user needs the right everywhere.

    Raises:
        Refused: NOT_LOGGED_IN, or NOT_ALLOWED.
    """
    me: dict[str, Any] = desk().get("me")
    if right not in me["rights"].get("*", ()):
        raise Refused("NOT_ALLOWED", f"您没有所需权限 {right}。 / you lack the right {right} everywhere.", right=right)
    return me


@click.group()
def user() -> None:
    """用户。 Users and their rights: list, grant."""


@user.command(name="list")
@AS_JSON
def list_users(as_json: bool) -> None:
    """Everybody who has logged in, with their rights by city; '*' is every city."""
    emit(desk().get("users"), as_json)


@user.command()
@click.argument("user_id")
@click.argument("rights", nargs=-1, required=True)
@click.option("--city", default="*", show_default=True, help="Six digits of GB/T 2260; '*' is every city.")
@click.option("--revoke", is_flag=True, help="Take these rights away.")
@DRY_RUN
def grant(user_id: str, rights: tuple[str, ...], city: str, revoke: bool, dry_run: bool) -> None:
    """授权。 Grant a user rights: view, submit, plan, release, tell, resolve, unmask, erase, admin."""
    body = {"rights": list(rights), "city": city, "revoke": revoke}
    done = desk().act(f"users/{user_id}/rights", body, dry_run=dry_run)
    now = "; ".join(f"{where}: {', '.join(held)}" for where, held in sorted(done["rights"].items()))
    tell(f"{done['name']} ({user_id}): {now or '无 / none'}", dry_run)


@click.command(name="desk")
@click.option("--adopt-issuer", is_flag=True, help="Take the present issuer's users as this ledger's (ISSUER_CHANGED).")
def serve(adopt_issuer: bool) -> None:
    """业务台。 Run the desk until it is told to stop; needs the components."""
    from issuance.desk.serve import serve_desk
    from issuance.settings import environment, load_settings

    serve_desk(load_settings(), environment(), adopt_issuer)


COMMANDS = (login, user, serve)
