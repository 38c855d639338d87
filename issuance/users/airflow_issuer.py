"""Airflow's own users as the issuer of logins: it is asked who a token is of, since it alone knows who is disabled."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from issuance.airflow.client import Airflow
from issuance.errors import Misconfigured
from issuance.settings import Settings, environment
from issuance.users.identity import KEPT_SECONDS, Identity

SERVICE_USER = "desk"
"""The desk's own user in Airflow: approvals are assigned to it alone."""
INSTALLATION = "issuance_installation"
"""The Airflow variable that names this installation: FAB's user ids begin at 1 again in a new metadata database."""
AIRFLOW = "airflow:"
"""What the name of an installation as an issuer begins with."""
SESSION_SECONDS = 3600.0
"""A service session is opened anew after this long; Airflow's tokens last a day."""


@dataclass
class AirflowIssuer:
    """The users of one Airflow installation."""

    api_url: str
    service_user: str
    service_password: str = field(repr=False)
    _session: tuple[float, Airflow] | None = field(repr=False, default=None)
    _installation: tuple[float, str] | None = field(repr=False, default=None)

    def who(self, token: str) -> Identity:
        """Whose token this is: FAB's id of an active user.

        Raises:
            Refused: NOT_LOGGED_IN; or Airflow names no installation any more.
            Unavailable: Airflow does not answer.
        """
        subject, name = Airflow(self.api_url, token).me()
        return Identity(self.installation(), subject, name)

    def service(self) -> Airflow:
        """A session of the desk's service user, kept for an hour."""
        if self._session is None or time.monotonic() - self._session[0] > SESSION_SECONDS:
            session = Airflow.log_in(self.api_url, self.service_user, self.service_password)
            self._session = time.monotonic(), session
        return self._session[1]

    def installation(self) -> str:
        """The issuer's name: this installation, '' where Airflow has none (a new metadata database)."""
        if self._installation is None or time.monotonic() - self._installation[0] > KEPT_SECONDS:
            found = self.service().variable(INSTALLATION)
            self._installation = time.monotonic(), f"{AIRFLOW}{found}" if found else ""
        return self._installation[1]

    def name_installation(self) -> str:
        """Give Airflow its name where it has none; returns the issuer's name."""
        session = self.service()
        if session.variable(INSTALLATION) is None:
            session.set_variable(INSTALLATION, str(uuid.uuid4()))
            self._installation = None
        return self.installation()

    def public(self) -> dict[str, Any]:
        """For `GET /issuer`: people give user and password to the desk, which passes them on."""
        return {"kind": "airflow", "issuer": self.api_url}


def airflow_issuer(settings: Settings) -> AirflowIssuer:
    """Airflow with the desk's service user, as the settings and AIRFLOW_USER_DESK_PASSWORD say.

    Raises:
        Misconfigured: the password is not set.
    """
    password = environment().get("AIRFLOW_USER_DESK_PASSWORD")
    if not password:
        raise Misconfigured(
            "SETTINGS_MISSING",
            "请设置 AIRFLOW_USER_DESK_PASSWORD（Airflow 中业务台的服务用户 desk）。"
            " / set AIRFLOW_USER_DESK_PASSWORD, of the desk's service user `desk` in Airflow.",
        )
    return AirflowIssuer(settings.airflow_api_url, SERVICE_USER, password)


def service_session(settings: Settings) -> Airflow:
    """A session of the desk's service user."""
    return airflow_issuer(settings).service()
