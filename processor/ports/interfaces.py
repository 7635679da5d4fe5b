"""Journeys and clients, and what the HTTP interfaces ask for. See `processor.ports`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bson import ObjectId

from processor.core.queries import Found, Model, Projection, Query


class QueryReader(Protocol):
    """What the interfaces read: documents of one model, always confined to one organisation.

    Raises `InvalidInput` for what MongoDB does not take, `StoreUnavailable` for what it cannot do in time.
    """

    async def find(self, model: Model, organisation: ObjectId, query: Query) -> Sequence[Found]:
        """Return up to `limit` documents in the order of the sort."""

    async def one(
        self, model: Model, organisation: ObjectId, key: ObjectId, project: Projection | None = None
    ) -> Mapping[str, Any] | None:
        """Return the document with this `_id`, or None if the organisation has none."""

    async def count(self, model: Model, organisation: ObjectId, query: Query) -> int:
        """Count what the filter matches, after `skip`."""

    async def distinct(self, model: Model, organisation: ObjectId, path: str, query: Query) -> Sequence[Any]:
        """Return the different values at a path of what the filter matches."""

    async def reach(self) -> None:
        """Return if the store answers."""

    async def progresses(
        self, organisation: ObjectId, keys: Sequence[ObjectId]
    ) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Return progress documents by their ids, whole as stored: for explaining, not for showing."""

    async def statement(self, organisation: ObjectId, key: ObjectId | str) -> Mapping[str, Any] | None:
        """Return a statement document by `_id`, or by its xAPI id (a UUID); None if the organisation has none."""


class JourneyWriter(Protocol):
    """Journeys, written one at a time and never over somebody else's change."""

    async def insert(self, journey: Mapping[str, Any]) -> None:
        """Insert a journey with a new `_id`."""

    async def change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Write the fields in which `after` differs, if the journey is still as it was `before`; say whether it was.

        `version` and `updatedAt` tell; the fields that do not differ are left to whoever writes them.
        """

    async def remove(self, organisation: ObjectId, key: ObjectId) -> bool:
        """Remove a journey; say whether the organisation had it."""

    async def last_version(self, key: ObjectId) -> int:
        """Return the highest version that progress documents know a journey by, gone or broken as it may be; or 0."""


class Clients(Protocol):
    """Collection `client`: who may call the interfaces, as Learning Locker has them."""

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the trusted client with this `api.basic_key`, or None."""

    async def has_expired(self, organisation: ObjectId, now: datetime) -> bool:
        """Say whether the organisation's time is over; not where nothing is known of it."""

    async def replace_secret(self, client: ObjectId, before: str, after: str) -> None:
        """Store a secret's hash in the place of what was stored `before`; if that has changed, leave it."""

    async def insert(self, client: Mapping[str, Any]) -> None:
        """Insert a client."""

    async def all(self) -> Sequence[Mapping[str, Any]]:
        """Return every client, without secrets."""

    async def revoke(self, key: str, now: datetime) -> bool:
        """Trust the client no more; say whether there was one."""


class JourneyCatalog(Protocol):
    """Collection `journeys`."""

    async def load(self) -> Sequence[Mapping[str, Any]]:
        """Return every journey document, as stored."""

    async def save(self, journeys: Sequence[Mapping[str, Any]]) -> None:
        """Insert or replace journey documents by `_id`."""

    async def changed(self) -> bool:
        """Wait a moment (a second at most); tell whether the collection has changed, or it is time to look.

        A change may be told only once: who hears of it has to load, however often that takes. Raises `Unavailable`.
        """
