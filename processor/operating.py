"""What operators' commands do: topics, journeys, statements, clients, dead letters; what waits, and who holds it.

Like `app.py`, above which it stands, it knows stores and transports by name.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from bson import ObjectId

from processor.clock import SystemClock
from processor.core.index import index_journeys
from processor.core.letters import DeadLetter, Selection
from processor.core.revision import known_journey, revision_of, version_of
from processor.errors import InvalidInput, JourneyProgressError, StoreUnavailable
from processor.opening import Stores, open_stores
from processor.ports.progress import Backlog, Lock
from processor.services.dead_letters import Replayed, replay
from processor.services.publishing import CHUNK_BYTES, telling_how_many
from processor.settings import PREFIX, Settings
from processor.store.clients import MongoClients
from processor.store.connect import check_fit, open_database
from processor.store.journeys import as_stored
from processor.transport.apart import publish
from processor.transport.batches import Message
from processor.transport.dead_letters import count_dead_letters, read_dead_letters, read_original
from processor.transport.producer import open_producer
from processor.transport.subscription import subscription
from processor.transport.topics import check_topics, create_topics, group_lag
from schemas.journey import journey_document, journey_from

Answer = TypeVar("Answer")

PUBLISH_CHUNK = 2_000
REFUSED_SHOWN = 5
"""Lines that are named when some are too large."""

TRIES = 5


async def create_all_topics(settings: Settings) -> Mapping[str, bool]:
    """Create the topics that are missing; return for each whether it was made now."""
    return await create_topics(settings)


async def apply_journeys(settings: Settings, documents: Sequence[Mapping[str, Any]]) -> dict[ObjectId, str]:
    """Save journeys that were found fine; return for each `created`, `updated` or `unchanged`.

    `version` grows when what is computed changes; what did not change at all is not written. One that was deleted, or
    is broken where it is stored, goes on above the version that its progress documents were folded under. Never over
    another's change: what was changed meanwhile is decided again. Raises `StoreUnavailable`.
    """
    outcome: dict[ObjectId, str] = {}
    async with open_stores(settings) as stores:
        for _ in range(TRIES):
            revised = await _revised(stores, documents, outcome)
            if await stores.journeys.replace(revised):
                return outcome
    raise StoreUnavailable("journeys are being changed by others all the time: apply them again")


async def _revised(
    stores: Stores, documents: Sequence[Mapping[str, Any]], outcome: dict[ObjectId, str]
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]:
    """Return what has to be written, and in the place of what; note each outcome, unless it was saved before."""
    now = SystemClock().now()
    revised: list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]] = []
    known = {document["_id"]: document for document in await stores.catalog.load()}
    for document in documents:
        journey = as_stored(journey_from(document))
        stored = known.get(journey.id)
        before = known_journey(stored)
        used = 0 if before else max(version_of(stored), await stores.journeys.last_version(journey.id))
        if after := revision_of(journey, before, now, used):
            outcome[journey.id] = "created" if stored is None else "updated"
            revised.append((stored, journey_document(after)))
        else:
            outcome.setdefault(journey.id, "unchanged")
    return revised


async def list_journeys(settings: Settings) -> list[dict[str, Any]]:
    """Return what `journeys list` shows: id, description, version, number of waypoints, state."""
    async with open_stores(settings, only_looking=True) as stores:
        index, _ = index_journeys(await stores.catalog.load(), {})
    rows = [
        {
            "journey": str(rules.id),
            "description": rules.description,
            "version": rules.version,
            "waypoints": len(rules.waypoints),
            "state": "running" if rules.is_running else "inactive",
        }
        for rules in index.journeys.values()
    ]
    broken = [
        {"journey": str(key), "description": "", "version": "", "waypoints": "", "state": f"broken: {fault}"}
        for key, fault in index.broken.items()
    ]
    return rows + broken


async def find_journey(settings: Settings, key: ObjectId) -> Mapping[str, Any] | None:
    """Return the journey document with this id, as stored."""
    async with open_stores(settings, only_looking=True) as stores:
        return next((document for document in await stores.catalog.load() if document["_id"] == key), None)


async def publish_statements(
    settings: Settings, lines: Iterable[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]
) -> int:
    """Produce (key, value, headers) to the statements topic; return how many once all are acknowledged.

    Raises `InvalidInput` at the end when some are too large for the topic: all others are published then. Raises
    `BrokerUnavailable` as soon as others were not acknowledged.
    """
    published, refused = 0, list[str]()
    async with open_producer(settings) as producer:
        await check_topics(settings)
        with telling_how_many(lambda: published):
            for chunk in _chunks(lines):
                outcomes = await publish(producer, settings.statements_topic, chunk)
                first = published + len(refused) + 1
                refused += [f"line {number} ({why})" for number, why in enumerate(outcomes, first) if why]
                published += outcomes.count(None)
    if refused:
        raise InvalidInput(
            f"{len(refused)} lines are too large, the other {published} are published; counted through all files "
            f"without empty lines, the first are {', '.join(refused[:REFUSED_SHOWN])}: raise max.message.bytes of the "
            f"topic, and {PREFIX}KAFKA_MAX_MESSAGE_BYTES"
        )
    return published


def _chunks(lines: Iterable[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]) -> Iterator[list[Message]]:
    """Cut lines into what is produced together: bounded in bytes too, for it is all in memory and has one deadline."""
    chunk: list[Message] = []
    size = 0
    for key, value, headers in lines:
        chunk.append(Message(value, key, headers))
        size += len(value)
        if len(chunk) >= PUBLISH_CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


async def add_client(settings: Settings, client: Mapping[str, Any]) -> None:
    """Save a client of the HTTP interfaces; its secret is hashed already."""
    async with _open_clients(settings) as clients:
        await clients.insert(client)


async def list_clients(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Return every client, without secrets."""
    async with _open_clients(settings) as clients:
        return await clients.all()


async def revoke_client(settings: Settings, key: str) -> bool:
    """Trust the client with this key no more; say whether there is one."""
    async with _open_clients(settings) as clients:
        return await clients.revoke(key, SystemClock().now())


@asynccontextmanager
async def _open_clients(settings: Settings) -> AsyncIterator[MongoClients]:
    """Connect to MongoDB and hold it to what the processor needs: raises what `open_stores` does, as soon."""
    async with open_database(settings) as database:
        await check_fit(database)
        yield MongoClients(database)


async def find_progress(settings: Settings, **wanted: Any) -> list[Mapping[str, Any]]:
    """Return progress documents as `ports.ProgressReader.find` yields them."""
    async with open_stores(settings, only_looking=True) as stores:
        return [document async for document in stores.reader.find(**wanted)]


@dataclass(frozen=True, slots=True)
class Status:
    """What waits, all over: records per partition, documents, dead letters; None where `unknown` says why."""

    lag: Mapping[str, int] | None
    backlog: Backlog | None
    dead_letters: int | None
    unknown: Mapping[str, JourneyProgressError]


async def read_status(settings: Settings) -> Status:
    """Ask both servers what waits; what one of them does not answer is unknown, the rest is told."""
    unknown: dict[str, JourneyProgressError] = {}

    async def answer(name: str, question: Awaitable[Answer]) -> Answer | None:
        try:
            return await question
        except JourneyProgressError as error:
            unknown[name] = error
            return None

    lag, backlog, dead_letters = await asyncio.gather(
        answer("lag", group_lag(settings)),
        answer("backlog", _backlog(settings)),
        answer("dead_letters", count_dead_letters(settings)),
    )
    return Status(lag, backlog, dead_letters, dict(sorted(unknown.items())))


async def _backlog(settings: Settings) -> Backlog:
    async with open_stores(settings, only_looking=True) as stores:
        return await stores.progress.backlog(SystemClock().now())


async def list_locks(settings: Settings, limit: int) -> tuple[datetime, Sequence[Lock]]:
    """Return the present time, and up to `limit` leases on documents and outboxes, the earliest end first."""
    async with open_stores(settings, only_looking=True) as stores:
        return SystemClock().now(), await stores.progress.locks(limit)


async def find_dead_letters(settings: Settings, selection: Selection) -> AsyncGenerator[DeadLetter, None]:
    """Yield the chosen letters up to the topic's present end, in the order of each partition."""
    async with aclosing(read_dead_letters(settings)) as letters:
        async for letter in letters:
            if selection.takes(letter):
                yield letter


async def replay_dead_letters(
    settings: Settings, selection: Selection, *, rate: float | None = None, dry_run: bool = False
) -> Replayed:
    """Publish the records of the chosen letters to the statements topic again; a dry run only counts them."""
    find = partial(read_original, settings)
    async with aclosing(read_dead_letters(settings)) as letters, AsyncExitStack() as stack:
        if dry_run:
            return await replay(letters, selection, find, _publish_nothing, None)
        producer = await stack.enter_async_context(open_producer(settings))
        await check_topics(settings)
        again = partial(publish, producer, settings.statements_topic)
        return await replay(letters, selection, find, again, rate)


async def _publish_nothing(messages: Sequence[Message]) -> list[str | None]:
    """Stand in for publishing in a dry run."""
    return [None] * len(messages)


@asynccontextmanager
async def open_events(settings: Settings) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
    """Subscribe to progress-updated events from the topic's beginning, without a group; yields each as a mapping."""
    async with subscription(settings) as events:
        yield events
