"""The documents that wait for one kind of worker, for a promoter or for a relay, and how it claims some of them."""

from contextlib import AbstractContextManager
from datetime import datetime

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from processor.store import marks
from processor.store.connect import Document
from processor.store.outbox import BY_ID
from processor.store.queues import Look, Queue, instants, is_held


class Waiting:
    """Those with `mark`, and those whose `lease` ran out; where a look for them begins, a `Queue` knows."""

    def __init__(self, progresses: AsyncCollection[Document], mark: str, lease: str) -> None:
        self._progresses = progresses
        self._queue = Queue(mark, lease)

    async def claim(self, update: Document, now: datetime, until: datetime, limit: int) -> list[ObjectId]:
        """Do the claiming `update` to at most `limit` that nobody holds, oldest mark first; return the candidates.

        They are found through the mark's index; whether each is still free is decided by the update (P1). First come
        those left behind by a worker that died (P3, R1), up to half while others wait: so none of the two hold up the
        others, however many there are, or fail again and again. Who is marked as well may come twice.
        """
        queue = self._queue
        with queue.look(now, until) as look:
            left = await self._expired(look.leases, now, until, limit) if look.leases else []
            ids, others = left[: limit // 2], left[limit // 2 :]
            ids += await self._marked(look, now, limit - len(ids))
            ids += others[: limit - len(ids)]
            if ids:
                # By id: left alone, the planner goes through the marks, and reads all that is due at every claim.
                free = marks.claimable(queue.mark, queue.lease, ids, now)
                await self._progresses.update_many(free, update, hint=BY_ID)
        return ids

    def marking(self, instant: datetime) -> AbstractContextManager[None]:
        """Mark documents with an instant: however long that takes, the next claim finds them."""
        return self._queue.marking(instant)

    async def _marked(self, look: Look, now: datetime, limit: int) -> list[ObjectId]:
        """Find marked documents that nobody holds; tell the look what there was."""
        mark, lease = self._queue.mark, self._queue.lease
        condition = {mark: look.marks}
        page = await self._progresses.find(condition, (mark, lease)).sort(mark).limit(limit).to_list()
        held: list[Document] = []
        unheld: list[Document] = []
        for document in page:
            (held if is_held(document, lease, now) else unheld).append(document)
        is_full = len(page) == limit
        look.saw(page[-1:] if is_full else [], held, now)
        if held and is_full:  # there may be more behind what is held
            free = {**condition, **marks.is_free(lease, now)}
            return [it["_id"] async for it in self._progresses.find(free, {"_id": 1}).sort(mark).limit(limit)]
        return [document["_id"] for document in unheld]

    async def _expired(self, leases: Document, now: datetime, until: datetime, limit: int) -> list[ObjectId]:
        """Find documents whose lease ran out; tell the queue when the next one may. Nearly always there is none."""
        lease = self._queue.lease
        page = await self._progresses.find({lease: leases}, (lease,)).sort(lease).limit(1).to_list()
        first = instants(page, lease)
        if not page or (first and first[0] >= now):  # else one ran out, or somebody put there what hides whether
            self._queue.none_expired(now, min(first, default=until))
            return []
        expired = self._progresses.find({lease: {"$lt": now}}, {"_id": 1}).sort(lease).limit(limit)
        return [document["_id"] async for document in expired]
