"""Declaring routes, each with its right and scope: from here come the page of rights and the tests of every cell."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from issuance.desk.door import Door, Handler
from issuance.desk.scopes import Scope


def reads(router: APIRouter, path: str, right: str, scope: Scope) -> Callable[[Handler], Handler]:
    """Declare a read: GET `path`, for users with the right in the scope."""
    return _route(router, "GET", path, Door(right, scope, writes=False, apart=False, kept=False))


def acts(
    router: APIRouter, path: str, right: str, scope: Scope, *, apart: bool = False, kept: bool = True
) -> Callable[[Handler], Handler]:
    """Declare an act: POST `path`. Unless `apart`, `?dry_run=true` says what it would do and does nothing."""
    return _route(router, "POST", path, Door(right, scope, writes=True, apart=apart, kept=kept))


def _route(router: APIRouter, method: str, path: str, door: Door) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        def endpoint(**values: Any) -> Response:
            return door.pass_through(values.pop("request"), handler, values)

        hints = get_type_hints(handler, include_extras=True)
        own = [
            one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in inspect.signature(handler).parameters.items()
            if name != "act"
        ]
        asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
        endpoint.__signature__ = inspect.Signature([asked, *own])  # type: ignore[attr-defined]
        endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
        declare(router, method, path, door, endpoint)
        return handler

    return register


def declare(
    router: APIRouter, method: str, path: str, door: Door, endpoint: Handler, more: dict[str, Any] | None = None
) -> None:
    """Declare a route whose endpoint passes its requests through `door` itself; `more` of its OpenAPI operation."""
    extra = [_dry_run()] if door.writes and not door.apart else []
    documented = {
        "x-right": door.right,
        "x-scope": door.scope.name,
        "parameters": [*extra, *_key(door)],
        **(more or {}),
    }
    router.add_api_route(path, endpoint, methods=[method], openapi_extra=documented, response_model=None)


def _dry_run() -> dict[str, Any]:
    return {"name": "dry_run", "in": "query", "schema": {"type": "boolean"},
            "description": "只试不做：答复会发生什么。 / answer what would happen, and do nothing."}  # fmt: skip


def _key(door: Door) -> list[dict[str, Any]]:
    if not door.writes:
        return []
    said = "重复请求返回第一次的答复。 / a repeat gets the first answer."
    return [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}, "description": said}
    ]


def declared_routes(app: FastAPI) -> list[dict[str, str]]:
    """Every route of the app with its right and scope, in the order of the document; '-' where none is asked.

    `tried`: 'yes' where `?dry_run=true` works.
    """
    found = []
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            said = (operation.get("description") or "").split("\n")[0]
            found.append({
                "method": method.upper(), "path": path, "right": operation.get("x-right", "-"),
                "scope": operation.get("x-scope", "-"), "tried": "yes" if _has_trial(operation) else "", "does": said,
            })  # fmt: skip
    return found


def _has_trial(operation: dict[str, Any]) -> bool:
    return any(one["name"] == "dry_run" for one in operation.get("parameters", ()))
