"""What recalculations write to progress documents: `ports.ReplayStore`. The writes themselves stand in `updates.py`."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

import structlog
from bson import ObjectId
from pymongo.errors import BulkWriteError

from processor.core.evidence import Append, Retraction
from processor.core.records import StatementRecord
from processor.errors import DocumentBroken, DocumentFull
from processor.ports.recalculation import Waking
from processor.store import marks, updates
from processor.store.connect import PROGRESSES, Database
from processor.store.failures import misshapen, translated
from processor.store.outbox import BY_ID
from processor.store.progress import MongoProgressStore
from processor.store.whole import OURS, with_attempts

HELD = {"completions": 1, "pendingProgress": 1, "processing": 1}
"""The fields that tell what a document holds as evidence; `_id` comes with them."""

AHEAD: Final = 50
"""Progress documents that MongoDB sends at a time: each may be large."""


class MongoReplayStore:
    """One database's progress documents, for whoever recalculates."""

    def __init__(self, database: Database, store: MongoProgressStore | None = None) -> None:
        """`store` is that of the promoter of this process, which looks where it knows of marks (`store/queues.py`)."""
        self._database = database
        self._progresses = database[PROGRESSES]
        self._store = store or MongoProgressStore(database)

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> None:
        """Add evidence; see `ports.ReplayStore.append`."""
        try:
            await self._store.append(appends, statements, now)
        except DocumentFull:
            await self._mark_due(updates.touched(appends), now)
            raise
        except DocumentBroken as error:
            _tell(error)
            await self.append([it for it in appends if it.progress not in error.documents], statements, now)
            return
        if appends:
            await self._mark_due(updates.crowded(appends), now)

    async def _mark_due(self, documents: marks.Filter, now: datetime) -> None:
        with translated(), self._store.marking_due(now):
            await self._progresses.update_many(documents, marks.due_update(now), hint=BY_ID)

    async def retract(self, retractions: Sequence[Retraction]) -> None:
        """Take evidence back; see `ports.ReplayStore.retract`."""
        if not retractions:
            return
        try:
            with translated():
                writes = list(chain.from_iterable(map(updates.retract_updates, retractions)))
                await self._progresses.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if not (broken := {it["_id"] for it in misshapen(error)}):
                raise
            _tell(DocumentBroken.of(broken))
            await self.retract([it for it in retractions if it.progress not in broken])

    async def holders(self, journey: ObjectId, ids: Collection[ObjectId]) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the documents that exist; see `ports.ReplayStore.holders`."""
        asked = {"_id": {"$in": list(ids)}, "journey": journey, **OURS}
        with translated():
            async with self._progresses.find(asked, batch_size=AHEAD) as documents:
                async for document in documents:
                    [holder] = await with_attempts(self._database, [document])
                    yield holder

    async def wake(self, journey: ObjectId, limit: int, now: datetime) -> Waking:
        """Mark documents due, so that at most `limit` wait at once; see `ports.ReplayStore.wake`."""
        asked = marks.replayed(journey)
        with translated(), self._store.marking_due(now):
            waiting = await self._progresses.count_documents(asked | marks.IN_WORK, limit=limit)
            ids: list[ObjectId] = []
            if waiting < limit:
                found = self._progresses.find(asked | marks.AT_REST, {"_id": 1}).limit(limit - waiting)
                ids = [document["_id"] async for document in found]
                await self._progresses.update_many({"_id": {"$in": ids}}, marks.due_update(now))
        return Waking(waiting + len(ids), len(ids))


def _tell(error: DocumentBroken) -> None:
    """A recalculation sets them aside, as it can be asked for again; a live statement waits for them (I1)."""
    structlog.get_logger(__name__).error("set aside in a recalculation", error=str(error))
