"""The caller of a request: its credentials checked, its scope held against what it wants, its requests counted."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from processor.api.errors import forbidden, too_often, unauthorized
from processor.api.logins import READING, WRITING, Caller
from processor.api.within import Here

_BASIC = HTTPBasic(
    scheme_name="client",
    description="Key and secret of a client (`journey-progress clients create`).",
    auto_error=False,
)
Credentials = Annotated[HTTPBasicCredentials | None, Depends(_BASIC)]


async def _caller(request: Request, here: Here, credentials: Credentials) -> Caller:
    """Return who calls. Raises 401 for nobody we know, 429 for too many requests, or too many wrong secrets."""
    if credentials is None:
        raise unauthorized()
    address = request.client.host if request.client else "unknown"
    caller = await here.logins.caller(credentials.username, credentials.password, address)
    if caller is None:
        raise unauthorized()
    request.state.client = str(caller.client)
    if not await here.rates.may_call(str(caller.client)):
        raise too_often()
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
