"""Collection `client`, and of Learning Locker's `organisations` which have expired: `ports.Clients`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.store.connect import CLIENTS, ORGANISATIONS, Database
from processor.store.failures import insert_once, translated


class MongoClients:
    """One database's clients. The collection may be Learning Locker's own, so no index of ours is put on it."""

    def __init__(self, database: Database) -> None:
        self._clients = database[CLIENTS]
        self._organisations = database[ORGANISATIONS]

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return a trusted client by its key."""
        with translated():
            return await self._clients.find_one({"api.basic_key": {"$eq": key}, "isTrusted": True})

    async def has_expired(self, organisation: ObjectId, now: datetime) -> bool:
        """Tell whether the organisation's `expiration` is over."""
        with translated():
            over = {"_id": organisation, "expiration": {"$lt": now}}
            return await self._organisations.find_one(over, {"_id": 1}) is not None

    async def replace_secret(self, client: ObjectId, before: str, after: str) -> None:
        """Store a hash, unless the secret has changed meanwhile."""
        with translated():
            await self._clients.update_one(
                {"_id": client, "api.basic_secret": {"$eq": before}}, {"$set": {"api.basic_secret": after}}
            )

    async def insert(self, client: Mapping[str, Any]) -> None:
        """Insert a client."""
        await insert_once(self._clients, client)

    async def all(self) -> Sequence[Mapping[str, Any]]:
        """Return every client, without secrets."""
        with translated():
            return await self._clients.find({}, {"api.basic_secret": 0}).sort("_id").to_list()

    async def revoke(self, key: str, now: datetime) -> bool:
        """Trust a client no more."""
        with translated():
            result = await self._clients.update_many(
                {"api.basic_key": {"$eq": key}}, {"$set": {"isTrusted": False, "updatedAt": now}}
            )
        return result.matched_count > 0
