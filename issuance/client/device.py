"""Logging in at an OpenID Connect provider from a terminal: the device flow (RFC 8628), and a new token later on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from issuance.errors import Refused, Unavailable

TIMEOUT_SECONDS = 10.0
INTERVAL_SECONDS = 5.0
"""Between two questions where the issuer names no interval; and how much longer after `slow_down` (RFC 8628, 3.5)."""
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def device_login(
    issuer: Mapping[str, Any], say: Callable[[str], None], sleep: Callable[[float], None]
) -> dict[str, Any]:
    """Have somebody log in with a browser; returns when they have.

    Args:
        issuer: what the desk tells of its issuer: `client_id`, `scopes`, `device_authorization_endpoint`,
            `token_endpoint`.
        say: shows a line to the person.
        sleep: waits for so many seconds.

    Returns:
        The token response (RFC 6749, 5.1): `access_token`, and as the issuer likes `refresh_token` and `expires_in`
        (seconds).

    Raises:
        Refused: LOGIN_REFUSED; its `reason` is the issuer's, such as access_denied or expired_token.
        Unavailable: ISSUER_UNAVAILABLE.
    """
    form = {"client_id": issuer["client_id"], "scope": issuer["scopes"]}
    code = _granted(_post(issuer["device_authorization_endpoint"], form))
    _show(code, say)
    interval, waited = float(code.get("interval") or INTERVAL_SECONDS), 0.0
    while waited < float(code["expires_in"]):
        sleep(interval)
        waited += interval
        tokens, interval = _poll(issuer, code["device_code"], interval)
        if tokens:
            return tokens
    raise _refused("expired_token")


def refresh(issuer: Mapping[str, Any], refresh_token: str) -> dict[str, Any]:
    """A new access token without the person.

    Returns:
        A token response as that of `device_login`; a `refresh_token` in it takes the place of the one used.

    Raises:
        Refused: LOGIN_REFUSED, the login has ended: log in again.
        Unavailable: ISSUER_UNAVAILABLE.
    """
    form = {"grant_type": "refresh_token", "client_id": issuer["client_id"], "refresh_token": refresh_token}
    return _tokens(_post(issuer["token_endpoint"], form))


def _poll(issuer: Mapping[str, Any], device_code: str, interval: float) -> tuple[dict[str, Any] | None, float]:
    """The tokens, None as long as the person has not decided; and the seconds until the next question."""
    form = {"grant_type": _GRANT, "client_id": issuer["client_id"], "device_code": device_code}
    try:
        answer = _post(issuer["token_endpoint"], form)
    except Unavailable as error:
        if isinstance(error.__cause__, httpx.TimeoutException):  # to be asked less often (RFC 8628, 3.5)
            return None, interval * 2
        raise
    match answer.get("error"):
        case "authorization_pending":
            return None, interval
        case "slow_down":
            return None, interval + INTERVAL_SECONDS
    return _tokens(answer), interval


def _show(code: Mapping[str, Any], say: Callable[[str], None]) -> None:
    say(f"请用浏览器打开此地址登录： / log in with a browser at: {code['verification_uri']}")
    say(f"并输入代码： / and enter the code: {code['user_code']}")
    if complete := code.get("verification_uri_complete"):
        say(f"或打开已含代码的地址： / or open the address that has the code in it: {complete}")


def _post(url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The JSON of an answer, be it a success or an error of RFC 6749, 5.2."""
    try:
        answer = httpx.post(url, data=form, timeout=TIMEOUT_SECONDS)
        document = answer.json() if answer.status_code < 500 else None
    except (httpx.HTTPError, ValueError) as error:
        raise _unavailable(url) from error
    if not isinstance(document, dict):
        raise _unavailable(url)
    if answer.status_code != 200:
        return {"error": str(document.get("error", answer.status_code))}
    return document


def _granted(answer: dict[str, Any]) -> dict[str, Any]:
    if reason := answer.get("error"):
        raise _refused(str(reason))
    return answer


def _tokens(answer: dict[str, Any]) -> dict[str, Any]:
    tokens = _granted(answer)
    if not tokens.get("access_token") or str(tokens.get("token_type")).lower() != "bearer":
        raise _refused("token_type")
    return tokens


def _refused(reason: str) -> Refused:
    message = {
        "access_denied": "登录被拒绝。 / the login was denied.",
        "expired_token": "登录代码已过期：请重新登录。 / the code has expired: log in again.",
        "invalid_grant": "登录已失效：请重新登录。 / the login has ended: log in again.",
    }.get(reason, f"登录服务拒绝登录：{reason}。 / the issuer refuses the login: {reason}.")
    return Refused("LOGIN_REFUSED", message, reason=reason)


def _unavailable(url: str) -> Unavailable:
    return Unavailable("ISSUER_UNAVAILABLE", f"登录服务没有应答：{url}。 / the issuer does not answer: {url}.")
