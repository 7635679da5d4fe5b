"""The composition root: settings to running loops. It and `operating.py` above it alone know stores and transports."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from bson import ObjectId
from prometheus_client import start_http_server

from processor.clock import SystemClock
from processor.core.decode import Tenancy
from processor.core.identity import Identification
from processor.core.promotion import FoldingPolicy
from processor.core.rejections import RejectionBudget
from processor.errors import InvalidSettings, Unavailable
from processor.metrics import Metrics
from processor.ports import (
    Clients,
    Clock,
    Evidence,
    History,
    JourneyCatalog,
    JourneyWriter,
    ProgressReader,
    ProgressStore,
    QueryReader,
    Recalculations,
)
from processor.services import backlog, finished, ingest, journeys, promoter, recalculation, relay
from processor.services.backlog import BacklogWatch
from processor.services.beginnings import Beginnings
from processor.services.finished import Finished, RecalculationWatch
from processor.services.handover import Handover
from processor.services.ingest import Ingest, IngestPolicy, PromoterBeside
from processor.services.journeys import Journeys, JourneyWatch
from processor.services.liveness import Liveness, Standing, Standings, Vitals
from processor.services.promoter import Promoter
from processor.services.recalculation import RecalculatingPolicy, Recalculator
from processor.services.relay import Relay
from processor.services.supervisor import Loop, supervise
from processor.services.surroundings import Leasing, Surroundings
from processor.settings import PREFIX, Settings
from processor.store.clients import MongoClients
from processor.store.connect import check_fit, open_database
from processor.store.history import MongoHistory
from processor.store.indexes import ensure_indexes
from processor.store.journeys import MongoJourneyCatalog, MongoJourneyWriter
from processor.store.progress import MongoProgressStore
from processor.store.queries import MongoQueryReader
from processor.store.reader import MongoProgressReader
from processor.store.recalculations import MongoRecalculations, RecalculationPolicy
from processor.store.replays import MongoReplayStore
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.dead_letters import KafkaDeadLetters
from processor.transport.events import KafkaEventSink
from processor.transport.history import open_history as open_topic
from processor.transport.producer import open_producer
from processor.transport.topics import check_topics, create_topics

START = "start"
HANDED = 32
"""Batches of outboxes that wait for the relay of their process at most; the rest waits in the store."""

Thing = TypeVar("Thing")


class Part(StrEnum):
    """The loops that a process can run; `run` runs all of them."""

    INGEST = "ingest"
    PROMOTE = "promote"
    RELAY = "relay"
    RECALCULATION = "recalculation"


@dataclass(frozen=True, slots=True)
class Stores:
    """The MongoDB side."""

    progress: ProgressStore
    reader: ProgressReader
    catalog: JourneyCatalog
    recalculations: MongoRecalculations
    replays: MongoReplayStore
    history: MongoHistory


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Connect to MongoDB, hold it to what the processor needs and make the indexes.

    Raises `Misfit` (standalone server, wrong credentials) or `StoreUnavailable`.
    """
    async with open_database(settings) as database:
        await check_fit(database)
        await ensure_indexes(database)
        progress = MongoProgressStore(database, worker=f"{settings.client_id}@{socket.gethostname()}:{os.getpid()}")
        yield Stores(
            progress=progress,
            reader=MongoProgressReader(database),
            catalog=MongoJourneyCatalog(database, poll=settings.journeys_poll),
            recalculations=MongoRecalculations(database, SystemClock(), _recalculation_policy(settings)),
            replays=MongoReplayStore(database, progress),
            history=MongoHistory(database),
        )


@dataclass(frozen=True, slots=True)
class Interfaces:
    """What the HTTP interfaces are made of: the MongoDB side, and how this process is."""

    queries: QueryReader
    journeys: JourneyWriter
    clients: Clients
    recalculations: Recalculations
    clock: Clock
    metrics: Metrics
    vitals: Vitals


Outside = Callable[[Interfaces], AbstractAsyncContextManager[None]]
"""Serves the interfaces of a process while it is open; handed in, as the loops do not need it."""

Beside = Callable[[Vitals], AbstractAsyncContextManager[None]]
"""Goes on beside the loops while it is open: how a process tells how it is, and hears how its siblings are."""


@asynccontextmanager
async def open_interfaces(settings: Settings, metrics: Metrics, vitals: Vitals) -> AsyncIterator[Interfaces]:
    """Open what the interfaces need, with a connection of their own; nothing is sent before the first request."""
    async with open_database(settings) as database:
        clock = SystemClock()
        yield Interfaces(
            queries=MongoQueryReader(database, settings.http_query_timeout, clock),
            journeys=MongoJourneyWriter(database),
            clients=MongoClients(database),
            recalculations=MongoRecalculations(database, clock, _recalculation_policy(settings)),
            clock=clock,
            metrics=metrics,
            vitals=vitals,
        )


async def serve_interfaces(settings: Settings, outside: Outside, stop: asyncio.Event) -> None:
    """Serve the interfaces alone until `stop` is set. Waits an outage out; raises `Misfit` when MongoDB is not fit."""
    around = Surroundings(SystemClock(), Metrics(), stop, backoff=settings.outage_backoff)
    vitals = Vitals(around.liveness)
    vitals.watch(lambda: _stopping(stop))
    async with open_interfaces(settings, around.metrics, vitals) as interfaces, outside(interfaces):
        vitals.watch(interfaces.queries.reach)
        try:
            await around.outlast(START, lambda: _check_stores(settings))
        except Unavailable:
            if not around.stop.is_set():
                raise
        vitals.begin()
        await stop.wait()


async def run_processor(
    settings: Settings,
    parts: Sequence[Part] = tuple(Part),
    stop: asyncio.Event | None = None,
    outside: Outside | None = None,
    beside: Beside | None = None,
    metrics: Metrics | None = None,
) -> None:
    """Run the loops of `parts` until `stop` is set, then drain them within the shutdown deadline.

    With `outside` the interfaces are served from the start to the end. An outage at the start is waited out like any
    other. Raises `Misfit` when a server is not fit, `LoopDied` on a bug.
    """
    liveness = Liveness(settings.liveness_deadline, time.monotonic)
    around = Surroundings(
        SystemClock(), metrics or Metrics(), stop or asyncio.Event(), settings.outage_backoff, liveness
    )
    vitals = Vitals(liveness)
    vitals.watch(lambda: _stopping(around.stop))
    async with AsyncExitStack() as stack:
        if beside:
            await stack.enter_async_context(beside(vitals))
        if outside:
            interfaces = await stack.enter_async_context(open_interfaces(settings, around.metrics, vitals))
            vitals.watch(interfaces.queries.reach)
            vitals.watch(lambda: check_topics(settings))
            await stack.enter_async_context(outside(interfaces))
        else:
            _serve_metrics(settings, around.metrics, stack)
        try:
            loops = await _Assembly(settings, around, stack, vitals).loops(parts)
            vitals.begin()
        except Unavailable:
            if around.stop.is_set():  # asked to stop in an outage at the start: nothing has begun
                return
            raise
        await supervise(loops, around, settings.shutdown_deadline)


@dataclass(frozen=True, slots=True)
class _Hints:
    """One loop tells the next that there is work; a lost hint only costs a pause, a lost hand-over a lease."""

    handover: Handover
    finished: Finished
    appended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Assembly:
    """Opens what the asked parts need, waiting out outages, and makes their loops."""

    settings: Settings
    around: Surroundings
    stack: AsyncExitStack
    vitals: Vitals

    async def loops(self, parts: Sequence[Part]) -> list[Loop]:
        settings, around = self.settings, self.around
        stores = await self._open(lambda: open_stores(settings))
        await around.outlast(START, lambda: _prepare_topics(settings))
        known = Journeys(stores.catalog, around)
        await around.outlast(START, known.refresh)
        room = HANDED if Part.RELAY in parts else 0
        poll = timedelta(seconds=settings.journeys_poll)
        over = Finished(poll, ingest_policy(settings).identification)
        hints = _Hints(Handover(self._leasing(settings.relay_batch), room), over)

        loops: list[Loop] = []
        if any(part is not Part.RELAY for part in parts):
            woken = stores.progress if Part.PROMOTE in parts else None
            again = timedelta(seconds=2 * settings.journeys_poll + settings.lease)
            loops.append(Loop(journeys.LOOP, JourneyWatch(known, stores.catalog, around, woken, again).step))
        if Part.PROMOTE in parts or Part.RELAY in parts:
            loops.append(Loop(backlog.LOOP, BacklogWatch(stores.progress, around).step, settings.backlog_poll))
        if Part.PROMOTE in parts:
            leasing = self._leasing(settings.promote_batch)
            worker = Promoter(
                stores.progress, known, folding_policy(settings), around, leasing, hints.handover, hints.finished
            )
            full = settings.promote_batch if Part.INGEST in parts else 1
            loops.append(Loop(promoter.LOOP, worker.step, settings.idle_pause, hints.appended, full))
        if Part.RECALCULATION in parts:
            loops.append(await self._recalculation_loop(stores, known))
        if Part.INGEST in parts or Part.RELAY in parts:
            loops += await self._kafka_loops(parts, stores, known, hints)
        return loops

    async def _kafka_loops(self, parts: Sequence[Part], stores: Stores, known: Journeys, hints: _Hints) -> list[Loop]:
        settings, around = self.settings, self.around
        producer = await self._open(lambda: open_producer(settings))
        loops: list[Loop] = []
        if Part.RELAY in parts:
            sink = KafkaEventSink(producer, settings.progress_topic)
            publisher = Relay(stores.progress, sink, around, self._leasing(settings.relay_batch), hints.handover)
            self.stack.push_async_callback(publisher.give_back)
            loops.append(Loop(relay.LOOP, publisher.step, settings.idle_pause, hints.handover.given))
        if Part.INGEST in parts:
            source = await self._open(lambda: open_source(settings))
            self.vitals.follow(lambda: consumer_standings(source))
            self.vitals.watch(lambda: _has_its_place(source))
            letters = KafkaDeadLetters(producer, settings.dead_letters_topic, around.clock)
            store = self._evidence(parts, stores, known, hints)
            promoter = PromoterBeside(hints.appended, hints.finished) if Part.PROMOTE in parts else PromoterBeside()
            member = Ingest(source, store, letters, known, ingest_policy(settings), around, promoter)
            loops.append(Loop(ingest.LOOP, _with_lag(member, source, around.metrics)))
            if Part.PROMOTE in parts:
                looking = RecalculationWatch(hints.finished, stores.recalculations, around)
                loops.append(Loop(finished.LOOP, looking.step, settings.journeys_poll / 3))
        return loops

    def _evidence(self, parts: Sequence[Part], stores: Stores, known: Journeys, hints: _Hints) -> Evidence:
        """Return where ingest puts what it found; only with a promoter beside it may it promote what is new."""
        if Part.PROMOTE not in parts:
            return stores.progress
        leasing = self._leasing(self.settings.promote_batch)
        return Beginnings(
            stores.progress, known, folding_policy(self.settings), self.around, leasing, hints.handover, hints.finished
        )

    async def _recalculation_loop(self, stores: Stores, known: Journeys) -> Loop:
        settings = self.settings
        history = await self._open(lambda: open_history(settings, stores))
        policy = _recalculating_policy(settings)
        leasing = self._leasing(settings.promote_batch)
        worker = Recalculator(stores.recalculations, stores.replays, history, known, policy, self.around, leasing)
        return Loop(recalculation.LOOP, worker.step, settings.idle_pause)

    def _leasing(self, batch: int) -> Leasing:
        return Leasing(timedelta(seconds=self.settings.lease), batch)

    async def _open(self, opened: Callable[[], AbstractAsyncContextManager[Thing]]) -> Thing:
        return await self.around.outlast(START, lambda: self.stack.enter_async_context(opened()))


@asynccontextmanager
async def open_history(settings: Settings, stores: Stores) -> AsyncIterator[History]:
    """Yield what RECALCULATE_FROM names."""
    if settings.recalculate_from == "statements":
        yield stores.history
        return
    async with open_topic(settings, ingest_policy(settings).tenancy) as history:
        yield history


def folding_policy(settings: Settings) -> FoldingPolicy:
    """Return the settings that the fold depends on."""
    return FoldingPolicy(
        settings.surplus_limit, settings.lateness_horizon, settings.duration_unit, settings.document_bytes
    )


def _recalculation_policy(settings: Settings) -> RecalculationPolicy:
    return RecalculationPolicy(timedelta(seconds=settings.lease), _known_after(settings))


def _recalculating_policy(settings: Settings) -> RecalculatingPolicy:
    return RecalculatingPolicy(
        identification=ingest_policy(settings).identification,
        rate=settings.recalculate_rate,
        known_after=_known_after(settings),
        patience=timedelta(seconds=settings.lease) * 3,
    )


def _known_after(settings: Settings) -> timedelta:
    """A saved journey is known everywhere after one polling interval; twice as long, as a batch may be in hand."""
    return timedelta(seconds=settings.journeys_poll) * 2


def _with_lag(member: Ingest, source: KafkaRecordSource, metrics: Metrics) -> Callable[[], Awaitable[int]]:
    """Let each step of ingest tell how far it is behind."""

    async def step() -> int:
        done = await member.step()
        for (topic, number), lag in source.lag().items():
            metrics.lag.labels(topic, number).set(lag)
        return done

    return step


async def consumer_standings(source: KafkaRecordSource) -> Standings:
    """Return where a consumer stands, for liveness. Raises `BrokerUnavailable`."""
    return {partition: Standing(*where) for partition, where in (await source.standings()).items()}


async def _stopping(stop: asyncio.Event) -> str | None:
    return "stopping" if stop.is_set() else None


async def _has_its_place(source: KafkaRecordSource) -> str | None:
    return None if source.gate.is_settled else "the consumer group has not settled: no partitions are assigned"


def ingest_policy(settings: Settings) -> IngestPolicy:
    """Return the settings that reading a statement depends on."""
    return IngestPolicy(
        tenancy=Tenancy(_object_id(settings.default_organisation), _object_id(settings.default_store)),
        identification=Identification(settings.lowercase_actors, settings.count_group_members),
        budget=RejectionBudget(settings.rejection_budget, settings.rejection_window),
    )


def _object_id(text: str | None) -> ObjectId | None:
    return ObjectId(text) if text else None


async def _check_stores(settings: Settings) -> None:
    async with open_stores(settings):
        pass


async def _prepare_topics(settings: Settings) -> None:
    if settings.create_topics:
        await create_topics(settings)
    else:
        await check_topics(settings)


def _serve_metrics(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> None:
    if not settings.http_port:
        return
    try:
        server, thread = start_http_server(settings.http_port, settings.http_host, metrics.shown)
    except OSError as error:
        raise InvalidSettings(
            f"{PREFIX}HTTP_PORT: cannot listen on {settings.http_host}:{settings.http_port} ({error.strerror}); "
            "set another port, or 0 for none"
        ) from None
    stack.callback(thread.join)
    stack.callback(server.shutdown)
