"""Errors as problem documents (RFC 9457): our code, the message in both languages, and details for programs."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from issuance.errors import IssuanceError, Misconfigured, Refused, Retryable

MEDIA = "application/problem+json"
STATUS = {"NOT_LOGGED_IN": 401, "LOGIN_REFUSED": 401, "NOT_ALLOWED": 403, "ISSUER_CHANGED": 503,
          "KEY_REUSED": 422, "REQUEST_INVALID": 422, "UPLOAD_TOO_LARGE": 413}  # fmt: skip


def status_of(error: IssuanceError) -> int:
    """The HTTP status of an error: what is refused is a conflict with what stands, unless its code says more."""
    if isinstance(error, Retryable):
        return 503
    if isinstance(error, Misconfigured):
        return 500 if error.code.startswith("SETTINGS") else 422
    if not isinstance(error, Refused):
        return 500
    return STATUS.get(error.code) or (404 if error.code.endswith("_UNKNOWN") else 409)


def problem(code: str, message: str, status: int, details: dict[str, Any] | None = None) -> JSONResponse:
    """A problem document. `detail` is Chinese, then English after a slash, as everywhere."""
    body = {"type": f"urn:issuance:problem:{code}", "title": code, "status": status, "detail": message,
            "code": code, "details": details or {}}  # fmt: skip
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "5"} if status == 503 else {}
    return JSONResponse(jsonable(body), status, headers, MEDIA)


def jsonable(value: Any) -> Any:
    """A value as JSON holds it: days, instants and UUIDs are text."""
    import orjson

    return orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS))


def add_problems(app: FastAPI) -> None:
    """Answer every error of an app with a problem document; what a server says of itself never leaves it."""

    @app.exception_handler(IssuanceError)
    async def of_ours(request: Request, error: IssuanceError) -> JSONResponse:
        return problem(error.code, error.message, status_of(error), error.details)

    @app.exception_handler(RequestValidationError)
    async def of_request(request: Request, error: RequestValidationError) -> JSONResponse:
        # neither the input nor the context is repeated: both may hold personal data
        wrong = [{"field": ".".join(map(str, one["loc"])), "problem": one["type"]} for one in error.errors()]
        names = ", ".join(one["field"] for one in wrong)
        message = f"请求有误：{names}。 / the request is not valid: {names}."
        return problem("REQUEST_INVALID", message, 422, {"fields": wrong})

    @app.exception_handler(Exception)
    async def of_bug(request: Request, error: Exception) -> JSONResponse:
        # the log has it in full; its text could quote what was sent
        return problem("INTERNAL", "业务台内部错误，已记入日志。 / an error of the desk's own; its log has it.", 500)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "NO_SUCH_ROUTE", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "REQUEST_REFUSED")
        return problem(code, f"无此接口或方法。 / {error.detail}.", error.status_code)
