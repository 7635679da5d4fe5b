"""Progress documents in MongoDB: `ports.ProgressStore`. The writes themselves stand in `updates.py`."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.evidence import ProgressEvent, Promotion, has_idle_outbox
from processor.core.relaying import is_handy
from processor.ports.progress import Applied, Claim, Outbox, RelayLease
from processor.store import marks, updates
from processor.store.documents import insert_new
from processor.store.evidence import MongoEvidence
from processor.store.failures import translated
from processor.store.looking import MongoBacklog
from processor.store.outboxes import MongoOutboxes
from processor.store.relays import handed_under

CHUNK = 1_000
"""Documents that `mark_due` touches in one write."""


class MongoProgressStore(MongoEvidence, MongoOutboxes, MongoBacklog):
    """One database's progress documents. Any number of stores may work on the same database."""

    async def claim(self, lock_key: str, now: datetime, until: datetime, limit: int) -> Claim:
        """Claim due documents and those whose lease ran out; see `ports.ProgressStore.claim` (P1, P3)."""
        update = marks.claim_update(lock_key, until, self._holder(now))
        with translated():
            ids = await self._due.claim(update, now, until, limit)
            found = self._progresses.find({"_id": {"$in": ids}, "lockKey": lock_key}) if ids else None
            documents = await self._relays.without_published(await found.to_list()) if found else []
        return Claim(lock_key, until, tuple(documents), has_more=len(ids) == limit)

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        """Write promotions under the claim's lock; see `ports.ProgressStore.apply` (P1, P2)."""
        if not promotions:
            return Applied(0, 0)
        idle = {document["_id"] for document in claim.documents if has_idle_outbox(document)}
        writes = [
            updates.apply_update(it, claim.lock_key, claim.until, now, Outbox(it.progress in idle, lease))
            for it in promotions
        ]
        spilled = [promotion for promotion in promotions if promotion.segments]
        with translated(), self._due.marking(now), self._outbox.marking(now):
            if spilled:
                await self._keep_segments(spilled, now)
            landed = await self._apply(writes)
            for promotion in spilled:
                await self._attempts.delete_many(updates.nobodys_segments(promotion, claim.until))
            outboxes: dict[ObjectId, tuple[ProgressEvent, ...]] = {
                it.progress: (it.event,) for it in promotions if it.event and it.progress in idle and is_handy(it.event)
            }
            if landed < len(writes) and outboxes and lease:  # which landed, only the documents can tell
                found = await self._outboxes({"_id": {"$in": list(outboxes)}} | handed_under(lease))
                outboxes = {document["_id"]: outboxes[document["_id"]] for document in found}
        return Applied(landed, len(writes) - landed, outboxes if lease else {})

    async def _keep_segments(self, promotions: Sequence[Promotion], now: datetime) -> None:
        """Insert what leaves the documents. Those of a call that is repeated are there already, and the same."""
        segments = [
            updates.segment_document(segment, promotion.progress, now)
            for promotion in promotions
            for segment in promotion.segments
        ]
        await insert_new(self._attempts, segments)

    async def attempts(self, segments: Collection[ObjectId]) -> Mapping[ObjectId, Sequence[Mapping[str, Any]]]:
        """Read segments; see `ports.ProgressStore.attempts`."""
        with translated():
            found = await self._attempts.find({"_id": {"$in": list(segments)}}, {"attempts": 1}).to_list()
        return {document["_id"]: document["attempts"] for document in found}

    async def mark_due(self, versions: Mapping[ObjectId, int], now: datetime) -> int:
        """Mark due what is claimed, waits, or is older; see `ports.ProgressStore.mark_due`.

        One pass over each index, which the marking leaves alone, so that no document comes by twice.
        """
        marked = 0
        with translated():
            for condition in marks.stale(versions):
                async with self._progresses.find(condition, {"_id": 1}, batch_size=CHUNK) as found:
                    while documents := await found.to_list(CHUNK):
                        ids = [document["_id"] for document in documents]
                        with self._due.marking(now):
                            result = await self._progresses.update_many({"_id": {"$in": ids}}, marks.due_update(now))
                        marked += result.modified_count
        return marked

    def marking_due(self, now: datetime) -> AbstractContextManager[None]:
        """Let the next claim of this process find what somebody else marks due with this instant meanwhile."""
        return self._due.marking(now)
