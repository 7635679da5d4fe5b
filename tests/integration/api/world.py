"""What the tests of the interfaces share: clients, documents, requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

import httpx
import orjson
from bson import ObjectId

from processor.api.application import Application
from processor.api.secrets import hashed
from processor.api.server import application_of
from processor.opening import Interfaces
from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, Database
from schemas.journey import journey_document, journey_from
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_journey, at

OTHER = ObjectId("5a0000000000000000000001")
SECRET = "5" * 40


class FixedClock:
    """Time that stands still."""

    def now(self) -> datetime:
        return at(0)


@cache
def a_hash() -> str:
    return hashed(SECRET)


def a_client(
    key: str, organisation: ObjectId = ORGANISATION, *, scopes: tuple[str, ...] = ("all",), **changes: Any
) -> dict[str, Any]:
    """A client as it stands in the collection; every one has the same secret."""
    return {
        "_id": ObjectId(sha256(key.encode()).digest()[:12]),
        "title": key,
        "api": {"basic_key": key, "basic_secret": a_hash()},
        "isTrusted": True,
        "organisation": organisation,
        "scopes": list(scopes),
        **changes,
    }


def a_progress(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A progress document as stored."""
    return {
        "_id": ObjectId(f"{number:024x}"),
        "journey": JOURNEY,
        "organisation": ORGANISATION,
        "owner": {"trackBy": "actor", "ident": {"objectType": "Agent", "mbox": f"mailto:o{number}@example.org"}},
        "createdAt": at(0),
        "updatedAt": at(number),
        "pendingProgress": {WAYPOINTS[0]: {"statements": []}},
        "isCompleted": False,
        "completions": [],
        "lockKey": "571bf02f-d41b-4b31-972d-f092845af816",
        "processing": {"revision": number, "secret": "hidden"},
        **changes,
    }


def a_stored_journey(**changes: Any) -> dict[str, Any]:
    """A journey document as stored."""
    return journey_document(journey_from(a_journey(createdAt=at(0), updatedAt=at(0), **changes)))


def application(settings: Settings, interfaces: Interfaces, **changes: Any) -> Application:
    return application_of(settings.model_copy(update={"http_port": 1, **changes}), interfaces)


@dataclass(frozen=True, slots=True)
class Api:
    """The application and the database behind it."""

    app: Application
    http: httpx.AsyncClient
    database: Database
    interfaces: Interfaces
    settings: Settings

    async def get(self, path: str, key: str | None = "mine", **parameters: Any) -> httpx.Response:
        """GET; parameters that are not strings are written as JSON, numbers as they are."""
        written = {
            name: value if isinstance(value, str | int) else orjson.dumps(value, default=str).decode()
            for name, value in parameters.items()
        }
        return await self.http.get(path, params=written, auth=(key, SECRET) if key else None)

    async def send(self, method: str, path: str, body: Any = None, key: str | None = "mine") -> httpx.Response:
        content = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        return await self.http.request(
            method, path, content=content, headers=headers, auth=(key, SECRET) if key else None
        )

    async def has_progress(self, *documents: Mapping[str, Any]) -> None:
        await self.database[PROGRESSES].insert_many([dict(document) for document in documents])

    async def has_journeys(self, *documents: Mapping[str, Any]) -> None:
        await self.database[JOURNEYS].insert_many([dict(document) for document in documents])
