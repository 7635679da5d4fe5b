"""The caller of a request: its credentials checked, its scope held against what it wants, its requests counted."""

from base64 import b64decode
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import HTTPConnection

from processor.api.errors import forbidden, too_often, unauthorized
from processor.api.logins import READING, WRITING, Caller
from processor.api.within import Here


class _Basic(HTTPBasic):
    """Reads UTF-8 (RFC 7617), where FastAPI's reads ASCII alone."""

    async def __call__(  # type: ignore[override]  # as FastAPI's own
        self, request: HTTPConnection
    ) -> HTTPBasicCredentials | None:
        """Return key and secret, None where another scheme or none is used. Raises 401 for what cannot be read."""
        scheme, told = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() != "basic":
            return None
        try:
            key, separator, secret = b64decode(told).decode().partition(":")
        except ValueError:
            raise unauthorized() from None
        if not separator:
            raise unauthorized()
        return HTTPBasicCredentials(username=key, password=secret)


_BASIC = _Basic(
    scheme_name="client",
    description="Key and secret of a client (`journey-progress clients create`).",
    auto_error=False,
)
Credentials = Annotated[HTTPBasicCredentials | None, Depends(_BASIC)]


async def _caller(request: Request, here: Here, credentials: Credentials) -> Caller:
    """Return who calls.

    Raises 401 for nobody we know, 429 for too many requests, or too many failed logins, 403 when the caller's
    organisation has expired (Learning Locker's behaviour, section 7).
    """
    if credentials is None:
        raise unauthorized()
    address = request.client.host if request.client else "unknown"
    caller = await here.logins.caller(credentials.username, credentials.password, address)
    if caller is None:
        raise unauthorized()
    request.state.client = str(caller.client)
    if not await here.rates.may_call(str(caller.client)):
        raise too_often()
    if await here.logins.has_expired(caller, here.clock.now()):
        raise forbidden()
    return caller


Known = Annotated[Caller, Depends(_caller)]
"""A caller, whatever it may do."""


def _reader(caller: Known) -> Caller:
    """Hold the caller's scopes against reading."""
    if not caller.scopes & READING:
        raise forbidden()
    return caller


def _writer(caller: Known) -> Caller:
    """Hold the caller's scopes against writing."""
    if not caller.scopes & WRITING:
        raise forbidden()
    return caller


Reader = Annotated[Caller, Depends(_reader)]
"""A caller that may read."""

Writer = Annotated[Caller, Depends(_writer)]
"""A caller that may read and write."""
