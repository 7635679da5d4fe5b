"""What all that works on progress documents has in common: the collections, and the two kinds of bulk writes."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from processor.errors import StoreUnavailable
from processor.store.connect import ATTEMPTS, PROGRESSES, STATEMENTS, Database, Document
from processor.store.failures import is_only_duplicates, misshapen, refused, too_large
from processor.store.marks import Filter
from processor.store.plates import Plates
from processor.store.relays import Relays
from processor.store.waiting import Waiting


class ProgressDocuments:
    """One database's. `worker` is what `locks` calls the holder of claims."""

    def __init__(self, database: Database, worker: str = "") -> None:
        self._worker = worker
        self._progresses = database[PROGRESSES]
        self._majority = self._progresses.with_options(read_concern=ReadConcern("majority"))
        self._statements = database[STATEMENTS]
        self._attempts = database[ATTEMPTS]
        self._due = Waiting(self._progresses, "processing.due", "processing.lease")
        self._outbox = Waiting(self._progresses, "processing.publish", "processing.relayLease")
        self._relays = Relays(database)
        self._plates = Plates()

    def _holder(self, now: datetime) -> Document:
        return {"worker": self._worker, "since": now}

    async def _apply(self, writes: Sequence[UpdateOne]) -> int:
        """Do the updates; return how many landed. A document that has no room, or no place, for it is left as it is."""
        try:
            return (await self._progresses.bulk_write(writes, ordered=False)).matched_count
        except BulkWriteError as error:
            full, broken = too_large(error), misshapen(error)
            if not (full or broken):
                raise
            if error.details.get("writeConcernErrors") or len(full) + len(broken) < len(error.details["writeErrors"]):
                raise StoreUnavailable("MongoDB: other updates failed, or no majority has acknowledged them") from error
            if full:
                structlog.get_logger(__name__).error("no room for a promotion", progress=str(full[0]["_id"]))
            if broken:
                structlog.get_logger(__name__).error("edited so that it takes none", progress=str(broken[0]["_id"]))
            return int(error.details["nMatched"])

    async def _outboxes(self, condition: Filter) -> Sequence[Document]:
        """Read outboxes that a relay holds, as a majority has them.

        An event that is told must not be rolled back: another would come under its revision (R2). The claim has been
        acknowledged by a majority, so that it is there.
        """
        return await self._majority.find(condition, {"processing.outbox": 1, "processing.handed": 1}).to_list()


async def insert_new(
    collection: AsyncCollection[Document], documents: Sequence[Document | RawBSONDocument]
) -> frozenset[ObjectId]:
    """Insert what is not there yet; return the ids that were. What else fails is raised (I1)."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if not is_only_duplicates(error):
            raise
        return frozenset(documents[number]["_id"] for number in refused(error))
    return frozenset()
