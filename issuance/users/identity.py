"""Who somebody is: (issuer, subject) of a verified login; a name is for showing only (design, principle 10)."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

KEPT_SECONDS = 20.0
"""How long an issuer's answer is kept; Airflow keeps its own for 30 s, so a disabled user ends within a minute."""


class Identity(NamedTuple):
    """A person as the issuer of a login names them: the issuer, its own id of the person, and a name to show."""

    issuer: str
    subject: str
    name: str


class Issuer(Protocol):
    """Where people log in. It is asked who a token is of; no secret of its signatures is held here."""

    def who(self, token: str) -> Identity:
        """Whose token this is.

        Raises:
            Refused: NOT_LOGGED_IN, the token is not valid, not any more, or its user was disabled.
            Unavailable: the issuer does not answer.
        """

    def public(self) -> dict[str, Any]:
        """What a client needs to log in: `kind`, `issuer`, and what that kind needs."""
