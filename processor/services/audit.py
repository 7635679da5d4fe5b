"""The audit of what was handed to relays: at a start, and now and then, beside all that has to be quick.

R1: what a write that landed very late has left, and what stands under an account that somebody has removed, is found.
"""

from datetime import datetime, timedelta

from processor.ports.progress import ProgressStore
from processor.services.surroundings import Surroundings

LOOP = "audit"

EVERY = timedelta(hours=1)


class Audit:
    """Each process with a relay goes through the accounts of all relays, once at its start and then every hour."""

    def __init__(self, store: ProgressStore, surroundings: Surroundings) -> None:
        self._store = store
        self._around = surroundings
        self._last: datetime | None = None

    async def step(self) -> int:
        """Go through them if it is time, a part of what is found at once; return 1 if there is more, else 0."""
        now = self._around.clock.now()
        if self._last is not None and timedelta(0) <= now - self._last < EVERY:
            return 0
        if not await self._store.audit(now):
            return 1
        self._last = now
        return 0
