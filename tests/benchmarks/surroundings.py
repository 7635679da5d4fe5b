"""What is around the process under test: full topics, saved journeys, and when all of it is done."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from pymongo.errors import PyMongoError

from processor.errors import JourneyProgressError
from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import PROGRESSES, Database, open_database
from processor.store.indexes import MARKS
from processor.store.relays import BY_NUMBER, Relays
from processor.transport.reading import spans_of
from schemas.journey import journey_document, journey_from
from tests.acceptance.commands import Running, environment
from tests.benchmarks.machine import pinned
from tests.benchmarks.workloads import Workload, journeys, values

LOOK = 0.02
"""Seconds between two looks: the grain of every duration that is taken from outside."""

REST = 0.5
FEW = 50
"""How few queries MongoDB gets within so many seconds when the process only looks for work now and then."""

BATCH = 262_144
"""Bytes of a batch before it is compressed."""

LZ4, ZSTD = 3, 4
"""What Kafka calls these compressions in a batch."""

TAKEN = 256 * 2**20
"""Bytes of memory that are taken before each measurement."""

OWN = ("createdAt", "updatedAt", "lockKey", "pendingProgress", "processing")
"""Fields that tell how and when, not what."""

DEADLINE = 120.0
"""Seconds that no workload takes on any machine worth measuring on."""


async def prepare(settings: Settings, workload: Workload) -> None:
    """Make the topics, save the journeys."""
    await create_all_topics(settings)
    async with open_stores(settings) as stores:
        await stores.catalog.save([journey_document(journey_from(document)) for document in journeys(workload)])


async def publish(settings: Settings, statements: Iterable[bytes]) -> None:
    """Fill the statements topic, in batches that are built here: far faster than one by one."""
    await _send(settings, _batches(statements), 0)


async def fill(
    settings: Settings, workload: Workload, start: int, stop: int, partition: int = 0, stride: int = 1
) -> None:
    """Publish a part of a workload. Its batches are kept: every subject gets the same, compressed only once.

    Then some of the memory that nobody uses is taken, and left again. What a virtual machine has given back to its host
    costs who uses it next, up to 7 µs a page: `mongod` took 42 µs a document where it grew into such, and else 24.
    """
    await _send(settings, _kept(workload, start, stop, stride), partition)
    _ = b"\1" * TAKEN


@cache
def _kept(workload: Workload, start: int, stop: int, stride: int) -> Sequence[BatchBuilder]:
    return tuple(_batches(values(workload, start, stop, stride)))


def _batches(statements: Iterable[bytes]) -> Iterator[BatchBuilder]:
    batch, now = _batch(), int(time.time() * 1000)
    for value in statements:
        if batch.append(key=None, value=value, timestamp=now) is None:
            yield batch
            batch = _batch()
            batch.append(key=None, value=value, timestamp=now)
    yield batch


def _batch() -> BatchBuilder:
    return BatchBuilder(BATCH, LZ4)


async def _send(settings: Settings, batches: Iterable[BatchBuilder], partition: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        for batch in batches:
            await producer.send_batch(batch, settings.statements_topic, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


class Stalled(Exception):
    """The process under test has died, or does not get on; the message says where its log ends."""


FAULTS = (Stalled, OSError, subprocess.SubprocessError, JourneyProgressError, KafkaError, PyMongoError)
"""What a measurement ends with when a process or a server fails it."""


class Outcome(NamedTuple):
    """Progress documents, the digest of their public state, and how many events there were."""

    documents: int
    digest: str
    events: int

    def is_of_the_same_job(self, other: "Outcome") -> bool:
        """Tell whether the other did the same: events may be fewer where more statements came to one, or repeated."""
        return self.digest == other.digest and min(self.events, other.events) >= self.documents


class Watch:
    """Looks from outside whether everything has become durable progress and acknowledged events.

    `watched` are the processes that have to live meanwhile.
    """

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient, database: Database) -> None:
        self._settings = settings
        self._admin = admin
        self._database = database
        self._progresses = database[PROGRESSES]
        self._relays = Relays(database)
        self.watched: list[Running] = []

    async def until_warm(self, total: int) -> None:
        """Wait as `until_done` does, and until the process rests: what it does once, at its start, is not measured."""
        await self.until_done(total)
        async with asyncio.timeout(DEADLINE):
            queries = -FEW
            while (now := await self._queries()) - queries >= FEW:
                queries = now
                await asyncio.sleep(REST)

    async def until_done(self, total: int) -> None:
        """Wait until `total` statements are committed, and nothing is due, claimed or unpublished.

        Raises `Stalled` when one of `watched` has died, or when all this takes longer than the deadline.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                while await self._committed() < total or await self._is_busy():
                    self.check_alive()
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise Stalled(f"{await self._committed():,} of {total:,} in {DEADLINE:.0f} s; {self._ends()}") from None

    async def outcome(self) -> Outcome:
        """Return what has come of it all: the documents as readers see them, whenever they were written, and events."""
        digest, documents = sha256(), 0
        async for document in self._progresses.find({}, dict.fromkeys(OWN, 0)).sort("_id"):
            digest.update(orjson.dumps(document, default=str, option=orjson.OPT_SORT_KEYS))
            documents += 1
        spans = await spans_of(self._settings, self._settings.progress_topic)
        return Outcome(documents, digest.hexdigest(), sum(span.end - span.begin for span in spans.values()))

    def check_alive(self) -> None:
        """Raise `Stalled` when one of `watched` has died."""
        for running in self.watched:
            if (status := running.process.poll()) is not None:
                raise Stalled(f"it ended with status {status}; {self._ends()}")

    def _ends(self) -> str:
        return " ".join(running.log.read_text(errors="replace")[-400:] for running in self.watched)

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
        return sum(it.offset for where, it in committed.items() if where.topic == self._settings.statements_topic)

    async def _is_busy(self) -> bool:
        for mark in MARKS:
            if await self._progresses.find_one({mark: {"$exists": True}}, {"_id": 1}, hint=[(mark, 1)]):
                return True
        for _, conditions in await self._relays.unpublished():
            for condition in conditions:
                if await self._progresses.find_one(condition, {"_id": 1}, hint=BY_NUMBER):
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


class Program(Running):
    """Another program than ours, kept in the same way."""

    def __init__(self, settings: Settings, log: Path, command: Sequence[str]) -> None:
        self.log = log
        self._file = log.open("ab")
        self.process = subprocess.Popen(command, env=environment(settings), stderr=self._file)


@asynccontextmanager
async def under_test(
    settings: Settings, core: int, folder: Path, watch: Watch, command: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """Run `journey-progress run`, or another command, on a core, watched; its log goes to the folder."""
    with pinned(core):
        log = folder / f"{uuid4().hex}.log"
        started = Program(settings, log, command) if command else Running(settings, log)
    watch.watched.append(started)
    try:
        yield started
    finally:
        watch.watched.remove(started)
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGCONT)  # it may be frozen
            try:
                started.stop()
            except subprocess.TimeoutExpired:
                started.kill()
