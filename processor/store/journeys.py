"""Collection `journeys`: `ports.JourneyCatalog` and `ports.JourneyWriter`."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import bson
import structlog
from bson import ObjectId
from pymongo import DESCENDING, ReplaceOne
from pymongo.asynchronous.change_stream import AsyncCollectionChangeStream
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from processor.store.connect import JOURNEYS, PROGRESSES, Database, Document
from processor.store.failures import translated
from processor.store.updates import REPLAY, Filter

MOMENT = 1.0
"""Seconds that `changed` waits at most, so that whoever asks can stop."""

TRUST = 30
"""Polling intervals after which the journeys are read again even if the change stream said nothing."""


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


class MongoJourneyWriter:
    """Writes single journeys of one database; reading them is the business of others."""

    def __init__(self, database: Database) -> None:
        self._journeys = database[JOURNEYS]
        self._progresses = database[PROGRESSES]

    async def insert(self, journey: Mapping[str, Any]) -> None:
        """Insert a journey."""
        with translated():
            await self._journeys.insert_one(dict(journey))

    async def change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Write the fields that differ, unless somebody was faster; see `ports.JourneyWriter.change`."""
        still = {name: {"$eq": before.get(name)} for name in UNTOUCHED}
        sets = {name: value for name, value in after.items() if name not in before or not _is_same(before[name], value)}
        unsets = dict.fromkeys(before.keys() - after.keys(), "")
        update = ({"$set": sets} if sets else {}) | ({"$unset": unsets} if unsets else {})
        with translated():
            result = await self._journeys.update_one(
                {"_id": before["_id"], "organisation": before["organisation"], **still}, update
            )
        return result.matched_count > 0

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
    """The journeys of one database. Changes are heard through a change stream; without one, looked for."""

    def __init__(self, database: Database, *, poll: float = 10.0) -> None:
        self._journeys = database[JOURNEYS]
        self._majority = database[JOURNEYS].with_options(read_concern=ReadConcern("majority"))
        self._poll = poll
        self._looked = float("-inf")
        self._stream: AsyncCollectionChangeStream[Document] | None = None

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document. What changes from here on is heard by `changed`.

        Only what a majority has, as the change stream tells: nothing is folded under a version that is rolled back. And
        all that was there when it is asked: a new primary may take a moment to learn what a majority has (trap 7).
        """
        await self._listen()
        looking = asyncio.get_running_loop().time()
        database = self._journeys.database
        with translated():
            async with database.client.start_session() as session:
                await database.command("ping", session=session)  # tells the session the time to read after
                journeys = await self._majority.find(batch_size=BATCH, session=session).to_list()
        self._looked = looking
        return journeys

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace by `_id`."""
        if journeys:
            with translated():
                await self._journeys.bulk_write(
                    [ReplaceOne({"_id": journey["_id"]}, dict(journey), upsert=True) for journey in journeys]
                )

    async def changed(self) -> bool:
        """Wait a moment; tell whether a journey has changed, or whether it is time to look anyway.

        It is time after the polling interval when there is no change stream, and after thirty of them when there
        is one: a stream that has fallen silent is not trusted for ever.
        """
        stream = self._stream
        patience = self._poll if stream is None else self._poll * TRUST
        if asyncio.get_running_loop().time() - self._looked > patience:
            return True
        if stream is None:
            await asyncio.sleep(min(self._poll, MOMENT))
            return False
        try:
            heard = await _heard(stream)
        except PyMongoError as error:
            structlog.get_logger(__name__).warning("journey change stream lost, looking", error=str(error)[:200])
            await self.close()
            return True
        if not stream.alive:  # the collection was dropped or renamed: nothing will ever come through this one
            await self.close()
            return True
        return heard

    async def close(self) -> None:
        """Give the change stream back."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(PyMongoError):
                await stream.close()

    async def _listen(self) -> None:
        """Open the change stream before reading, so that no change falls in between. Without one, poll."""
        if self._stream is not None:
            return
        try:
            self._stream = await self._majority.watch(max_await_time_ms=int(MOMENT * 1000))
        except PyMongoError as error:
            structlog.get_logger(__name__).warning("no change stream, polling the journeys", error=str(error)[:200])


async def _heard(stream: AsyncCollectionChangeStream[Document]) -> bool:
    """Wait a moment for a change; one edit of many journeys costs one refresh, edits without end one a moment."""
    if await stream.try_next() is None:
        return False
    now = asyncio.get_running_loop().time
    enough = now() + MOMENT
    while now() < enough and await stream.try_next() is not None:
        pass
    return True
