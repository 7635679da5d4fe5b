"""The relay: outbox to topic `journey.progress-updated`.

1. claim the outboxes of a batch of documents under a fresh key with a lease,
2. publish their events in revision order (acknowledged by the broker),
3. forget what was published.

R1: every change of public state is published at least once: a crash between 2 and 3 repeats events with the same
ids. R2: the events of one document carry a revision that grows by one, and reach the topic in that order.
"""

from collections.abc import Mapping

import structlog
from bson import ObjectId

from processor.ports import EventSink, OutboxClaim, ProgressStore
from processor.services.surroundings import Leasing, Surroundings

LOOP = "relay"


class Relay:
    """One relay of any number."""

    def __init__(self, store: ProgressStore, sink: EventSink, surroundings: Surroundings, leasing: Leasing) -> None:
        self._store = store
        self._sink = sink
        self._around = surroundings
        self._leasing = leasing

    async def step(self) -> int:
        """Claim, publish, forget; return how many documents had something to publish.

        Raises `Unavailable` when the store failed: the outboxes are claimed again when the lease runs out.
        """
        now, leasing = self._around.clock.now(), self._leasing
        # 1. claim
        claim = await self._store.claim_events(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        if not claim.outboxes:
            return 0
        with self._around.metrics.relay_seconds.time():
            # 2. publish
            published = await self._around.outlast(LOOP, lambda: self._publish(claim))
            # 3. forget
            await self._around.outlast(LOOP, lambda: self._store.forget(claim, published))
        self._account(claim, published)
        return len(claim.outboxes)

    async def _publish(self, claim: OutboxClaim) -> Mapping[ObjectId, int]:
        """Publish while the lease lasts; after it the events may be another relay's, and ours would be late (R2).

        An empty outbox is published by that: the events of a promotion that landed in the midst of an earlier claim
        went with it and left their mark behind. Given back, or it would be claimed again for ever.
        """
        if self._around.clock.now() >= claim.until:
            return {}
        empty = {progress: 0 for progress, events in claim.outboxes.items() if not events}
        return {**empty, **await self._sink.publish(claim.outboxes)}

    def _account(self, claim: OutboxClaim, published: Mapping[ObjectId, int]) -> None:
        events = sum(
            event.revision <= published.get(progress, -1)
            for progress, outbox in claim.outboxes.items()
            for event in outbox
        )
        self._around.metrics.events.inc(events)
        unpublished = len(claim.outboxes) - len(published)
        structlog.get_logger(__name__).info(
            "batch published",
            lockKey=claim.lock_key,
            documents=len(published),
            events=events,
            **({"left": unpublished} if unpublished else {}),
        )
