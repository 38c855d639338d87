"""An OpenID Connect provider for tests: Django OAuth Toolkit on loopback, as `python oidc_server.py PORT FOLDER`.

FOLDER holds key.pem, the RSA key that it signs with, and its database db.sqlite3, which tests change as an
administrator would. There is one user, li.na. Who browses is told by the header X-User; nobody is asked for a password.

Access tokens are JWTs of RFC 9068. Two things of the provider are left to who runs it, here as elsewhere: that
discovery names introspection and device flow, and that an introspection knows the subject and a disabled user.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from joserfc import jwt
from joserfc.jwk import RSAKey

PORT, FOLDER = (int(sys.argv[1]), Path(sys.argv[2])) if __name__ == "__main__" else (0, Path())
ISSUER = f"http://127.0.0.1:{PORT}"

DESK, DESK_SECRET = "desk", "desk:secret/+ %"
CLI, HOUR_CLI, OTHER_CLI = "desk-cli", "desk-cli-hour", "other-cli"
"""Public clients: tokens of CLI live 300 s, those of HOUR_CLI an hour, those of OTHER_CLI are for somebody else."""
USER = "li.na"

urlpatterns: list[Any] = []  # filled once Django is set up


def access_token(request: Any, refresh_token: bool = False) -> str:
    """A signed token for the desk, or for another audience where another client asks."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": "other" if request.client_id == OTHER_CLI else DESK,
        "sub": str(request.user.pk),
        "client_id": request.client_id,
        "preferred_username": request.user.get_username(),
        "iat": now,
        "exp": now + (3600 if request.client_id == HOUR_CLI else 300),
        "jti": str(uuid.uuid4()),
    }
    key = RSAKey.import_key((FOLDER / "key.pem").read_bytes())
    return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": key.thumbprint()}, claims, key)


def serve() -> None:
    """Make the database and serve until the process ends."""
    settings.configure(
        SECRET_KEY=uuid.uuid4().hex,
        ALLOWED_HOSTS=["127.0.0.1"],
        DEBUG=True,  # tracebacks into its log
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            f"{__name__}.browsing_user",
        ],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": ISSUER,
            "OIDC_RSA_PRIVATE_KEY": (FOLDER / "key.pem").read_text(),
            "OAUTH_DEVICE_VERIFICATION_URI": f"{ISSUER}/device/",
            "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": lambda code: f"{ISSUER}/device/?user_code={code}",
            "SCOPES": {"openid": "login", "profile": "name"},
            "ACCESS_TOKEN_GENERATOR": access_token,
            "REFRESH_TOKEN_GENERATOR": "oauthlib.oauth2.rfc6749.tokens.random_token_generator",
        },
    )
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    urlpatterns.extend(_pages())
    call_command("migrate", verbosity=0)
    _people_and_clients()
    make_server("127.0.0.1", PORT, get_wsgi_application()).serve_forever()


def _people_and_clients() -> None:
    from django.contrib.auth.models import User
    from oauth2_provider.models import Application

    User.objects.create_user(USER)
    Application.objects.create(
        client_id=DESK,
        client_secret=DESK_SECRET,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    for client_id in (CLI, HOUR_CLI, OTHER_CLI):
        Application.objects.create(
            client_id=client_id,
            client_secret="",
            client_type=Application.CLIENT_PUBLIC,
            authorization_grant_type=Application.GRANT_DEVICE_CODE,
            algorithm=Application.RS256_ALGORITHM,
        )


def browsing_user(get_response: Any) -> Any:
    """Middleware: the user that X-User names is logged in."""

    def respond(request: Any) -> Any:
        from django.contrib.auth.models import User

        if name := request.headers.get("X-User"):
            request.user = User.objects.get(username=name, is_active=True)
        return get_response(request)

    return respond


def _discovery(request: Any) -> Any:
    from django.http import JsonResponse
    from oauth2_provider.views import ConnectDiscoveryInfoView

    found = json.loads(ConnectDiscoveryInfoView.as_view()(request).content)
    more = {"introspection_endpoint": "introspect", "device_authorization_endpoint": "device-authorization"}
    return JsonResponse(found | {name: f"{ISSUER}/{path}/" for name, path in more.items()})


def _introspect(request: Any) -> Any:
    from django.http import JsonResponse
    from oauth2_provider.models import AccessToken
    from oauth2_provider.views import IntrospectTokenView

    answer = IntrospectTokenView.as_view()(request)
    found = json.loads(answer.content) if answer.status_code == 200 else {}
    if not found.get("active"):
        return answer
    user = AccessToken.objects.get(token=request.POST["token"]).user
    return JsonResponse(found | {"iss": ISSUER, "sub": str(user.pk)} if user.is_active else {"active": False})


def _pages() -> list[Any]:
    from django.urls import include, path

    return [
        path(".well-known/openid-configuration", _discovery),
        path("introspect/", _introspect),
        path("", include("oauth2_provider.urls")),
    ]


if __name__ == "__main__":
    serve()
