"""What a process opens: the MongoDB side, what the interfaces are made of, and what a recalculation reads."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from processor.clock import SystemClock
from processor.metrics import Metrics
from processor.policies import ingest_policy, recalculation_policy
from processor.ports.interfaces import Clients, JourneyCatalog, JourneyWriter, QueryReader
from processor.ports.progress import ProgressReader, ProgressStore
from processor.ports.recalculation import History, Recalculations
from processor.ports.stream import Clock
from processor.services.liveness import Vitals
from processor.settings import Settings
from processor.store.clients import MongoClients
from processor.store.connect import check_fit, open_database
from processor.store.history import MongoHistory
from processor.store.indexes import ensure_indexes
from processor.store.journeys import MongoJourneyCatalog, MongoJourneyWriter
from processor.store.progress import MongoProgressStore
from processor.store.queries import MongoQueryReader
from processor.store.reader import MongoProgressReader
from processor.store.recalculations import MongoRecalculations
from processor.store.replays import MongoReplayStore
from processor.transport.history import open_history as open_topic


@dataclass(frozen=True, slots=True)
class Stores:
    """The MongoDB side."""

    progress: ProgressStore
    reader: ProgressReader
    catalog: JourneyCatalog
    journeys: MongoJourneyWriter
    recalculations: MongoRecalculations
    replays: MongoReplayStore
    history: MongoHistory


@asynccontextmanager
async def open_stores(settings: Settings, *, only_looking: bool = False) -> AsyncIterator[Stores]:
    """Connect to MongoDB, hold it to what the processor needs and make the indexes.

    Who is only looking makes none: to look with a newer release starts no build, and the role `read` is enough.
    Raises `Misfit` (standalone server, wrong credentials) or `StoreUnavailable`.
    """
    async with open_database(settings) as database:
        await check_fit(database)
        if not only_looking:
            await ensure_indexes(database)
        progress = MongoProgressStore(database, worker=f"{settings.client_id}@{socket.gethostname()}:{os.getpid()}")
        yield Stores(
            progress=progress,
            reader=MongoProgressReader(database),
            catalog=MongoJourneyCatalog(database, poll=settings.journeys_poll),
            journeys=MongoJourneyWriter(database),
            recalculations=MongoRecalculations(database, SystemClock(), recalculation_policy(settings)),
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


@asynccontextmanager
async def open_interfaces(settings: Settings, metrics: Metrics, vitals: Vitals) -> AsyncIterator[Interfaces]:
    """Open what the interfaces need, with a connection of their own; nothing is sent before the first request."""
    async with open_database(settings) as database:
        clock = SystemClock()
        yield Interfaces(
            queries=MongoQueryReader(database, settings.http_query_timeout, clock),
            journeys=MongoJourneyWriter(database),
            clients=MongoClients(database),
            recalculations=MongoRecalculations(database, clock, recalculation_policy(settings)),
            clock=clock,
            metrics=metrics,
            vitals=vitals,
        )


@asynccontextmanager
async def open_history(settings: Settings, stores: Stores) -> AsyncIterator[History]:
    """Yield what RECALCULATE_FROM names."""
    if settings.recalculate_from == "statements":
        yield stores.history
        return
    async with open_topic(settings, ingest_policy(settings).tenancy) as history:
        yield history
