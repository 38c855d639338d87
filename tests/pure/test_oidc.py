"""An OIDC provider as issuer: whose token it is, what is refused, and the device flow; against a real provider."""

from __future__ import annotations

import hmac
import json
import time
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import httpx
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from oidc_fixture import (
    Provider,
    by_introspection,
    by_signature,
    code_in,
    encoded,
    free_port,
    issuer_of,
    provider,
    refusal,
)
from oidc_server import CLI, DESK, HOUR_CLI, OTHER_CLI, USER

from issuance.client.device import device_login, refresh
from issuance.errors import Misconfigured, Refused, Unavailable
from issuance.users.identity import Identity
from issuance.users.oidc import Oidc

__all__ = ["provider"]  # a fixture


@pytest.fixture(scope="module")
def token(provider: Provider) -> str:
    return str(provider.login()["access_token"])


@pytest.fixture(params=[by_introspection, by_signature])
def oidc(provider: Provider, request: pytest.FixtureRequest) -> Oidc:
    made: Oidc = request.param(provider)
    return made


def test_a_token_gives_issuer_subject_and_name(provider: Provider, oidc: Oidc, token: str) -> None:
    assert oidc.who(token) == Identity(provider.url, "1", USER)


def test_the_subject_stays_when_the_name_changes(provider: Provider) -> None:
    provider.change("UPDATE auth_user SET username = 'li.na.wang'")
    try:
        with httpx.Client(base_url=provider.url, headers={"X-User": "li.na.wang"}) as browser:
            said: list[str] = []

            def accept(_: float) -> None:
                entered = browser.post("/device/", data={"user_code": code_in(said)})
                browser.post(entered.headers["location"], data={"action": "accept"})

            renamed = device_login(issuer_of(provider), said.append, accept)["access_token"]
        for oidc in (by_introspection(provider), by_signature(provider)):
            assert oidc.who(renamed) == Identity(provider.url, "1", "li.na.wang")
    finally:
        provider.change("UPDATE auth_user SET username = ?", USER)


def test_another_clients_token_is_refused(provider: Provider, oidc: Oidc) -> None:
    other = provider.login(OTHER_CLI)["access_token"]
    assert refusal(oidc, other)[0] == "NOT_LOGGED_IN"


def test_another_audience_is_refused(provider: Provider, token: str) -> None:
    assert refusal(by_signature(provider, OIDC_AUDIENCE="api://other"), token) == ("NOT_LOGGED_IN", "invalid_claim")
    elsewhere = by_introspection(provider, OIDC_AUDIENCE="api://other", OIDC_CLI_CLIENT_ID="")
    assert refusal(elsewhere, token) == ("NOT_LOGGED_IN", "audience")


@pytest.mark.parametrize("nonsense", ["", "x", "a.b.c", "é.è.à", "a.b.c.d.e", "%00"])
def test_nonsense_is_refused(oidc: Oidc, nonsense: str) -> None:
    with pytest.raises(Refused, match="NOT_LOGGED_IN"):
        oidc.who(nonsense)


# what introspection ends at once


def test_a_disabled_user_is_refused_at_once(provider: Provider) -> None:
    mine, oidc = str(provider.login()["access_token"]), by_introspection(provider)
    assert oidc.who(mine).subject == "1"
    provider.change("UPDATE auth_user SET is_active = 0")
    try:
        assert refusal(oidc, mine) == ("NOT_LOGGED_IN", "not_active")
    finally:
        provider.change("UPDATE auth_user SET is_active = 1")
    assert oidc.who(mine).subject == "1"


def test_a_revoked_token_is_refused_at_once(provider: Provider) -> None:
    mine, oidc = str(provider.login()["access_token"]), by_introspection(provider)
    assert oidc.who(mine).subject == "1"
    provider.change("DELETE FROM oauth2_provider_accesstoken WHERE token = ?", mine)
    assert refusal(oidc, mine) == ("NOT_LOGGED_IN", "not_active")


def test_an_expired_token_is_refused_by_introspection(provider: Provider) -> None:
    mine = str(provider.login()["access_token"])
    past = "2020-01-01 00:00:00"
    provider.change("UPDATE oauth2_provider_accesstoken SET expires = ? WHERE token = ?", past, mine)
    assert refusal(by_introspection(provider), mine) == ("NOT_LOGGED_IN", "not_active")


def test_introspection_may_know_long_lived_tokens(provider: Provider) -> None:
    hour = str(provider.login(HOUR_CLI)["access_token"])
    assert by_introspection(provider, OIDC_CLI_CLIENT_ID=HOUR_CLI).who(hour).subject == "1"
    assert refusal(by_signature(provider), hour)[0] == "TOKEN_TOO_LONG_LIVED"


def test_a_wrong_client_secret_is_no_ones_login(provider: Provider) -> None:
    oidc = Oidc.of(provider.settings(OIDC_CLIENT_SECRET="wrong"))
    assert oidc
    with pytest.raises(Misconfigured, match="OIDC_MISCONFIGURED"):
        oidc.who("x")


# what a signature has to show


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iat": 1_700_000_000, "exp": 1_700_000_300}, "expired_token"),
        ({"iat": 10_000_000_000, "exp": 10_000_000_300}, "invalid_claim"),
        ({"nbf": 10_000_000_000}, "invalid_claim"),
        ({"iss": "https://elsewhere.example"}, "invalid_claim"),
        ({"aud": "other"}, "invalid_claim"),
        ({"aud": None}, "missing_claim"),
        ({"iat": None}, "missing_claim"),
        ({"exp": None}, "missing_claim"),
        ({"exp": "soon"}, "invalid_claim"),
        ({"sub": None}, "invalid_claim"),
        ({"sub": ""}, "no_subject"),
        ({"at_hash": "x"}, "no_access_token"),
        ({"typ": "ID"}, "no_access_token"),
    ],
)
def test_claims_that_are_refused(provider: Provider, claims: dict[str, Any], reason: str) -> None:
    assert refusal(by_signature(provider), provider.signed(**claims)) == ("NOT_LOGGED_IN", reason)


def test_five_minutes_are_the_limit(provider: Provider) -> None:
    now, oidc = int(time.time()), by_signature(provider)
    assert oidc.who(provider.signed(iat=now, exp=now + 300)).subject == "1"
    assert refusal(oidc, provider.signed(iat=now, exp=now + 301))[0] == "TOKEN_TOO_LONG_LIVED"


def test_forged_tokens_are_refused(provider: Provider) -> None:
    oidc, stranger = by_signature(provider), RSAKey.generate_key(2048)
    assert refusal(oidc, provider.signed(stranger)) == ("NOT_LOGGED_IN", "bad_signature")
    assert refusal(oidc, provider.signed(stranger, {"kid": "unknown"})) == ("NOT_LOGGED_IN", "invalid_key_id")
    own = ECKey.generate_key("P-256")  # which the token brings along
    assert (
        refusal(oidc, provider.signed(own, {"alg": "ES256", "jwk": own.as_dict(private=False)}))[0] == "NOT_LOGGED_IN"
    )


def test_a_signature_without_a_private_key_is_refused(provider: Provider) -> None:
    """None at all, or with the public key as the secret (RFC 8725, 2.1)."""
    public, claims = provider.key.as_pem(private=False), provider.signed().split(".")[1]
    for algorithm in ("none", "HS256"):
        signed = f"{encoded(json.dumps({'alg': algorithm, 'typ': 'at+jwt'}).encode())}.{claims}"
        signature = hmac.digest(public, signed.encode(), "sha256") if algorithm == "HS256" else b""
        forged = f"{signed}.{encoded(signature)}"
        assert refusal(by_signature(provider), forged) == ("NOT_LOGGED_IN", "unsupported_algorithm")


def test_a_logout_token_is_no_login(provider: Provider) -> None:
    logout = provider.signed(header={"typ": "logout+jwt"})
    assert refusal(by_signature(provider), logout) == ("NOT_LOGGED_IN", "no_access_token")


# issuers that are wrong, changed or gone: a page that says what the test wants


class Pages(NamedTuple):
    """A server whose documents the test writes; `asked` are the paths that were asked for."""

    url: str
    documents: dict[str, Any]
    asked: list[str]

    def device_flow(self, code: dict[str, int]) -> dict[str, Any]:
        """An issuer with a device flow that answers with this code."""
        given = {"device_code": "d", "user_code": "U", "verification_uri": self.url}
        self.documents["/device"] = (200, given | code)
        endpoints = {"device_authorization_endpoint": f"{self.url}/device", "token_endpoint": f"{self.url}/token"}
        return {"client_id": CLI, "scopes": "openid"} | endpoints


@pytest.fixture
def pages() -> Iterator[Pages]:
    documents: dict[str, Any] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, document = documents.get(self.path, (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    documents["/.well-known/openid-configuration"] = (
        200,
        {"issuer": url, "jwks_uri": f"{url}/keys", "introspection_endpoint": f"{url}/introspect"},
    )
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Pages(url, documents, asked)
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_issuer_of_another_name_is_refused(pages: Pages) -> None:
    pages.documents["/.well-known/openid-configuration"] = (200, {"issuer": f"{pages.url}/"})
    with pytest.raises(Misconfigured, match="OIDC_MISCONFIGURED"):
        Oidc(pages.url, DESK).who("x")
    assert Oidc(f"{pages.url}/", DESK)._discovery()


def test_a_server_that_is_down_or_broken_is_unavailable(pages: Pages) -> None:
    gone = Oidc(f"http://127.0.0.1:{free_port()}", DESK, "secret")
    for ask in (gone.public, lambda: gone.who("x")):
        with pytest.raises(Unavailable, match="ISSUER_UNAVAILABLE"):
            ask()
    oidc = Oidc(pages.url, DESK, "secret")
    for status, document in ((500, {}), (503, b""), (429, {}), (200, b"<html>"), (200, [])):
        pages.documents["/introspect"] = (status, document)
        with pytest.raises(Unavailable, match="ISSUER_UNAVAILABLE"):
            oidc.who("x")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"active": "true", "sub": "1", "aud": DESK}, "not_active"),
        ({"active": True, "sub": "1"}, "audience"),
        ({"active": True, "sub": "1", "aud": 7}, "audience"),
        ({"active": True, "sub": "1", "client_id": ""}, "audience"),
        ({"active": True, "sub": "1", "aud": DESK, "iss": "https://elsewhere.example"}, "issuer"),
        ({"active": True, "aud": DESK, "username": "li.na"}, "no_subject"),
        ({"active": True, "aud": DESK, "sub": "1", "token_type": "DPoP"}, "token_type"),
    ],
)
def test_introspections_that_are_refused(pages: Pages, answer: dict[str, Any], reason: str) -> None:
    pages.documents["/introspect"] = (200, answer)
    assert refusal(Oidc(pages.url, DESK, "secret"), "opaque-token") == ("NOT_LOGGED_IN", reason)


def test_the_name_is_what_the_issuer_tells(pages: Pages) -> None:
    names = {"preferred_username": "li.na", "username": "lina", "name": "李娜"}
    for expected in ("li.na", "lina", "李娜", "1"):
        pages.documents["/introspect"] = (200, {"active": True, "sub": "1", "aud": ["x", DESK]} | names)
        assert Oidc(pages.url, DESK, "secret").who("x") == Identity(pages.url, "1", expected)
        names.pop(next(iter(names), ""), None)


def test_every_algorithm_and_a_new_key(pages: Pages) -> None:
    rsa, ec, okp = RSAKey.generate_key(2048), ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
    strange = {"kty": "AKP", "kid": "pq"}
    published = {"keys": [strange, rsa.as_dict(private=False, kid="r"), ec.as_dict(private=False, kid="e")]}
    pages.documents["/keys"] = (200, published)
    provider, oidc = Provider(pages.url, rsa, Path()), Oidc(pages.url, DESK)
    for key, algorithm, kid in ((rsa, "RS256", "r"), (rsa, "PS256", "r"), (ec, "ES256", "e")):
        assert oidc.who(provider.signed(key, {"alg": algorithm, "kid": kid})).subject == "1"
    assert pages.asked.count("/keys") == 1
    published["keys"].append(okp.as_dict(private=False, kid="o"))
    time.sleep(1.1)  # unknown keys are asked for once a second at most
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RFC 9864 has a new name for EdDSA
        assert oidc.who(provider.signed(okp, {"alg": "EdDSA", "kid": "o"})).subject == "1"
    for _ in range(3):
        refusal(oidc, provider.signed(rsa, {"kid": "never"}))
    assert pages.asked.count("/keys") == 2


# settings


def test_settings() -> None:
    assert Oidc.of({}) is None
    oidc = Oidc.of({"OIDC_ISSUER_URL": "https://id.example", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "hidden"})
    assert oidc and oidc.client_secret == "hidden" and "hidden" not in repr(oidc)
    for wrong in ({}, {"OIDC_CLIENT_ID": "a", "OIDC_ISSUER_URL": "http://id.example"}):
        with pytest.raises(Misconfigured, match="OIDC_MISCONFIGURED"):
            Oidc.of({"OIDC_ISSUER_URL": "https://id.example"} | wrong)


def test_what_a_client_is_told(provider: Provider) -> None:
    assert by_introspection(provider).public() == {
        "kind": "oidc",
        "issuer": provider.url,
        "client_id": CLI,
        "scopes": "openid profile",
        "device_authorization_endpoint": f"{provider.url}/device-authorization/",
        "token_endpoint": f"{provider.url}/token/",
    }


def test_an_issuer_without_device_flow_says_so(pages: Pages) -> None:
    with pytest.raises(Misconfigured, match="device_authorization_endpoint"):
        Oidc(pages.url, DESK).public()


# the device flow


def test_the_device_flow_waits_for_the_person(provider: Provider) -> None:
    said: list[str] = []
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            provider.answer(code_in(said), "accept")

    tokens = device_login(issuer_of(provider), said.append, sleep)
    assert waits == [5.0, 5.0, 5.0]
    assert f"{provider.url}/device/" in said[0] and f"?user_code={code_in(said)}" in said[2]
    assert by_introspection(provider).who(tokens["access_token"]) == Identity(provider.url, "1", USER)


def test_a_refresh_gives_another_token(provider: Provider) -> None:
    issuer, tokens = issuer_of(provider), provider.login()
    renewed = refresh(issuer, tokens["refresh_token"])
    assert renewed["access_token"] != tokens["access_token"]
    assert by_signature(provider).who(renewed["access_token"]).subject == "1"
    with pytest.raises(Refused) as refused:  # it counts once
        refresh(issuer, tokens["refresh_token"])
    assert (refused.value.code, refused.value.details["reason"]) == ("LOGIN_REFUSED", "invalid_grant")
    oidc = by_signature(provider, OIDC_AUDIENCE=CLI)  # that an ID token has
    assert refusal(oidc, renewed["id_token"]) == ("NOT_LOGGED_IN", "no_access_token")


def test_a_denied_login_is_refused(provider: Provider) -> None:
    with pytest.raises(Refused) as refused:
        provider.login(action="deny")
    assert (refused.value.code, refused.value.details["reason"]) == ("LOGIN_REFUSED", "access_denied")


def test_an_expired_code_is_refused(provider: Provider) -> None:
    def expire(_: float) -> None:
        provider.change("UPDATE oauth2_provider_devicegrant SET status = 'expired' WHERE user_code = ?", code_in(said))

    said: list[str] = []
    with pytest.raises(Refused) as refused:
        device_login(issuer_of(provider), said.append, expire)
    assert (refused.value.code, refused.value.details["reason"]) == ("LOGIN_REFUSED", "expired_token")


def test_nobody_waits_longer_than_the_code_lives(pages: Pages) -> None:
    issuer = pages.device_flow({"expires_in": 12})
    pages.documents["/token"] = (400, {"error": "authorization_pending"})
    waits: list[float] = []
    with pytest.raises(Refused) as refused:
        device_login(issuer, print, waits.append)
    assert refused.value.details["reason"] == "expired_token" and waits == [5.0, 5.0, 5.0]


def test_an_unknown_client_cannot_log_in(provider: Provider) -> None:
    with pytest.raises(Refused, match="LOGIN_REFUSED"):
        device_login(issuer_of(provider) | {"client_id": "nobody"}, print, time.sleep)


def test_a_client_that_asks_too_often_slows_down(pages: Pages) -> None:
    issuer = pages.device_flow({"expires_in": 60, "interval": 1})
    answers: list[Any] = [
        (400, {"error": "slow_down"}),
        (400, {"error": "authorization_pending"}),
        (200, {"access_token": "t", "token_type": "bearer"}),
    ]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        pages.documents["/token"] = answers.pop(0)

    assert device_login(issuer, print, sleep)["access_token"] == "t"
    assert waits == [1.0, 6.0, 6.0]


@pytest.mark.parametrize("ask", [lambda at: device_login(at, print, time.sleep), lambda at: refresh(at, "token")])
def test_a_login_at_a_server_that_is_down(ask: Callable[[dict[str, Any]], object]) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match="ISSUER_UNAVAILABLE"):
        ask({"client_id": CLI, "scopes": "", "device_authorization_endpoint": down, "token_endpoint": down})
