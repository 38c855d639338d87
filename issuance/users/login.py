"""A token's user: asked of the issuer, kept for less than a minute, registered in the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from cachetools import TTLCache

from issuance.ledger.connection import transaction
from issuance.users.airflow_issuer import AirflowIssuer
from issuance.users.identity import KEPT_SECONDS, Identity, Issuer
from issuance.users.oidc import Oidc
from issuance.users.register import register_user, require_issuer

TOKENS_KEPT = 10_000


class User(NamedTuple):
    """A registered user: the id that ledger and audit hold, and the name to show."""

    user_id: str
    name: str


@dataclass(frozen=True)
class Logins:
    """The logins of one ledger. An answer of the issuer is kept for KEPT_SECONDS, under the token's hash."""

    issuer: Issuer
    database_url: str
    _kept: TTLCache[bytes, User] = field(default_factory=lambda: TTLCache(TOKENS_KEPT, KEPT_SECONDS), repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def user(self, token: str) -> User:
        """The user of a token.

        Raises:
            Refused: NOT_LOGGED_IN; ISSUER_CHANGED, its issuer is not that of this ledger's users.
            Unavailable: the issuer does not answer.
        """
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            kept = self._kept.get(key)
        return kept or self._ask(key, token)

    def _ask(self, key: bytes, token: str) -> User:
        identity: Identity = self.issuer.who(token)
        with transaction(self.database_url) as connection:
            require_issuer(connection, identity.issuer)
            user = User(register_user(connection, identity), identity.name)
        with self._lock:
            self._kept[key] = user
        return user


def issuer_of(env: Mapping[str, str], airflow: AirflowIssuer) -> Issuer:
    """The issuer of the environment: an OIDC provider where one is set, otherwise Airflow."""
    return Oidc.of(env) or airflow
