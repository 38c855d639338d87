"""Every cell of the table of routes × rights: no login, every wrong right, another city's, and the right one.

The table is read from the app itself, as the generated page is, so a route that is added is tested too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cohort_fixture import TODAY, add_cohort, changed, empty, plan_as
from desk_fixture import TokenIssuer, add_user, running_desk

from issuance.desk.app import bare_app
from issuance.desk.routing import declared_routes
from issuance.ledger.connection import connect
from issuance.settings import Settings
from issuance.users.rights import EVERYWHERE, RIGHTS
from issuance.words.references import card_ref_of

HERE, THERE = "110000", "310000"
CARD = str(card_ref_of("c1", "A0"))
BREAK = "00000000-0000-0000-0000-000000000001"
ROUTES = [route for route in declared_routes(bare_app()) if route["right"] != "-"]
OPEN = {("GET", "/health"), ("GET", "/api/v1/issuer"), ("POST", "/api/v1/login"), ("GET", "/api/v1/me")}
"""Routes that ask for no right: health, how to log in, and who one is (for everybody who is logged in)."""

PLACES = {
    "cohort_id": "c1", "card_ref": CARD, "job_id": "J", "break_id": BREAK, "event_no": "1", "attempt": "1",
    "brake_no": "1", "number": "0", "wave": "1", "partner_id": "NOBODY",
    "topic": "issuance.mail.EMS.v1", "user_id": "nobody", "sha256": "x",
}  # fmt: skip
QUERY = {"/api/v1/cards": {"words": "x"}, "/api/v1/packages/{sha256}": {"cohort_id": "c1"}}
BODIES: dict[str, dict[str, Any]] = {
    "postpone": {"opens_on": "2027-01-04", "reason": "r"},
    "remake": {"reason": "DAMAGED", "note": "n"},
    "events": {"event": "DEATH", "occurred_on": "2025-10-01", "paper": "certificate"},
    "waive": {"request": "CANCEL", "note": "n"},
    "decide": {"goes_on": True, "note": "n"},
    "assign": {"owner": "somebody"},
    "rights": {"rights": ["view"]},
    "rotate": {"kafka": True},
    "partners": {"kind": "bank", "id": "X", "primary": "NOBODY"},
    "replay": {"code": "NONE"},
}
"""By the last word of a route; the others take a reason and a note, and ignore what they do not know."""
REASONS = {"reason": "r", "note": "n", "card": CARD}


@dataclass
class Door:
    """The desk of a ledger, and what it answers to whom."""

    address: str
    issuer: TokenIssuer

    def ask(self, route: dict[str, str], token: str | None) -> httpx.Response:
        path = route["path"].format(**PLACES)
        headers = {} if token is None else {"Authorization": token if " " in token else f"Bearer {token}"}
        query = dict(QUERY.get(route["path"], {}))
        if route["path"].endswith("/submissions"):
            files = {"manifest": (None, b'{"cohort": "c1", "city": "110000"}', "application/json"),
                     "files": ("a.csv", b"x")}  # fmt: skip
            return httpx.post(f"{self.address}{path}", headers=headers, files=files, timeout=60)
        if route["method"] == "GET":
            return httpx.get(f"{self.address}{path}", headers=headers, params=query, timeout=60)
        body = BODIES.get(path.rpartition("/")[2], REASONS)
        tried = {"dry_run": "true"} if route["tried"] else {}
        return httpx.post(f"{self.address}{path}", headers=headers, params=tried, json=body, timeout=60)


def name_of(right: str, city: str) -> str:
    return f"{right}-in-{city}"


@pytest.fixture(scope="module")
def door(database: Settings, ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Two cities' cohorts with one of everything, and a user for each right in one city, the other and everywhere."""
    empty(ledger_url)
    settings = changed(database, ledger_url, tmp_path_factory.mktemp("rights"), {}, {})
    fill(settings)
    for right in RIGHTS:
        for city in (HERE, THERE, EVERYWHERE):
            add_user(ledger_url, name_of(right, city), [right], city)
        add_user(ledger_url, f"all-but-{right}", [other for other in RIGHTS if other != right])
    add_user(ledger_url, "nothing", [])
    add_user(ledger_url, "disabled")
    issuer = TokenIssuer({"disabled"})
    with running_desk(settings, issuer) as address:
        yield Door(address, issuer)


def fill(settings: Settings) -> None:
    with connect(settings.database_url) as connection:
        add_cohort(connection, "c1", [("ICBC", TODAY)] * 2)
        connection.execute(
            "INSERT INTO break (break_id, cohort_no, kind, reference, opened_on)"
            " SELECT %s, cohort_no, 'CONFLICT', 'r', %s FROM cohort WHERE cohort_id = 'c1'", (BREAK, TODAY)
        )  # fmt: skip
        connection.execute(
            "INSERT INTO brake (kind, city, set_on, due, of) VALUES ('EXPIRY', %s, %s, 1, 1)", (HERE, TODAY)
        )
        connection.execute(
            "INSERT INTO told_event (card_ref, event, occurred_at, paper, told_by, told_on, acts_at)"
            " VALUES (%s, 'DEATH', now(), 'p', 'pipeline', %s, now())", (CARD, TODAY)
        )  # fmt: skip
    plan_as(settings, "c1", 1, "planner")
    with connect(settings.database_url) as connection:
        number = add_cohort(connection, "c2", [("ICBC", TODAY)])
        connection.execute("UPDATE cohort SET city = %s, state = 'CLOSED' WHERE cohort_no = %s", (THERE, number))
        (job,) = connection.execute("SELECT min(job_id) FROM job").fetchone() or ("",)
    PLACES["job_id"] = job


@pytest.fixture(params=ROUTES, ids=[f"{route['method']} {route['path']}" for route in ROUTES])
def route(request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = request.param
    return found


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:issuance:problem:{told['code']}"
    return str(told["code"])


@pytest.mark.parametrize("token", [None, "Basic dXNlcjpw", "forged", "token-of-", "token-of-disabled"])
def test_nobody_comes_in_without_a_login_that_the_issuer_knows(
    door: Door, route: dict[str, str], token: str | None
) -> None:
    answer = door.ask(route, token)
    assert (answer.status_code, code(answer)) == (401, "NOT_LOGGED_IN")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_other_right_opens_a_route(door: Door, route: dict[str, str]) -> None:
    for user in ("nothing", f"all-but-{route['right']}"):
        answer = door.ask(route, f"token-of-{user}")
        assert (answer.status_code, code(answer)) == (403, "NOT_ALLOWED")
        assert route["right"] in answer.json()["detail"]


def test_the_right_opens_it_everywhere(door: Door, route: dict[str, str]) -> None:
    answer = door.ask(route, f"token-of-{name_of(route['right'], EVERYWHERE)}")
    assert answer.status_code not in (401, 403), answer.text


def test_the_right_of_one_city_opens_what_is_of_that_city(door: Door, route: dict[str, str]) -> None:
    answer = door.ask(route, f"token-of-{name_of(route['right'], HERE)}")
    if route["scope"] == "every city":
        assert (answer.status_code, code(answer)) == (403, "NOT_ALLOWED")
    elif route["path"].endswith("/retention/run"):  # none named: all that are due
        assert code(answer) == "NOT_ALLOWED"
    else:
        assert answer.status_code not in (401, 403), answer.text


def test_another_citys_right_opens_nothing_of_this_one(door: Door, route: dict[str, str]) -> None:
    answer = door.ask(route, f"token-of-{name_of(route['right'], THERE)}")
    if "a city" in route["scope"]:
        shown = answer.text
        assert CARD not in shown
        assert '"c1"' not in shown
    else:
        assert (answer.status_code, code(answer)) == (403, "NOT_ALLOWED")


def test_only_the_login_and_the_health_ask_for_no_right() -> None:
    routes = declared_routes(bare_app())
    assert {(route["method"], route["path"]) for route in routes if route["right"] == "-"} == OPEN
    assert {route["right"] for route in routes} - {"-"} == set(RIGHTS)


def test_who_one_is_needs_a_login_too(door: Door) -> None:
    me = {"method": "GET", "path": "/api/v1/me", "tried": ""}
    assert door.ask(me, None).status_code == 401
    assert door.ask(me, f"token-of-{name_of('view', HERE)}").json() == {
        "user_id": name_of("view", HERE), "name": name_of("view", HERE), "rights": {HERE: ["view"]},
    }  # fmt: skip


def test_a_disabled_user_is_one_within_a_minute(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    me = {"method": "GET", "path": "/api/v1/me", "tried": ""}
    add = name_of("admin", THERE)
    assert door.ask(me, f"token-of-{add}").status_code == 200
    asked = door.issuer.asked
    assert door.ask(me, f"token-of-{add}").status_code == 200
    assert door.issuer.asked == asked, "an answer of the issuer is kept"
    from issuance.users import login

    assert login.KEPT_SECONDS + 30 <= 60, "and with Airflow's own half minute for no more than one"


def test_rights_are_the_ledgers_at_once(door: Door) -> None:
    admin = {"Authorization": f"Bearer token-of-{name_of('admin', EVERYWHERE)}"}
    own = {"Authorization": "Bearer token-of-nothing"}
    path = f"{door.address}/api/v1/users/nothing/rights"
    assert httpx.get(f"{door.address}/api/v1/cohorts", headers=own).status_code == 403
    given = httpx.post(path, headers=admin, json={"rights": ["view"], "city": THERE}).json()
    assert given["rights"] == {THERE: ["view"]}
    assert [c["cohort_id"] for c in httpx.get(f"{door.address}/api/v1/cohorts", headers=own).json()] == ["c2"]
    httpx.post(path, headers=admin, json={"rights": ["view"], "city": THERE, "revoke": True})
    assert httpx.get(f"{door.address}/api/v1/cohorts", headers=own).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("users/nothing/rights", {"rights": ["all"]}, "RIGHT_UNKNOWN"),
        ("users/nothing/rights", {"rights": ["view"], "city": "999999"}, "CITY_UNKNOWN"),
        ("users/stranger/rights", {"rights": ["view"]}, "USER_UNKNOWN"),
        ("users/pipeline/rights", {"rights": ["admin"]}, "USER_UNKNOWN"),
        ("users/nothing/rights", {"rights": []}, "REQUEST_INVALID"),
    ],
)
def test_a_grant_that_means_nothing_is_refused(door: Door, path: str, body: dict[str, Any], refusal: str) -> None:
    admin = {"Authorization": f"Bearer token-of-{name_of('admin', EVERYWHERE)}"}
    assert code(httpx.post(f"{door.address}/api/v1/{path}", headers=admin, json=body)) == refusal


def test_another_issuers_users_are_refused_loudly(ledger_url: str, door: Door) -> None:
    with connect(ledger_url) as connection:
        connection.execute("UPDATE desk SET issuer = 'airflow:another'")
    try:
        answer = httpx.get(f"{door.address}/api/v1/me", headers={"Authorization": "Bearer token-of-newcomer"})
        assert (answer.status_code, code(answer)) == (503, "ISSUER_CHANGED")
    finally:
        with connect(ledger_url) as connection:
            connection.execute("UPDATE desk SET issuer = 'test'")


def test_the_last_admin_stays_one(ledger_url: str, door: Door) -> None:
    admins = [name_of("admin", EVERYWHERE), *(f"all-but-{right}" for right in RIGHTS if right != "admin"), "disabled"]
    headers = {"Authorization": f"Bearer token-of-{admins[0]}"}
    body = {"rights": ["admin"], "revoke": True}
    with connect(ledger_url) as connection:
        kept = connection.execute("SELECT user_id FROM user_right WHERE \"right\" = 'admin' AND city = '*'").fetchall()
    assert {name for (name,) in kept} >= set(admins)
    for (name,) in kept:
        if name != admins[0]:
            assert (
                httpx.post(f"{door.address}/api/v1/users/{name}/rights", headers=headers, json=body).status_code == 200
            )
    assert (
        code(httpx.post(f"{door.address}/api/v1/users/{admins[0]}/rights", headers=headers, json=body)) == "LAST_ADMIN"
    )
