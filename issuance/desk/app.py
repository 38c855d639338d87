"""The desk's app: its routes under /api/v1, its document, its health."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request, Response

from issuance.airflow.waking import wake_run
from issuance.desk import (
    routes_cards,
    routes_cohorts,
    routes_partners,
    routes_persons,
    routes_submissions,
    routes_users,
)
from issuance.desk.apidocs import add_docs
from issuance.desk.door import Desk
from issuance.desk.problems import add_problems
from issuance.ledger.connection import transaction
from issuance.settings import Settings
from issuance.users.airflow_issuer import AirflowIssuer
from issuance.users.identity import Issuer
from issuance.users.login import Logins

PREFIX = "/api/v1"
AT_ONCE = 10
"""Requests; an act that reaches beyond the ledger has a second transaction (connection pool: 24)."""
log = logging.getLogger(__name__)
ROUTERS = (
    routes_users.open_router,
    routes_submissions.router,
    routes_cohorts.router,
    routes_cards.router,
    routes_persons.router,
    routes_partners.router,
    routes_users.router,
)


def make_app(settings: Settings, issuer: Issuer, airflow: AirflowIssuer) -> FastAPI:
    """The desk over these settings; `issuer` says who people are, `airflow` has the runs that it wakes."""
    app = bare_app()
    logins = Logins(issuer, settings.database_url)
    app.state.desk = Desk(settings, logins, partial(wake_run, airflow.service))
    return app


def bare_app() -> FastAPI:
    """The routes alone, from which the document and the table of rights are made."""
    app = FastAPI(
        title="业务台 / the desk",
        version="1",
        description="第三代社保卡批量换发：经办人的一切操作。 / Every act and read of a person.",
        docs_url=None,
        redoc_url=None,
        lifespan=_within_bounds,
    )
    app.middleware("http")(_log_request)
    add_problems(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.get("/health", tags=["健康 / health"])(_health_of(app))
    add_docs(app)
    return app


@asynccontextmanager
async def _within_bounds(app: FastAPI) -> AsyncIterator[None]:
    """As many requests at once as the pool has connections for two transactions each."""
    to_thread.current_default_thread_limiter().total_tokens = AT_ONCE
    yield


async def _log_request(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Log the route, never its values: somebody will type an ID number into an address."""
    began = time.monotonic()
    response = await answer(request)
    route = getattr(request.scope.get("route"), "path", "-")
    log.info("%s %s %d %.0f ms", request.method, route, response.status_code, 1000 * (time.monotonic() - began))
    return response


def _health_of(app: FastAPI) -> Any:
    def health() -> dict[str, str]:
        """健康。 Whether the desk reaches its ledger."""
        with transaction(app.state.desk.settings.database_url) as connection:
            connection.execute("SELECT 1")
        return {"status": "healthy"}

    return health
