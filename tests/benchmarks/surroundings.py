"""What is around the process under test: full topics, saved journeys, and when all of it is done."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from processor.app import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import PROGRESSES, Database, open_database
from processor.store.indexes import MARKS
from schemas.journey import journey_document, journey_from
from tests.acceptance.commands import Running, running
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.workloads import Workload, journeys

LOOK = 0.02
"""Seconds between two looks: the grain of every duration that is taken from outside."""

REST = 0.5
FEW = 50
"""How few queries MongoDB gets within so many seconds when the process only looks for work now and then."""

DEADLINE = 300.0
"""Seconds that nothing takes on any machine worth measuring on."""


async def prepare(settings: Settings, workload: Workload) -> None:
    """Make the topics, save the journeys."""
    await create_all_topics(settings)
    async with open_stores(settings) as stores:
        await stores.catalog.save([journey_document(journey_from(document)) for document in journeys(workload)])


async def publish(settings: Settings, values: Iterable[bytes]) -> None:
    """Fill the statements topic's one partition, in batches that are built here: far faster than one by one."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, compression_type="lz4", max_batch_size=262_144
    )
    await producer.start()
    try:
        batch, now = producer.create_batch(), int(time.time() * 1000)
        for value in values:
            if batch.append(key=None, value=value, timestamp=now) is None:
                await producer.send_batch(batch, settings.statements_topic, partition=0)
                batch = producer.create_batch()
                batch.append(key=None, value=value, timestamp=now)
        await producer.send_batch(batch, settings.statements_topic, partition=0)
        await producer.flush()
    finally:
        await producer.stop()


class Watch:
    """Looks from outside whether everything has become durable progress and acknowledged events."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient, database: Database) -> None:
        self._settings = settings
        self._admin = admin
        self._database = database
        self._progresses = database[PROGRESSES]

    async def until_warm(self, total: int) -> None:
        """Wait as `until_done` does, and until the process rests: what it does once, at its start, is not measured."""
        await self.until_done(total)
        async with asyncio.timeout(DEADLINE):
            queries = -FEW
            while (now := await self._queries()) - queries >= FEW:
                queries = now
                await asyncio.sleep(REST)

    async def until_done(self, total: int) -> None:
        """Wait until `total` statements are committed, and nothing is due, claimed or unpublished."""
        async with asyncio.timeout(DEADLINE):
            while await self._committed() < total or await self._is_busy():  # noqa: ASYNC110 - another process's work
                await asyncio.sleep(LOOK)

    async def standing(self, total: int) -> tuple[int, bool]:
        """Return how many statements are committed, and whether all `total` are, and nothing is left to do."""
        committed = await self._committed()
        return committed, committed >= total and not await self._is_busy()

    async def _queries(self) -> int:
        status = await self._database.client.admin.command("serverStatus")
        return int(status["opcounters"]["query"])

    async def _committed(self) -> int:
        try:
            committed = await self._admin.list_consumer_group_offsets(self._settings.consumer_group)
        except GroupCoordinatorNotAvailableError:  # Apache Kafka makes its coordinator for the first group that asks
            return 0
        known = committed.get(TopicPartition(self._settings.statements_topic, 0))
        return known.offset if known else 0

    async def _is_busy(self) -> bool:
        for mark in MARKS:
            if await self._progresses.find_one({mark: {"$exists": True}}, {"_id": 1}, hint=[(mark, 1)]):
                return True
        return False


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Connect a watch to both servers; drop the database at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        async with open_database(settings) as database:
            yield Watch(settings, admin, database)
            await database.client.drop_database(database.name)
    finally:
        await admin.close()


@asynccontextmanager
async def under_test(settings: Settings, cores: Cores, folder: Path) -> AsyncIterator[Running]:
    """Run `journey-progress run` on its core; its log goes to the folder."""
    with pinned(cores.processor):
        process = running(settings, folder / f"{settings.mongo_database}.log")
        started = process.__enter__()
    try:
        yield started
    finally:
        process.__exit__(None, None, None)
