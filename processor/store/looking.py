"""What waits, and who holds what: counted for the metrics, listed for people."""

from collections.abc import Sequence
from datetime import datetime

from processor.ports.progress import Backlog, Lock
from processor.store.documents import ProgressDocuments
from processor.store.failures import translated
from processor.store.locks import read_locks
from processor.store.marks import Filter
from processor.store.queues import EARLIEST, instants


class MongoBacklog(ProgressDocuments):
    """What the metrics and `locks list` ask for."""

    async def backlog(self, now: datetime) -> Backlog:
        """Count what waits."""
        count = self._progresses.count_documents
        with translated():
            handed = [condition for _, conditions in await self._relays.unpublished() for condition in conditions]
            marked = [{mark: {"$exists": True}} for mark in ("processing.publish", "processing.relayLease")]
            events = [await self._oldest("processing.publish"), await self._oldest_handed(handed)]
            return Backlog(
                documents=await self._progresses.estimated_document_count(),
                due=await count({"processing.due": {"$exists": True}}),
                claimed=await count({"processing.lease": {"$exists": True}}),
                expired=await count({"processing.lease": {"$lt": now}}),
                waiting=await count({"processing.waiting": True}),
                outbox=await count({"$or": [*marked, *handed]}),
                oldest_due=await self._oldest("processing.due"),
                oldest_outbox=min((instant for instant in events if instant), default=None),
                oldest_lease=await self._oldest("processing.lease"),
            )

    async def locks(self, limit: int) -> Sequence[Lock]:
        """Return who holds what; see `ports.ProgressStore.locks`."""
        with translated():
            relays = await self._relays.unpublished()
        return await read_locks(self._progresses, relays, limit)

    async def _oldest_handed(self, handed: Sequence[Filter]) -> datetime | None:
        if not handed:
            return None
        oldest = {"$group": {"_id": None, "oldest": {"$min": {"$min": "$processing.outbox.time"}}}}
        found = await (await self._progresses.aggregate([{"$match": {"$or": handed}}, oldest])).to_list()
        return found[0]["oldest"] if found and isinstance(found[0]["oldest"], datetime) else None

    async def _oldest(self, mark: str) -> datetime | None:
        found = await self._progresses.find_one({mark: {"$gte": EARLIEST}}, {mark: 1}, sort=[(mark, 1)])
        return next(iter(instants([found], mark)), None) if found else None
