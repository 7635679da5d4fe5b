"""What a relay tells the store: that its events are published, and that it stays.

What was claimed is forgotten in its documents, what was handed over in one account of it all (`core/relaying.py`):
beside the next publication, while more is handed over.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from bson import ObjectId

from processor.errors import Unavailable
from processor.ports.progress import OutboxClaim, ProgressStore
from processor.services.handover import Handover
from processor.services.surroundings import Leasing, Surroundings

LOOP = "relay"

PATIENCE = 1.0
"""Seconds that a store is given at the end."""

RENEWAL = 0.9
"""A relay asks for a whole lease again when less of one is left: so nearly a whole one is always left to lend."""

Published = tuple[OutboxClaim, Mapping[ObjectId, int]]
"""A claim, and by progress id the last revision of it that was published."""


class Forgetting:
    """Of one relay. `held_until` is when the first lease ends of what it forgets just now."""

    def __init__(self, store: ProgressStore, surroundings: Surroundings, leasing: Leasing, handover: Handover) -> None:
        self.held_until = datetime.max.replace(tzinfo=UTC)
        self._store = store
        self._around = surroundings
        self._leasing = leasing
        self._handover = handover
        self._accounting = asyncio.Lock()
        self._left_told: frozenset[int] = frozenset()
        self._task: asyncio.Task[None] | None = None

    async def stay(self) -> None:
        """Hold what is handed over for some time from now, if little of that is left; tell at once what others get."""
        now, until, account = self._around.clock.now(), self._handover.until, self._handover.account
        has_news = account.left != self._left_told or (self._handover.is_long and not account.open)
        is_short = until is None or until - now < self._leasing.duration * RENEWAL
        if self._handover.is_open and (is_short or has_news):
            await self._keep_account()

    async def begin(self, done: Sequence[Published]) -> None:
        """Forget what is published; wait for what was before, and for this one too when there is nothing else to do.

        Raises `Unavailable` when one of them failed: the outboxes are claimed again when the lease runs out.
        """
        before, self._task = self._task, None
        if done:
            self._task = asyncio.create_task(self._forget(done))
            self.held_until = min(claim.until for claim, _ in done)
        if before:
            await before
        if self._around.stop.is_set() or not self._handover.waits:
            await self.ended()

    async def ended(self) -> None:
        """Wait until what was published is forgotten. Raises what that has raised."""
        task, self._task = self._task, None
        if task:
            await task

    async def cancel(self) -> None:
        """Forget no more, at once."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """At the end of the process, leave what was handed over and is not published to others, before its lease ends.

        A store that is away is not waited for: then the lease runs out.
        """
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.ended()
                self._handover.take()
                if self._handover.until is not None:
                    account, now = self._handover.close(), self._around.clock.now()
                    await self._store.keep_account(account, now, now if account.left else None)

    async def _keep_account(self) -> None:
        """Write down what was published of what was handed over, as it stands; and stay."""
        async with self._accounting:  # one after the other; should an earlier one land last, it says less
            now, account = self._around.clock.now(), self._handover.account
            if self._handover.is_long and not account.open:
                await self._store.keep_account(account, now, now)  # over: others look for all of it
                self._handover.begin_anew()
                account = self._handover.account
            until = now + self._leasing.duration
            await self._store.keep_account(account, now, until)
            self._left_told = account.left
            self._handover.is_held(until)

    async def _forget(self, done: Sequence[Published]) -> None:
        claimed = [(claim, published) for claim, published in done if claim.number is None]
        if claimed:
            await self._around.outlast(LOOP, lambda: self._store.forget(claimed))
        for claim, published in done:
            if claim.number is not None and (left := unpublished(claim, published)):
                await self._leave(claim.number, left)
        if len(claimed) < len(done):
            await self._around.outlast(LOOP, self._keep_account)
        for claim, published in done:
            self._account(claim, published)

    async def _leave(self, number: int, ids: Sequence[ObjectId]) -> None:
        """Leave to any relay what was handed over and could not be published; the rest of that number is."""
        relay = self._handover.account.relay
        await self._around.outlast(LOOP, lambda: self._store.leave(relay, number, ids, self._around.clock.now()))
        self._handover.published(number)

    def _account(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        events = sum(
            event.revision <= published.get(progress, -1)
            for progress, outbox in claim.outboxes.items()
            for event in outbox
        )
        self._around.metrics.events.inc(events)
        left = len(claim.outboxes) - len(published)
        structlog.get_logger(__name__).info(
            "batch published",
            lockKey=claim.lock_key,
            documents=len(published),
            events=events,
            **({"left": left} if left else {}),
        )


def unpublished(claim: OutboxClaim, published: Mapping[ObjectId, int]) -> Sequence[ObjectId]:
    """Return the documents of which not all claimed events are published."""
    return [key for key, events in claim.outboxes.items() if published.get(key, 0) < events[-1].revision]
