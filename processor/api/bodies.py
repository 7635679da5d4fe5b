"""Bodies of requests: JSON objects within a limit, and in time."""

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import HTTPException, Request

from processor.errors import InvalidInput

BODY_SECONDS = 60.0
"""What a body may take to come: a megabyte at 140 kbit/s."""


async def json_body(request: Request, limit: int) -> dict[str, Any]:
    """Read the body: a JSON object. Raises 413 beyond `limit` bytes, 408 where it is late, else `InvalidInput`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind:
        raise InvalidInput("missing_content_type: say Content-Type: application/json")
    if kind != "application/json":
        raise InvalidInput("invalid_content_type: say Content-Type: application/json")
    try:
        body = orjson.loads(await _bytes(request, limit))
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidInput("the body is not a JSON object")
    return body


async def _bytes(request: Request, limit: int) -> bytes:
    too_long = HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {limit} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_long
    except TimeoutError:
        message = f"The body has not come within {BODY_SECONDS:g} s"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, message, {"Connection": "close"}) from None
    return bytes(body)
