"""The relay: outbox to topic `journey.progress-updated`.

1. claim the outboxes of a batch of documents under a fresh key with a lease; those that the loops of this process have
   filled were handed over as they were filled (`handover.py`),
2. publish their events in revision order (acknowledged by the broker), and those that are handed over meanwhile,
3. forget what was published (`forgetting.py`), beside the next publication while more is handed over. This process
   knows before: the next event of such a document need not wait for that (DECISIONS 122).

R1: every change of public state is published at least once: a crash between 2 and 3 repeats events with the same
ids. R2: the events of one document carry a revision that grows by one, and reach the topic in that order.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bson import ObjectId

from processor.errors import Unavailable
from processor.ports.progress import OutboxClaim, ProgressStore
from processor.ports.stream import DELIVERY_SHARE, EventSink
from processor.services import forgetting
from processor.services.forgetting import Forgetting, Published, unpublished
from processor.services.handover import Handover
from processor.services.surroundings import Leasing, Surroundings

LOOP = forgetting.LOOP

SWEEP = timedelta(seconds=0.25)
"""How long a relay that is handed enough to do leaves the outboxes waiting that others have filled."""

SOON = timedelta(seconds=0.05)
"""The same, where its own process has filled some that were in its hands: a learner's next event waits there."""

LINGER = 0.02
"""Seconds that what was published waits for more, to be forgotten with it; what was claimed, no longer in all."""

LONGEST = 0.1
"""Seconds that what was handed over waits in all, however soon more comes: nobody of this process waits for that."""

MOMENT = 0.001
"""Seconds that are too short to wait."""


class Relay:
    """One relay of any number."""

    def __init__(
        self,
        store: ProgressStore,
        sink: EventSink,
        surroundings: Surroundings,
        leasing: Leasing,
        handover: Handover,
    ) -> None:
        self._store = store
        self._sink = sink
        self._around = surroundings
        self._leasing = leasing
        self._handover = handover
        self._swept: datetime | None = None
        self._forgetting = Forgetting(store, surroundings, leasing, handover)

    async def step(self) -> int:
        """Claim, publish, forget; return how many documents had something to publish.

        Raises `Unavailable` when the store failed, or at the end could not forget what an earlier step has published:
        the outboxes are claimed again when the lease runs out.
        """
        try:
            await self._forgetting.stay()
            # 1. claim
            claims = await self._claims()
            # 2. publish
            done = await self._published_together(claims)
            # 3. forget
            await self._forgetting.begin(done)
        except asyncio.CancelledError:
            await self._forgetting.cancel()
            raise
        return sum(len(claim.outboxes) for claim, _ in done)

    async def _published_together(self, claims: Sequence[OutboxClaim]) -> Sequence[Published]:
        """Publish, and what is handed over for a moment after; return what was."""
        done: list[Published] = []
        is_handed = all(claim.number is not None for claim in claims)
        until = asyncio.get_running_loop().time() + (LONGEST if is_handed else LINGER)
        while claims:
            try:
                published = await self._published(claims, is_patient=not done)
            except Unavailable:
                if not done:
                    raise
                self._handover.give_back(claims)  # what is published need not wait for it
                break
            self._note(published)
            done += published
            claims = await self._handed_over(until, done)
        return done

    def _note(self, several: Sequence[Published]) -> None:
        """Tell this process what is published of what was handed over, long before the account tells everybody."""
        for claim, published in several:
            if claim.number is not None and not unpublished(claim, published):
                self._handover.published(claim.number)
        self._store.note_account(self._handover.account)

    async def give_back(self) -> None:
        """At the end of the process, leave to others what was handed over and is not published."""
        await self._forgetting.close()

    async def _claims(self) -> Sequence[OutboxClaim]:
        """Take what was handed over; look for what waits when there is nothing, and now and then in any case.

        An outage here leaves what was handed over where it was.
        """
        handed, leasing = self._handover.take(), self._leasing
        now = self._around.clock.now()
        if handed and not self._is_to_look(now):
            return handed
        self._handover.looks(is_beside=bool(handed))
        try:
            if now >= self._forgetting.held_until:  # or this would find what is published, and only to be forgotten
                await self._forgetting.ended()
                now = self._around.clock.now()
            claim = await self._store.claim_events(leasing.new_key(), now, now + leasing.duration, leasing.batch)
        except Exception:
            self._handover.give_back(handed)
            self._handover.mark()  # at worst one look too many
            raise
        self._swept = now if len(claim.outboxes) < leasing.batch else None
        return (*handed, claim) if claim.outboxes else handed

    def _is_to_look(self, now: datetime) -> bool:
        """Tell whether it is time to look for what waits by its mark, though enough is handed over."""
        return self._swept is None or abs(now - self._swept) >= (SOON if self._handover.is_marked else SWEEP)

    async def _handed_over(self, until: float, done: Sequence[Published]) -> Sequence[OutboxClaim]:
        """Wait a moment for what can be published and forgotten with what is done; return it, or nothing."""
        clock = asyncio.get_running_loop().time
        until = min(until, clock() + LINGER)
        while (left := until - clock()) > MOMENT and self._handover.is_open:
            if sum(len(claim.outboxes) for claim, _ in done) >= self._leasing.batch or self._around.stop.is_set():
                break
            if handed := self._handover.take():
                return handed
            if self._handover.is_marked and self._is_to_look(self._around.clock.now()):
                break
            await self._around.pause(left, self._handover.given)
        return ()

    async def _published(self, claims: Sequence[OutboxClaim], *, is_patient: bool) -> Sequence[Published]:
        """Publish; return of each claim what was. Who is patient waits an outage out."""
        with self._around.metrics.relay_seconds.time():
            if is_patient:
                published = await self._around.outlast(LOOP, lambda: self._publish(claims))
            else:
                published = await self._publish(claims)
        return [
            (claim, {progress: published[progress] for progress in claim.outboxes if progress in published})
            for claim in claims
        ]

    async def _publish(self, claims: Sequence[OutboxClaim]) -> Mapping[ObjectId, int]:
        """Publish while half of the lease is left; after it the events may be another relay's, and ours be late (R2).

        An empty outbox is published by that: the events of a promotion that landed in the midst of an earlier claim
        went with it and left their mark behind. Given back, or it would be claimed again for ever.
        """
        late = self._around.clock.now() + self._leasing.duration * DELIVERY_SHARE
        outboxes = {key: events for claim in claims if late <= claim.until for key, events in claim.outboxes.items()}
        if not outboxes:
            return {}
        empty = {progress: 0 for progress, events in outboxes.items() if not events}
        return {**empty, **await self._sink.publish(outboxes)}
