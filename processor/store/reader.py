"""Progress documents for people: `ports.ProgressReader`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from bson import ObjectId

from processor.store.connect import PROGRESSES, Database
from processor.store.failures import translated
from processor.store.whole import OURS, with_attempts


class MongoProgressReader:
    """Reads one database's progress documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        *,
        organisation: ObjectId | None = None,
        journey: ObjectId | None = None,
        identity: ObjectId | None = None,
        limit: int = 20,
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield documents, whole, last updated first; see `ports.ProgressReader.find`."""
        named = {"organisation": organisation, "journey": journey, "_id": identity}
        query = OURS | {key: value for key, value in named.items() if value is not None}
        with translated():
            async for document in self._database[PROGRESSES].find(query).sort("updatedAt", -1).limit(limit):
                [whole] = await with_attempts(self._database, [document])
                yield whole
