"""An OpenID Connect provider as the issuer of logins, in the place of Airflow.

Where the desk has a client secret and the issuer an introspection endpoint, the issuer is asked about every token
(RFC 7662): a disabled user or a revoked token ends at once. Otherwise a token has to be a signed JWT (RFC 9068) that
lives for five minutes at most, since nothing else would end the login of a disabled user. Neither way holds a secret
that could sign a token. Tokens appear in no message and no log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

from issuance.errors import Misconfigured, Refused, Unavailable
from issuance.users.identity import Identity

LONGEST_SECONDS = 300
"""The longest life of a token that no introspection can end (design: a disabled user is one within five minutes)."""
LEEWAY_SECONDS = 5
"""By how much the issuer's clock may be off."""
TIMEOUT_SECONDS = 10.0
DISCOVERY_KEPT_SECONDS = 3600.0
KEYS_KEPT_SECONDS = 300.0
"""A key that the issuer withdraws ends within this time."""
KEYS_APART_SECONDS = 1.0
"""Unknown key ids come from strangers, too: they make the keys be fetched no more often than this."""

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones alone: under HS256 a public key would be a secret to sign with, `none` is no signature (RFC 8725)."""
_TYPES = ("jwt", "at+jwt", "application/at+jwt")
"""`typ` of an access token (RFC 9068, 2.1); `logout+jwt` and others are signed by the same keys and are no login."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Oidc:
    """One issuer, and the desk as its client.

    `audience` '' stands for client_id. `cli_client_id` is the public client of the command line, '' for client_id.
    """

    issuer_url: str
    client_id: str
    client_secret: str = field(repr=False, default="")
    audience: str = ""
    scopes: str = "openid profile"
    cli_client_id: str = ""
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Oidc | None:
        """The issuer of OIDC_ISSUER_URL, None where that is not set.

        Further variables: OIDC_CLIENT_ID (needed), OIDC_CLIENT_SECRET, OIDC_AUDIENCE, OIDC_CLI_CLIENT_ID, OIDC_SCOPES.

        Raises:
            Misconfigured: OIDC_MISCONFIGURED, no client id, or an issuer that is reached without TLS.
        """
        issuer_url = env.get("OIDC_ISSUER_URL", "")
        if not issuer_url:
            return None
        if not env.get("OIDC_CLIENT_ID"):
            raise _misconfigured("没有设置 OIDC_CLIENT_ID。", "OIDC_CLIENT_ID is not set.")
        _require_tls(issuer_url)
        return cls(
            issuer_url=issuer_url,
            client_id=env["OIDC_CLIENT_ID"],
            client_secret=env.get("OIDC_CLIENT_SECRET", ""),
            audience=env.get("OIDC_AUDIENCE", ""),
            scopes=env.get("OIDC_SCOPES") or cls.scopes,
            cli_client_id=env.get("OIDC_CLI_CLIENT_ID", ""),
        )

    def who(self, token: str) -> Identity:
        """Whose token this is: (issuer, `sub`, a name to show).

        Raises:
            Refused: NOT_LOGGED_IN, with a `reason`; TOKEN_TOO_LONG_LIVED, a JWT of more than five minutes and nobody
                to ask whether it still counts.
            Unavailable: ISSUER_UNAVAILABLE, the issuer does not answer.
            Misconfigured: OIDC_MISCONFIGURED, the issuer is another one, or does not accept the desk's client.
        """
        endpoint = self._discovery().get("introspection_endpoint")
        claims = self._introspect(endpoint, token) if self.client_secret and endpoint else self._verify(token)
        return self._identity(claims)

    def public(self) -> dict[str, Any]:
        """What a client needs to log in by the device flow (RFC 8628).

        Returns:
            `kind` 'oidc', `issuer`, `client_id` (a public client), `scopes` (separated by spaces),
            `device_authorization_endpoint` and `token_endpoint`.

        Raises:
            Unavailable: ISSUER_UNAVAILABLE.
            Misconfigured: OIDC_MISCONFIGURED; also where the issuer has no device flow.
        """
        discovery = self._discovery()
        endpoints = {name: discovery.get(name) for name in ("device_authorization_endpoint", "token_endpoint")}
        missing = [name for name, url in endpoints.items() if not url]
        if missing:
            raise _misconfigured(
                f"登录服务没有提供 {'、'.join(missing)}。", f"the issuer offers no {', '.join(missing)}."
            )
        client_id = self.cli_client_id or self.client_id
        return {"kind": "oidc", "issuer": self.issuer_url, "client_id": client_id, "scopes": self.scopes, **endpoints}

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise _not_logged_in("no_subject")
        names = (claims.get(name) for name in ("preferred_username", "username", "name"))
        name = next((name for name in names if isinstance(name, str) and name), subject)
        return Identity(self.issuer_url, subject, name)

    def _introspect(self, endpoint: str, token: str) -> dict[str, Any]:
        # id and secret are form-encoded first, a colon in the id would end it otherwise (RFC 6749, 2.3.1)
        credentials = httpx.BasicAuth(quote_plus(self.client_id), quote_plus(self.client_secret))
        form = {"token": token, "token_type_hint": "access_token"}
        claims = _json(_send("POST", endpoint, data=form, auth=credentials))
        if claims.get("active") is not True:
            raise _not_logged_in("not_active")
        if str(claims.get("token_type", "Bearer")).lower() != "bearer":
            raise _not_logged_in("token_type")
        if claims.get("iss", self.issuer_url) != self.issuer_url:
            raise _not_logged_in("issuer")
        if not self._is_ours(claims):
            raise _not_logged_in("audience")
        return claims

    def _is_ours(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token is for the desk, or was given to one of its clients (many issuers name no audience)."""
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        if (self.audience or self.client_id) in audiences:
            return True
        return claims.get("client_id") in {self.client_id, self.cli_client_id} - {""}

    def _verify(self, token: str) -> dict[str, Any]:
        required = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.issuer_url},
            aud={"essential": True, "value": self.audience or self.client_id},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            found = self._decode(token)
            required.validate(found.claims)
        except JoseError as error:
            raise _not_logged_in(error.error) from error
        except ValueError as error:  # no JWT at all
            raise _not_logged_in("no_jwt") from error
        if not _is_access_token(found):
            raise _not_logged_in("no_access_token")
        if found.claims["exp"] - found.claims["iat"] > LONGEST_SECONDS:
            raise _too_long_lived()
        return found.claims

    def _decode(self, token: str) -> jwt.Token:
        # other header parameters than the registered ones are the issuer's own affair; `crit` is checked all the same
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(token, self._keys(KEYS_KEPT_SECONDS), registry=registry)
        except InvalidKeyIdError:  # the issuer may have a new key since
            return jwt.decode(token, self._keys(KEYS_APART_SECONDS), registry=registry)

    def _keys(self, seconds: float) -> KeySet:
        """The issuer's public keys, no older than this."""
        at, keys = self._kept.get("keys", (0.0, None))
        if keys is None or time.monotonic() - at > seconds:
            url = self._discovery().get("jwks_uri")
            if not url:
                raise _misconfigured("登录服务没有提供 jwks_uri。", "the issuer offers no jwks_uri.")
            keys = _key_set(_json(_send("GET", url)))
            self._kept["keys"] = time.monotonic(), keys
        return keys  # type: ignore[no-any-return]

    def _discovery(self) -> dict[str, Any]:
        """The issuer's metadata (OpenID Connect Discovery 1.0, 4)."""
        at, document = self._kept.get("discovery", (0.0, None))
        if document is None or time.monotonic() - at > DISCOVERY_KEPT_SECONDS:
            document = _json(_send("GET", self.issuer_url.rstrip("/") + "/.well-known/openid-configuration"))
            if document.get("issuer") != self.issuer_url:  # 4.3: identical, otherwise it speaks for somebody else
                raise _misconfigured(
                    "OIDC_ISSUER_URL 与登录服务自报的 issuer 不一致。",
                    "OIDC_ISSUER_URL is not what the issuer calls itself.",
                    issuer=document.get("issuer"),
                )
            self._kept["discovery"] = time.monotonic(), document
        return document  # type: ignore[no-any-return]


def _is_access_token(token: jwt.Token) -> bool:
    """An ID token has the same issuer, audience and keys; it tells a client of a login, and opens nothing."""
    if str(token.header.get("typ", "JWT")).lower() not in _TYPES:
        return False
    return not ({"at_hash", "c_hash"} & token.claims.keys()) and token.claims.get("typ") != "ID"


def _key_set(document: Mapping[str, Any]) -> KeySet:
    keys = [_public_key(key) for key in document.get("keys", [])]
    return KeySet([key for key in keys if key is not None])


def _public_key(document: dict[str, Any]) -> Key | None:
    """A key to verify with; None for one of another use or not understood, to be passed over (RFC 7517, 5)."""
    if document.get("kty") not in ("RSA", "EC", "OKP") or document.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(document)
    except (JoseError, ValueError, KeyError):
        return None


def _send(method: str, url: str, **request: Any) -> httpx.Response:
    try:
        answer = httpx.request(method, url, timeout=TIMEOUT_SECONDS, **request)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _misconfigured(f"登录服务的地址无效：{url}。", f"no address of an issuer: {url}.") from error
    except httpx.HTTPError as error:
        raise _unavailable(url) from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise _unavailable(url, status=answer.status_code)
    if answer.status_code != 200:
        raise _misconfigured(
            f"登录服务拒绝了业务台的请求（{answer.status_code}）：{url}。请核对以 OIDC_ 开头的设置。",
            f"the issuer refuses the desk's request ({answer.status_code}): {url}. Check the settings OIDC_*.",
            status=answer.status_code,
        )
    return answer


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError as error:
        raise _unavailable(str(answer.url)) from error
    if not isinstance(document, dict):
        raise _unavailable(str(answer.url))
    return document


def _require_tls(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise _misconfigured(
            f"OIDC_ISSUER_URL 必须以 https:// 开头：{url}。", f"OIDC_ISSUER_URL has to begin with https://: {url}."
        )


def _not_logged_in(reason: str) -> Refused:
    return Refused("NOT_LOGGED_IN", "请先登录：issuance login。 / log in first: issuance login.", reason=reason)


def _too_long_lived() -> Refused:
    return Refused(
        "TOKEN_TOO_LONG_LIVED",
        "登录令牌的有效期超过五分钟，而业务台无法查询它是否已失效：请设置 OIDC_CLIENT_SECRET，或缩短令牌的有效期。"
        " / the token lives for more than five minutes, and the desk cannot ask whether it still counts:"
        " set OIDC_CLIENT_SECRET, or give out shorter tokens.",
        longest_seconds=LONGEST_SECONDS,
    )


def _unavailable(url: str, **details: Any) -> Unavailable:
    message = f"登录服务没有应答：{url}。 / the issuer does not answer: {url}."
    return Unavailable("ISSUER_UNAVAILABLE", message, **details)


def _misconfigured(chinese: str, english: str, **details: Any) -> Misconfigured:
    return Misconfigured("OIDC_MISCONFIGURED", f"{chinese} / {english}", **details)
