"""Outboxes that the loops of this process claim for its own relay, in the very write that fills them.

It saves the relay its claim: a search, an update and a read. Nothing depends on it: what is lost here has a lease
that runs out, and then any relay publishes it (R1).
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.ports.progress import OutboxClaim, RelayLease
from processor.services.surroundings import Leasing


class Handover:
    """From those who fill outboxes to the relay of the same process. Without `room` everything is left to be found.

    `given` is set when there is something to publish, handed over or found by its mark.
    """

    def __init__(self, leasing: Leasing, room: int = 0) -> None:
        self.given = asyncio.Event()
        self._leasing = leasing
        self._room = room
        self._claims: deque[OutboxClaim] = deque()

    def lease(self, now: datetime) -> RelayLease | None:
        """Return a fresh lease for the relay, None while it is behind: then the outboxes wait in the store."""
        if len(self._claims) >= self._room:
            return None
        return RelayLease(self._leasing.new_key(), now + self._leasing.duration)

    def give(self, lease: RelayLease | None, outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]]) -> None:
        """Hand over what was written under the lease, and durably so; wake the relay."""
        if lease and outboxes:
            self._claims.append(OutboxClaim(lease.lock_key, lease.until, outboxes))
        self.given.set()

    @property
    def is_open(self) -> bool:
        """Whether anything may be handed over at all."""
        return self._room > 0

    @property
    def waits(self) -> bool:
        """Whether something was handed over that nobody has taken."""
        return bool(self._claims)

    def give_back(self, claims: Sequence[OutboxClaim]) -> None:
        """Take back what was taken and could not be published: it comes first again."""
        self._claims.extendleft(reversed(claims))

    def take(self) -> Sequence[OutboxClaim]:
        """Return what was handed over since, the earliest first."""
        taken = tuple(self._claims)
        self._claims.clear()
        return taken
