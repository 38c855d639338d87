"""Users and rights at the desk, and the login."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from issuance.airflow.client import fetch_token
from issuance.desk.door import Act, Desk, of_user
from issuance.desk.routing import acts, reads
from issuance.desk.scopes import ALL
from issuance.errors import Refused
from issuance.users.airflow_issuer import AirflowIssuer
from issuance.users.register import list_users
from issuance.users.rights import EVERYWHERE, RIGHTS, grant, revoke
from issuance.words.regions import known_regions

router = APIRouter(tags=["用户 / users"])
open_router = APIRouter(tags=["登录 / login"])


@reads(router, "/users", "admin", ALL)
def users(act: Act) -> Any:
    """用户。 Everybody who has logged in, with their rights by city."""
    return list_users(act.connection)


class Grant(BaseModel):
    """Rights, in a city (six digits of GB/T 2260) or in every one ('*'); or taken away."""

    rights: list[str] = Field(min_length=1)
    city: str = EVERYWHERE
    revoke: bool = False


@acts(router, "/users/{user_id}/rights", "admin", ALL)
def set_rights(act: Act, user_id: str, body: Grant) -> Any:
    """授权。 Grant a user rights in a city or everywhere, or take them away."""
    if unknown := sorted(set(body.rights) - set(RIGHTS)):
        raise Refused("RIGHT_UNKNOWN", f"没有权限 {', '.join(unknown)}。 / unknown right; known: {', '.join(RIGHTS)}.")
    if body.city != EVERYWHERE and body.city not in known_regions():
        raise Refused("CITY_UNKNOWN", f"没有城市 {body.city}。 / there is no city {body.city}.")
    change = revoke if body.revoke else grant
    change(act.connection, user_id, body.rights, body.city, act.by)
    return list_users(act.connection, user_id)[0]


@open_router.get("/me")
def me(request: Request) -> Any:
    """我是谁。 The user of the token, with their rights by city."""
    return of_user(request)


@open_router.get("/issuer")
def issuer(request: Request) -> Any:
    """登录方式。 Where people log in, and what a client needs for it."""
    desk: Desk = request.app.state.desk
    return desk.logins.issuer.public()


class Credentials(BaseModel):
    """User and password of Airflow's own login; passed on, never kept."""

    user: str = Field(min_length=1, max_length=256)
    password: str = Field(min_length=1, max_length=1024, repr=False)


@open_router.post("/login")
def login(request: Request, body: Credentials) -> Any:
    """登录。 A token of Airflow's login, for the user that Airflow knows, however the name was spelled."""
    desk: Desk = request.app.state.desk
    if not isinstance(desk.logins.issuer, AirflowIssuer):
        raise Refused("LOGIN_ELSEWHERE", "请在登录系统登录：issuance login。 / log in at the issuer: issuance login.")
    token = fetch_token(desk.settings.airflow_api_url, body.user, body.password)
    user = desk.logins.user(token)
    return {"token": token, "user_id": user.user_id, "name": user.name}
