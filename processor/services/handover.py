"""Outboxes that the loops of this process hand to its own relay, in the very write that fills them.

It saves the relay its claim, a search, an update and a read, and the update that takes a published event out of its
document again: what it was handed, under which number, it keeps account of (`core/relaying.py`). Nothing depends on
this: what is lost here is left, or stands under a lease that runs out, and then any relay publishes it (R1).
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.relaying import Account, is_handy
from processor.ports.progress import OutboxClaim, RelayLease
from processor.services.surroundings import Leasing

LENT = 0.75
"""The least of a lease that is lent: half of it has to be left at the publication (`DELIVERY_SHARE`)."""

LOOKS = 2
"""Looks that a mark takes at most until it is found."""

LONG = 100
"""Numbers left to others that are enough for one account."""


class Handover:
    """From those who fill outboxes to the relay of the same process. Without `room` everything is left to be found.

    `given` is set when there is something to publish, handed over or found by its mark.
    """

    def __init__(self, leasing: Leasing, room: int = 0) -> None:
        self.given = asyncio.Event()
        self._looks = 0
        self._leasing = leasing
        self._room = room
        self._claims: deque[OutboxClaim] = deque()
        self._relay = ObjectId()
        self._last = 0
        self._open: set[int] = set()
        self._left: set[int] = set()
        self._until: datetime | None = None

    @contextmanager
    def lease(self, now: datetime) -> Iterator[RelayLease | None]:
        """Lend a lease with a fresh number, for one write and what it gives.

        None while the relay is behind, its lease is too short, or it begins anew: then the outboxes wait in the store.
        What the write has done when it fails, nobody knows: it is left to be found.
        """
        is_behind = len(self._claims) >= self._room
        if is_behind or self.is_long or self._until is None or self._until - now < self._leasing.duration * LENT:
            yield None
            return
        self._last += 1
        number = self._last
        self._open.add(number)
        try:
            yield RelayLease(self._relay, number, self._until)
        except BaseException:
            self.left(number)
            raise
        if not any(claim.number == number for claim in self._claims):
            self.published(number)  # there was nothing to publish

    def give(
        self, lease: RelayLease | None, outboxes: Mapping[ObjectId, tuple[ProgressEvent, ...]], *, is_all: bool = True
    ) -> None:
        """Hand over what was written under the lease, and durably so, as the last thing under it; wake the relay.

        Not all, where events came to outboxes that a relay has in hand, this one mostly: they wait by their marks.
        """
        handy = {progress: events for progress, events in outboxes.items() if all(map(is_handy, events))}
        if lease and handy:
            self._claims.append(OutboxClaim(f"{lease.relay}/{lease.number}", lease.until, handy, lease.number))
        if not is_all or len(handy) < len(outboxes) or (outboxes and lease is None):
            self.mark()
        self.given.set()

    def mark(self) -> None:
        """Have the relay look soon for what waits by its mark."""
        self._looks = LOOKS

    @property
    def is_marked(self) -> bool:
        """Whether it is to."""
        return self._looks > 0

    def looks(self, *, is_beside: bool) -> None:
        """Note that the relay looks now.

        Beside what was handed over another look stays due: what came to just that is found when it is published.
        """
        self._looks = max(self._looks - 1, 0) if is_beside else 0

    def published(self, number: int) -> None:
        """Account for a number: nothing stands under it that is still to be published."""
        self._open.discard(number)

    def left(self, number: int) -> None:
        """Account for a number: others are to look whether anything stands under it."""
        self._open.discard(number)
        self._left.add(number)

    @property
    def account(self) -> Account:
        """The relay's account as it stands."""
        return Account(self._relay, self._last, frozenset(self._open), frozenset(self._left))

    @property
    def is_long(self) -> bool:
        """Whether so much is left to others that another account is to be begun, once nothing of this one is open."""
        return len(self._left) >= LONG

    def is_held(self, until: datetime) -> None:
        """Note how long the relay's lease lasts."""
        self._until = until

    @property
    def until(self) -> datetime | None:
        """The end of the relay's lease; None before it has one."""
        return self._until

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

    def begin_anew(self) -> None:
        """Be another relay from now on. Its numbers go on from those of the one before, of which none is open."""
        self._relay = ObjectId()
        self._left.clear()
        self._until = None

    def close(self) -> Account:
        """Lend no more, and leave to others what is open; return the account."""
        self._left |= self._open
        self._open.clear()
        self._until = None
        return self.account
