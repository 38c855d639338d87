"""The door that every request passes: who asks, whether they may, and once (contract: The desk).

A route is declared with its right and its scope, so that the table of routes and rights is read from the app itself.
What an act writes in the ledger, its audit and its answer under the Idempotency-Key are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from issuance.airflow.client import not_logged_in
from issuance.desk.once import Key
from issuance.desk.problems import jsonable
from issuance.desk.scopes import Scope
from issuance.errors import Refused, Retryable, Unavailable
from issuance.ledger.connection import Connection, business_day, joining, transaction
from issuance.ledger.queries import rows_of
from issuance.settings import Settings
from issuance.users.login import Logins, User
from issuance.users.register import list_users
from issuance.users.rights import Rights, not_allowed, rights_of

TRIES = 3
"""A transaction that lost against another one is tried again before the client hears of it."""


@dataclass(frozen=True)
class Desk:
    """What the routes stand on."""

    settings: Settings
    logins: Logins
    wake: Callable[[str, str, int], bool]
    """Wake a run (dag, cohort, number) whose row has been written; False if Airflow does not answer now."""


@dataclass(frozen=True)
class Act:
    """One request of a verified user, in the transaction that its act is written in."""

    desk: Desk
    user: User
    rights: Rights
    right: str
    connection: Connection
    day: date
    afterwards: list[Callable[[], Any]] = field(default_factory=list)
    """What is done once the act stands; nothing of it when the act is only tried."""

    @property
    def settings(self) -> Settings:
        """The desk's settings."""
        return self.desk.settings

    @property
    def by(self) -> str:
        """The id of who acts, as ledger and audit hold it."""
        return self.user.user_id

    @property
    def cities(self) -> list[str] | None:
        """The cities in which the user has the route's right; None: in every one."""
        return self.rights.cities(self.right)

    def require(self, cities: Sequence[str]) -> None:
        """Refuse unless the user has the route's right in these cities.

        Raises:
            Refused: NOT_ALLOWED.
        """
        if not self.rights.allow(self.right, cities):
            raise not_allowed(self.right, cities)

    def seen(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of some rows with a `city` that the user may see; rows of no city are everybody's."""
        cities = self.cities
        return [row for row in rows if cities is None or row["city"] is None or row["city"] in cities]

    def cohorts(self) -> set[str]:
        """The ids of the cohorts that the user may see."""
        return {row["cohort_id"] for row in self.seen(rows_of(self.connection, "SELECT cohort_id, city FROM cohort"))}

    def wake(self, dag_id: str, cohort_id: str, number: int) -> None:
        """Wake a run once the act stands."""
        self.afterwards.append(lambda: self.desk.wake(dag_id, cohort_id, number))


class _Tried(Exception):
    """Ends a transaction that was only to be tried; carries the answer that it would have given."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer


Handler = Callable[..., Any]


@dataclass(frozen=True)
class Door:
    """A route's right, scope and kind."""

    right: str
    scope: Scope
    writes: bool
    apart: bool
    """The act reaches beyond the ledger (S3, Kafka, files): its own transactions, repeatable steps, no trial."""
    kept: bool
    """Whether its answer is kept under the Idempotency-Key; personal data is not."""

    def admit(self, request: Request) -> None:
        """Refuse whoever has the right nowhere, before a body is read.

        Raises:
            Refused: NOT_LOGGED_IN, NOT_ALLOWED.
        """
        desk: Desk = request.app.state.desk
        user = desk.logins.user(_bearer(request))
        with transaction(desk.settings.database_url) as connection:
            if not rights_of(connection, user.user_id).allow(self.right, ()):
                raise not_allowed(self.right, ("-",))

    def pass_through(
        self, request: Request, handler: Handler, values: dict[str, Any], *, own_trial: bool = False
    ) -> Response:
        """Let a request in, or say why not; with `own_trial` the handler itself does nothing when it is only tried."""
        desk: Desk = request.app.state.desk
        user = desk.logins.user(_bearer(request))
        tried = request.query_params.get("dry_run") == "true"
        if tried and not own_trial and (self.apart or not self.writes):
            raise Refused("DRY_RUN_UNAVAILABLE", "此操作不能试做。 / this act cannot be tried.")
        tries = TRIES
        while True:
            try:
                return self._try(request, desk, user, handler, values, tried)
            except Retryable as error:
                tries -= 1
                if not tries or isinstance(error, Unavailable):
                    raise

    def _try(
        self, request: Request, desk: Desk, user: User, handler: Handler, values: dict[str, Any], tried: bool
    ) -> Response:
        afterwards: list[Callable[[], Any]] = []
        try:
            with transaction(desk.settings.database_url, snapshot=not self.writes) as connection:
                act = self._act(desk, user, connection, values, afterwards)
                key = Key.of(request, desk.settings, user, values) if self.writes and not tried else None
                if key and (known := key.known(connection)) is not None:
                    return JSONResponse(known)
                answer = self._answer(act, handler, values)
                if tried:
                    raise _Tried(answer)
                if key:
                    key.keep(connection, answer if self.kept else None)
        except _Tried as trial:
            return JSONResponse(jsonable(trial.answer), headers={"Issuance-Dry-Run": "true"})
        for step in afterwards:
            step()
        return answer if isinstance(answer, Response) else JSONResponse(jsonable(answer))

    def _act(
        self,
        desk: Desk,
        user: User,
        connection: Connection,
        values: dict[str, Any],
        afterwards: list[Callable[[], Any]],
    ) -> Act:
        rights = rights_of(connection, user.user_id)
        cities = self.scope.cities(connection, values)
        if not rights.allow(self.right, cities or ()):
            raise not_allowed(self.right, cities or ("-",))
        return Act(desk, user, rights, self.right, connection, business_day(connection), afterwards)

    def _answer(self, act: Act, handler: Handler, values: dict[str, Any]) -> Any:
        if self.apart:
            return handler(act, **values)
        with joining(act.connection):
            return handler(act, **values)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise not_logged_in()
    return token


def of_user(request: Request) -> dict[str, Any]:
    """Who asks, and their rights by city; for anybody who is logged in."""
    desk: Desk = request.app.state.desk
    user = desk.logins.user(_bearer(request))
    with transaction(desk.settings.database_url) as connection:
        (known,) = list_users(connection, user.user_id)
    return {"user_id": user.user_id, "name": user.name, "rights": known["rights"]}
