"""How often a client may call, and how often an address may be wrong. Counted in this process alone."""

from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

FAILURES: Final = RateLimitItemPerMinute(60)
"""Unknown keys and wrong secrets from one address. Whoever has shown the right one lately does not meet it."""


class Rates:
    """Counts requests by client and failures by address over a sliding minute; 0 requests: no limits at all."""

    def __init__(self, per_minute: int) -> None:
        self._requests = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._failures = FAILURES if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def may_call(self, client: str) -> bool:
        """Count a request of a client; tell whether it is within the limit."""
        return self._requests is None or await self._limiter.hit(self._requests, "client", client)

    async def may_try(self, address: str) -> bool:
        """Tell whether an address may present credentials."""
        return self._failures is None or await self._limiter.test(self._failures, "address", address)

    async def failed(self, address: str) -> None:
        """Count credentials that were wrong."""
        if self._failures is not None:
            await self._limiter.hit(self._failures, "address", address)
