"""Who calls: HTTP Basic against collection `client`, as Learning Locker has it (its behaviour, section 7)."""

import asyncio
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final

import structlog
from bson import ObjectId

from processor.api.errors import too_often
from processor.api.rates import Rates
from processor.api.secrets import AT_ONCE, is_right, replacement
from processor.ports.interfaces import Clients

READING: Final = frozenset({"all", "all/read"})
WRITING: Final = frozenset({"all"})
REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that has shown its secret. Everything it sees and does is its organisation's."""

    client: ObjectId
    organisation: ObjectId
    scopes: frozenset[str]


class Logins:
    """Checks credentials; remembers which were right, so that argon2 is not paid at every request.

    What is remembered is a keyed digest of this process, and counts only while the stored secret is the same: the
    client itself is read each time, so that one that is revoked is out at once.
    """

    def __init__(self, clients: Clients, rates: Rates) -> None:
        self._clients = clients
        self._rates = rates
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pepper = token_bytes(32)
        self._right: OrderedDict[ObjectId, tuple[str, bytes]] = OrderedDict()

    async def has_expired(self, caller: Caller, now: datetime) -> bool:
        """Tell whether the caller's organisation may do nothing any more. Raises `StoreUnavailable`."""
        return await self._clients.has_expired(caller.organisation, now)

    async def caller(self, key: str, secret: str, address: str) -> Caller | None:
        """Return who these credentials belong to, None if to nobody.

        Raises 429 when too many unknown keys or wrong secrets came from the address, `StoreUnavailable`.
        """
        client = await self._clients.find(key)
        if client is None:
            await self._check_rate(address)
            await self._rates.failed(address)
            return None
        stored, organisation = client["api"].get("basic_secret"), client.get("organisation")
        if not isinstance(stored, str) or not stored or not isinstance(organisation, ObjectId):
            structlog.get_logger(__name__).warning("client without secret or organisation", client=str(client["_id"]))
            return None
        if not self._is_remembered(client["_id"], stored, secret):
            async with self._turns:
                if not await self._is_right(client["_id"], stored, secret, address):
                    return None
        return Caller(client["_id"], organisation, _scopes(client))

    def _is_remembered(self, client: ObjectId, stored: str, secret: str) -> bool:
        known = self._right.get(client)
        return known is not None and known[0] == stored and hmac.compare_digest(known[1], self._digest(secret))

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode(), sha256)

    async def _is_right(self, client: ObjectId, stored: str, secret: str, address: str) -> bool:
        """Compare, when it is its turn: of many wrong secrets at once hardly more are compared than may be."""
        if self._is_remembered(client, stored, secret):  # by now
            return True
        await self._check_rate(address)
        if not await is_right(stored, secret):
            await self._rates.failed(address)
            return False
        if new := await replacement(stored, secret):
            await self._clients.replace_secret(client, stored, new)
            stored = new
        self._right[client] = (stored, self._digest(secret))
        while len(self._right) > REMEMBERED:
            self._right.popitem(last=False)
        return True

    async def _check_rate(self, address: str) -> None:
        if not await self._rates.may_try(address):
            raise too_often()


def _scopes(client: Any) -> frozenset[str]:
    scopes = client.get("scopes")
    return frozenset(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list) else frozenset()
