"""The composition root: settings to running loops. The only module that knows stores and transports by name."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from bson import ObjectId
from prometheus_client import start_http_server

from processor.clock import SystemClock
from processor.core.decode import Tenancy
from processor.core.identity import Identification
from processor.core.promotion import FoldingPolicy
from processor.errors import InvalidSettings, Unavailable
from processor.metrics import Metrics
from processor.ports import JourneyCatalog, ProgressReader, ProgressStore
from processor.services import ingest, journeys, promoter, relay
from processor.services.ingest import Ingest, IngestPolicy
from processor.services.journeys import Journeys, JourneyWatch
from processor.services.promoter import Promoter
from processor.services.relay import Relay
from processor.services.supervisor import Loop, supervise
from processor.services.surroundings import Leasing, Surroundings
from processor.settings import PREFIX, Settings
from processor.store.connect import check_fit, open_database
from processor.store.indexes import ensure_indexes
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.transport.consumer import open_source
from processor.transport.dead_letters import KafkaDeadLetters
from processor.transport.events import KafkaEventSink
from processor.transport.producer import open_producer
from processor.transport.topics import check_topics, create_topics

START = "start"

Thing = TypeVar("Thing")


class Part(StrEnum):
    """The loops that a process can run; `run` runs all three."""

    INGEST = "ingest"
    PROMOTE = "promote"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Stores:
    """The MongoDB side."""

    progress: ProgressStore
    reader: ProgressReader
    catalog: JourneyCatalog


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Connect to MongoDB, hold it to what the processor needs and make the indexes.

    Raises `Misfit` (standalone server, wrong credentials) or `StoreUnavailable`.
    """
    async with open_database(settings) as database:
        await check_fit(database)
        await ensure_indexes(database)
        yield Stores(
            progress=MongoProgressStore(database),
            reader=MongoProgressReader(database),
            catalog=MongoJourneyCatalog(database, poll=settings.journeys_poll),
        )


async def run_processor(
    settings: Settings, parts: Sequence[Part] = tuple(Part), stop: asyncio.Event | None = None
) -> None:
    """Run the loops of `parts` until `stop` is set, then drain them within the shutdown deadline.

    An outage at the start is waited out like any other. Raises `Misfit` when a server is not fit, `LoopDied` on
    a bug.
    """
    around = Surroundings(SystemClock(), Metrics(), stop or asyncio.Event(), backoff=settings.outage_backoff)
    async with AsyncExitStack() as stack:
        _serve_metrics(settings, around.metrics, stack)
        try:
            loops = await _Assembly(settings, around, stack).loops(parts)
        except Unavailable:
            if around.stop.is_set():  # asked to stop in an outage at the start: nothing has begun
                return
            raise
        await supervise(loops, around, settings.shutdown_deadline)


@dataclass(frozen=True, slots=True)
class _Assembly:
    """Opens what the asked parts need, waiting out outages, and makes their loops."""

    settings: Settings
    around: Surroundings
    stack: AsyncExitStack

    async def loops(self, parts: Sequence[Part]) -> list[Loop]:
        settings, around = self.settings, self.around
        stores = await self._open(lambda: open_stores(settings))
        await around.outlast(START, lambda: _prepare_topics(settings))
        known = Journeys(stores.catalog, around)
        await around.outlast(START, known.refresh)

        loops: list[Loop] = []
        if Part.INGEST in parts or Part.PROMOTE in parts:
            woken = stores.progress if Part.PROMOTE in parts else None
            loops.append(Loop(journeys.LOOP, JourneyWatch(known, stores.catalog, around, woken).step))
        producer = None
        if Part.INGEST in parts or Part.RELAY in parts:
            producer = await self._open(lambda: open_producer(settings))

        appended, promoted = asyncio.Event(), asyncio.Event()
        if Part.INGEST in parts:
            source = await self._open(lambda: open_source(settings))
            letters = KafkaDeadLetters(producer, settings.dead_letters_topic, around.clock)
            member = Ingest(source, stores.progress, letters, known, _ingest_policy(settings), around, appended)
            loops.append(Loop(ingest.LOOP, member.step))
        lease = timedelta(seconds=settings.lease)
        if Part.PROMOTE in parts:
            worker = Promoter(
                stores.progress,
                known,
                folding_policy(settings),
                around,
                Leasing(lease, settings.promote_batch),
                promoted,
            )
            loops.append(Loop(promoter.LOOP, worker.step, settings.idle_pause, appended))
        if Part.RELAY in parts:
            sink = KafkaEventSink(producer, settings.progress_topic)
            publisher = Relay(stores.progress, sink, around, Leasing(lease, settings.relay_batch))
            loops.append(Loop(relay.LOOP, publisher.step, settings.idle_pause, promoted))
        return loops

    async def _open(self, opened: Callable[[], AbstractAsyncContextManager[Thing]]) -> Thing:
        return await self.around.outlast(START, lambda: self.stack.enter_async_context(opened()))


def folding_policy(settings: Settings) -> FoldingPolicy:
    """Return the settings that the fold depends on."""
    return FoldingPolicy(settings.surplus_limit, settings.lateness_horizon, settings.duration_unit)


def _ingest_policy(settings: Settings) -> IngestPolicy:
    return IngestPolicy(
        tenancy=Tenancy(_object_id(settings.default_organisation), _object_id(settings.default_store)),
        identification=Identification(settings.lowercase_actors, settings.count_group_members),
    )


def _object_id(text: str | None) -> ObjectId | None:
    return ObjectId(text) if text else None


async def _prepare_topics(settings: Settings) -> None:
    if settings.create_topics:
        await create_topics(settings)
    else:
        await check_topics(settings)


def _serve_metrics(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> None:
    if not settings.http_port:
        return
    try:
        server, thread = start_http_server(settings.http_port, settings.http_host, metrics.registry)
    except OSError as error:
        raise InvalidSettings(
            f"{PREFIX}HTTP_PORT: cannot listen on {settings.http_host}:{settings.http_port} ({error.strerror}); "
            "set another port, or 0 for none"
        ) from None
    stack.callback(thread.join)
    stack.callback(server.shutdown)
