"""Collection `journeys`: `ports.JourneyCatalog` and `ports.JourneyWriter`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo import DESCENDING, InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.read_concern import ReadConcern

from processor.errors import StoreUnavailable
from processor.store.connect import JOURNEYS, PROGRESSES, Database
from processor.store.failures import insert_once, is_only_duplicates, is_passing, translated
from processor.store.marks import REPLAY, Filter
from schemas.journey import Journey, journey_document, journey_from

MOMENT = 1.0
"""Seconds from one look at the count to the next."""

TRUST = 30
"""Polling intervals after which the journeys are read again even if nothing was written."""

COUNT: Final[Sequence[Mapping[str, Any]]] = [{"$collStats": {"latencyStats": {}}}]
"""Asks how many writes a collection had since the server was started."""

Written = tuple[Any, ...] | None
"""The server's process, and what it has counted; None where that is not told."""

BATCH = 500
"""Journeys per answer of the server: an answer is decoded in one go, and 16 MB of them would hold everything up."""

UNTOUCHED = ("version", "updatedAt")
"""What tells that a journey is still as it was read; every change through an interface moves `updatedAt` on."""

NOT_AT_REST: Filter = {
    "$or": [
        {"processing.due": {"$exists": True}},
        {"processing.lease": {"$exists": True}},
        {"processing.waiting": True},
        {f"{REPLAY}.version": {"$exists": True}},
    ]
}
"""Somebody is going to fold it, or a recalculation, or its journey when it is back; each has its index."""


def as_stored(journey: Journey) -> Journey:
    """Return a journey as it is read once it is stored: with instants in UTC, to the millisecond, say."""
    written = bson.encode(journey_document(journey))
    return journey_from(bson.decode(written, CodecOptions(tz_aware=True)))


def _untouched(before: Mapping[str, Any]) -> Filter:
    return {name: {"$eq": before.get(name)} for name in UNTOUCHED}


class MongoJourneyWriter:
    """Writes single journeys of one database; reading them is the business of others."""

    def __init__(self, database: Database) -> None:
        self._journeys = database[JOURNEYS]
        self._progresses = database[PROGRESSES]

    async def insert(self, journey: Mapping[str, Any]) -> None:
        """Insert a journey."""
        await insert_once(self._journeys, journey)

    async def change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Write the fields that differ, unless somebody was faster; see `ports.JourneyWriter.change`."""
        sets = {name: value for name, value in after.items() if name not in before or not _is_same(before[name], value)}
        unsets = dict.fromkeys(before.keys() - after.keys(), "")
        update = ({"$set": sets} if sets else {}) | ({"$unset": unsets} if unsets else {})
        with translated():
            result = await self._journeys.update_one(
                {"_id": before["_id"], "organisation": before["organisation"], **_untouched(before)}, update
            )
        return result.matched_count > 0

    async def replace(self, journeys: Sequence[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]) -> bool:
        """Write journeys whole, each in the place of the one that was read, None where there was none.

        False when somebody was faster with one of them: then only some were written.
        """
        if not journeys:
            return True
        writes = [
            InsertOne(dict(after))
            if before is None
            else ReplaceOne({"_id": after["_id"], **_untouched(before)}, dict(after))
            for before, after in journeys
        ]
        with translated():
            try:
                result = await self._journeys.bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                if not is_only_duplicates(error):
                    raise
                return False
        return result.inserted_count + result.matched_count == len(writes)

    async def remove(self, organisation: ObjectId, key: ObjectId) -> bool:
        """Remove a journey; see `ports.JourneyWriter.remove`."""
        with translated():
            result = await self._journeys.delete_one({"_id": key, "organisation": organisation})
        return result.deleted_count > 0

    async def last_version(self, key: ObjectId) -> int:
        """Return what is highest in the journey's documents; see `ports.JourneyWriter.last_version`.

        Two look-ups by index: what is at rest was folded under no older version than it was matched under.
        """
        with translated():
            asked = [
                await self._progresses.find_one(
                    {"journey": key, mark: {"$gt": 0}, **more}, {mark: 1}, sort=[(mark, DESCENDING)]
                )
                for mark, more in (("processing.folded", {}), ("processing.version", NOT_AT_REST))
            ]
        marks = [found["processing"] for found in asked if found]
        return int(max((value for found in marks for value in found.values()), default=0))


def _is_same(one: Any, other: Any) -> bool:
    """Compare as they are stored: to Python 1 is True, and the order of keys is nothing."""
    return bson.encode({"": one}) == bson.encode({"": other})


class MongoJourneyCatalog:
    """The journeys of one database. A server counts what is written to a collection: that count is looked at.

    Not a change stream, which reads all that is written to the whole server, for each process (DECISIONS.md, 111).
    """

    def __init__(self, database: Database, *, poll: float = 10.0, moment: float = MOMENT) -> None:
        self._journeys = database[JOURNEYS]
        self._majority = database[JOURNEYS].with_options(read_concern=ReadConcern("majority"))
        self._poll = poll
        self._moment = moment
        self._written: Written = None
        self._since = float("-inf")
        self._look_at = float("-inf")

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document. What changes from here on is heard by `changed`.

        Only what a majority has: nothing is folded under a version that is rolled back. And all that was there when it
        is asked: a new primary may take a moment to learn what a majority has (trap 7).
        """
        looking, database = asyncio.get_running_loop().time(), self._journeys.database
        with translated():
            written = await self._count_written()  # before reading, so that no change falls in between
            async with database.client.start_session() as session:
                await database.command("ping", session=session)  # tells the session the time to read after
                journeys = await self._majority.find(batch_size=BATCH, session=session).to_list()
        if written is None or written != self._written:
            self._written, self._since = written, looking
        is_sure = looking - self._since > self._poll
        self._look_at = looking + self._poll * (TRUST if is_sure else 1)
        return journeys

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace by `_id`."""
        if journeys:
            with translated():
                await self._journeys.bulk_write(
                    [ReplaceOne({"_id": journey["_id"]}, dict(journey), upsert=True) for journey in journeys]
                )

    async def changed(self) -> bool:
        """Wait a moment; tell whether journeys were written, or whether it is time to look anyway.

        It is time one polling interval after what was written was read, as a transaction is counted before it is
        committed; after thirty of them when nothing was: what no server counts ($merge, a collection that is renamed)
        is found then. Where the server tells no count, it is time after each, and it is after an outage: another server
        may have counted meanwhile. Raises `StoreUnavailable`.
        """
        if asyncio.get_running_loop().time() > self._look_at:
            return True
        await asyncio.sleep(min(self._poll, self._moment))
        if self._written is None:
            return False
        try:
            with translated():
                return await self._count_written() != self._written
        except StoreUnavailable:
            self._look_at = float("-inf")
            raise

    async def _count_written(self) -> Written:
        """Return what another write makes another, on this server, as long as it runs; None where it is not told."""
        try:
            hello = await self._journeys.database.command("hello")
            counts = [it async for it in await self._journeys.aggregate(COUNT)]
        except OperationFailure as error:
            if is_passing(error):
                raise
            return None
        writes = [(it.get("host"), *it.get("latencyStats", {}).get("writes", {}).values()) for it in counts]
        if not writes or not all(count for _, *count in writes):
            return None
        if hello.get("msg") == "isdbgrid":  # any of several mongos; of the shards, the hosts and counts tell
            return tuple(sorted(writes))
        return hello.get("topologyVersion", {}).get("processId"), hello.get("electionId"), *writes
