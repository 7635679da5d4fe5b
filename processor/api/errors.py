"""Errors as callers see them: `{errorId, message}`, the id in the log line, too; 401 is plain text (http.md)."""

from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Final
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from processor.api.rendering import Json
from processor.errors import InvalidInput, JourneyProgressError, NotFound, Unavailable

CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="journey-progress", charset="UTF-8"'}
NOT_PRIVILEGED: Final = "Priviliges not sufficient for this operation"
"""Learning Locker's sentence, to the letter."""
HUNG_UP: Final = 499
"""What servers count for a client that has closed its request; nobody reads it."""


class Problem(BaseModel):
    """What went wrong."""

    errorId: str = Field(description="A UUID; the log has it, too.", json_schema_extra={"format": "uuid"})  # noqa: N815 - Learning Locker's name
    message: str


def unauthorized() -> HTTPException:
    """Nobody we know."""
    return HTTPException(HTTPStatus.UNAUTHORIZED, "Unauthorized", CHALLENGE)


def forbidden() -> HTTPException:
    """Somebody who may not."""
    return HTTPException(HTTPStatus.FORBIDDEN, NOT_PRIVILEGED)


def too_often() -> HTTPException:
    """Somebody who may, but not that often."""
    return HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests: wait a minute", {"Retry-After": "60"})


def answer_errors(app: FastAPI) -> None:
    """Register an answer for every error that a route may raise, but the ones that nobody foresaw."""
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(JourneyProgressError, _of_ours)
    app.add_exception_handler(ClientDisconnect, _of_hanging_up)


def problem(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Make the answer, and leave the id where the request's log line finds it."""
    error_id = str(uuid4())
    request.state.error_id = error_id
    if status == HTTPStatus.UNAUTHORIZED:
        return PlainTextResponse("Unauthorized", int(status), headers)
    return Json({"errorId": error_id, "message": message}, int(status), headers)


def bug(request: Request) -> Response:
    """Answer for an error that nobody foresaw; the log has its traceback under the same id."""
    answer = problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "A bug. The log has its traceback under this errorId.")
    structlog.get_logger(__name__).exception("request failed", errorId=request.state.error_id)
    return answer


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return problem(request, error.status_code, str(error.detail), error.headers)
    return problem(request, error.status_code, str(error.detail), {"Allow": ", ".join(_methods(request))})


def _methods(request: Request) -> list[str]:
    """All methods of the path (RFC 9110, 15.5.6); Starlette names those of one route; GET brings HEAD (`frame.py`)."""
    scopes = {str(method): {**request.scope, "method": str(method)} for method in HTTPMethod}
    methods = {
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    }
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()]
    return problem(request, HTTPStatus.BAD_REQUEST, "; ".join(faults))


async def _of_hanging_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HUNG_UP)


async def _of_ours(request: Request, error: Exception) -> Response:
    if isinstance(error, NotFound):
        return problem(request, HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, InvalidInput):
        return problem(request, HTTPStatus.BAD_REQUEST, str(error))
    if isinstance(error, Unavailable):
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "1"})
    return bug(request)
