"""What `bench` does: measure one process on the operator's own cluster, in topics and a database of its own.

1. refuse what is there already, make the rest; it is all removed at the end, however that comes,
2. fill the topic, so that the loops always have work, and let them run in this process until all is done,
3. at a third of that rate, though never above 3,000/s, time each matching statement from when it was due to be sent to
   its event.
"""

import asyncio
import re
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from processor.app import Part, run_processor
from processor.clock import SystemClock
from processor.core.sample import Sample
from processor.core.sizing import Measured
from processor.errors import BrokerUnavailable, InvalidInput, JourneyProgressError
from processor.metrics import Metrics
from processor.opening import Stores, open_stores
from processor.operating import apply_journeys, create_all_topics, open_events
from processor.settings import Settings
from processor.store.connect import Database, check_fit, open_database
from processor.store.failures import translated
from processor.store.status import seconds_writing
from processor.transport.producer import Message, Producer, open_producer
from processor.transport.topics import delete_topics, present_topics, topic_names
from schemas.journey import with_ids

Found = TypeVar("Found")

NAMES = re.compile(r"[a-zA-Z0-9_-]{1,50}")
PARTS = (Part.INGEST, Part.PROMOTE, Part.RELAY)
CHUNK = 2_000
LOOK = 0.02
"""Seconds between two looks at how far it is."""

TICK = 0.005
"""Seconds between two sendings at the steady rate."""

STEADY = 1 / 3
"""Share of the saturating rate that latency is measured at, up to `MOST`."""

MOST = 3_000.0
"""Statements a second that this process can send, time and hear of besides its work."""

Told = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and how far it will go."""

MAKING = 30.0
"""Seconds that what is being made is waited for before all of it is removed."""

Removing = Callable[[], asyncio.Event]
"""Called when what was made begins to be removed; returns what is set when the rest of it is to be left."""

Left = Callable[[str], None]
"""Told what could not be removed, why, and how to remove it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    statements: int
    sample: Sample

    @property
    def steady_seconds(self) -> float:
        """How long latency is measured."""
        return max(1.0, min(self.statements / 5_000, 10.0))


def grounds(settings: Settings, prefix: str, statements: int) -> Settings:
    """Return the operator's settings on topics, a group and a database that nobody else uses.

    Few statements come in smaller batches: the first batch is not measured, and must not be all there is. Raises
    `InvalidInput` when the prefix is no name for all of these.
    """
    if not NAMES.fullmatch(prefix):
        raise InvalidInput(f"--prefix {prefix!r}: topics and a database are to be called so: letters, digits, - and _")
    batch = min(settings.batch_records, statements // 5)
    names = {
        "statements_topic": f"{prefix}.statements",
        "progress_topic": f"{prefix}.progress",
        "dead_letters_topic": f"{prefix}.dead-letters",
        "consumer_group": prefix,
        "mongo_database": prefix,
    }
    own = {
        "topic_partitions": 1,
        "batch_records": batch,
        "auto_offset_reset": "earliest",
        "http_port": 0,
        "rejection_budget": 0.0,
    }
    return settings.model_copy(update=names | own)


async def bench(settings: Settings, plan: Plan, told: Told, removing: Removing, left: Left) -> Measured:
    """Measure on `grounds`; raise `InvalidInput` when something there exists already, or what the servers raise.

    What was measured is returned also when what was made cannot be removed.
    """
    async with _prepared(settings, plan, removing, left) as database, AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings))
        producer = await stack.enter_async_context(open_producer(settings))
        for start in range(0, plan.statements, CHUNK):
            numbers = range(start, min(start + CHUNK, plan.statements))
            await _publish(producer, settings, [_message(plan.sample, number) for number in numbers])
            told("publishing", numbers.stop, plan.statements)
        stop, metrics = asyncio.Event(), Metrics()
        loops = asyncio.create_task(run_processor(settings, PARTS, stop, metrics=metrics))
        try:
            measuring = _Measuring(settings, plan, stores, database, metrics, told)
            measured = await _while_running(loops, measuring.saturated())
            paced = min(measured.rate * STEADY, MOST)
            latencies = await _while_running(loops, measuring.latencies(producer, paced))
        finally:
            stop.set()
            await asyncio.gather(loops, return_exceptions=True)
    return replace(measured, paced=paced, latencies=latencies)


@asynccontextmanager
async def _prepared(settings: Settings, plan: Plan, removing: Removing, left: Left) -> AsyncIterator[Database]:
    async with open_database(settings) as database:
        await check_fit(database)
        present = await present_topics(settings)
        taken = [f"topic {name}" for name in topic_names(settings) if name in present]
        with translated():
            taken += [f"database {database.name}"] if await database.list_collection_names() else []
        if taken:
            raise InvalidInput(
                f"there is {' and '.join(taken)} already, and a measurement touches nothing that is there: choose "
                "another --prefix, or delete what one that was killed has left"
            )
        making = asyncio.create_task(_make(settings, plan))
        try:
            await asyncio.shield(making)
            yield database
        finally:
            await _clear_away(settings, database, making, removing(), left)


async def _make(settings: Settings, plan: Plan) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [with_ids(dict(it)) for it in plan.sample.journey_documents()])


async def _clear_away(
    settings: Settings, database: Database, making: "asyncio.Task[None]", enough: asyncio.Event, left: Left
) -> None:
    """Remove what was made; when `enough` is set before it is gone, tell what may be left."""
    clearing = asyncio.create_task(_made_and_removed(settings, database, making, left))
    asked = asyncio.create_task(enough.wait())
    await asyncio.wait([clearing, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if clearing.done():
        await clearing
        return
    making.cancel()
    clearing.cancel()
    await asyncio.gather(making, clearing, return_exceptions=True)
    for it in (_database_left(settings), _topics_left(settings)):
        left(f"{it}: a signal ended the removing")


async def _made_and_removed(settings: Settings, database: Database, making: "asyncio.Task[None]", left: Left) -> None:
    """Wait for what is being made: a collection that a server is just making would come after the removing."""
    _, late = await asyncio.wait([making], timeout=MAKING)
    making.cancel()
    await _remove(settings, database, left)
    if late:
        names = f"database {settings.mongo_database} and topics {', '.join(topic_names(settings))}"
        left(f"what was still being made after {MAKING:g} s may come yet: look later for {names}")


async def _remove(settings: Settings, database: Database, left: Left) -> None:
    """Remove the database and the topics; what stays is told, so that nothing is lost that was measured.

    Each collection is dropped, as the role readWrite allows; with the last of them goes the database.
    """
    try:
        with translated():
            for name in await database.list_collection_names():
                await database.drop_collection(name)
    except (JourneyProgressError, PyMongoError) as error:
        left(f"{_database_left(settings)}: {error}")
    try:
        await delete_topics(settings)
    except (JourneyProgressError, KafkaError) as error:
        left(f"{_topics_left(settings)}: {error}")


def _database_left(settings: Settings) -> str:
    name = settings.mongo_database
    return f"database {name} may be left, remove it by hand (mongosh: db.getSiblingDB('{name}').dropDatabase())"


def _topics_left(settings: Settings) -> str:
    names = ", ".join(topic_names(settings))
    return f"topics {names} may be left, remove them by hand (kafka-topics.sh --delete --topic NAME)"


async def _while_running(loops: "asyncio.Task[None]", work: Coroutine[Any, Any, Found]) -> Found:
    """Do the work unless the loops end before: then raise what they ended with."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task, loops], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await loops
        return await task
    finally:
        task.cancel()


@dataclass(frozen=True, slots=True)
class _Measuring:
    settings: Settings
    plan: Plan
    stores: Stores
    database: Database
    metrics: Metrics
    told: Told

    async def saturated(self) -> Measured:
        """Time from the first committed batch, so that the start does not count, until all is done."""
        await self._until_read(1)
        first, began, cpu = self._count("records"), time.perf_counter(), time.process_time()
        mongo = await seconds_writing(self.database)
        await self._until_read(self.plan.statements)
        await self._until_quiet()
        seconds, spent = time.perf_counter() - began, await seconds_writing(self.database)
        return Measured(
            statements=max(self.plan.statements - first, 1),
            matches=self._count("matches"),
            documents=self._count("promotions"),
            seconds=seconds,
            cpu=time.process_time() - cpu,
            mongo=None if spent is None or mongo is None else spent - mongo,
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            paced=0.0,
            latencies=(),
        )

    async def latencies(self, producer: Producer, rate: float) -> list[float]:
        """Send on a schedule that waits for nobody; return how long each learner's first event was in coming."""
        sample, first = self.plan.sample, 10 * self.plan.statements
        numbers = range(first, first + int(rate * self.plan.steady_seconds))
        messages = [_message(sample, number) for number in numbers]
        async with open_events(self.settings) as events:
            for _ in range(self._count("events")):  # what the saturated loops have published
                await anext(events)
            began = time.perf_counter() + TICK
            due = {
                messages[number - first].key: began + (number - first) / rate
                for number in numbers
                if sample.matched(number) is not None
            }
            if not due:
                return []
            try:
                async with asyncio.TaskGroup() as sendings:
                    sendings.create_task(self._pace(sendings, producer, messages, began, rate))
                    return await self._waits(events, due)
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None

    async def _waits(self, events: AsyncIterator[Mapping[str, Any]], due: dict[bytes | None, float]) -> list[float]:
        waits: list[float] = []
        while due:
            event = await anext(events)
            learner = event["data"]["owner"]["ident"]["account"]["name"].encode()
            if (instant := due.pop(learner, None)) is not None:
                waits.append(time.perf_counter() - instant)
                self.told("timing", len(waits), len(waits) + len(due))
        return waits

    async def _pace(
        self, sendings: asyncio.TaskGroup, producer: Producer, messages: Sequence[Message], began: float, rate: float
    ) -> None:
        """Send what is due at every tick, whether the last was acknowledged or not."""
        sent = 0
        while sent < len(messages):
            until = min(int((time.perf_counter() - began) * rate) + 1, len(messages))
            if until > sent:
                sendings.create_task(_publish(producer, self.settings, messages[sent:until]))
                sent = until
            await asyncio.sleep(TICK)

    async def _until_read(self, records: int) -> None:
        while (read := self._count("records")) < records:
            self.told("reading", read, self.plan.statements)
            await asyncio.sleep(LOOK)

    async def _until_quiet(self) -> None:
        """Wait until nothing is due, claimed or unpublished."""
        while True:
            waits = await self.stores.progress.backlog(SystemClock().now())
            if not waits.due + waits.claimed + waits.outbox:
                return
            await asyncio.sleep(LOOK)

    def _count(self, counter: str) -> int:
        return int(self.metrics.registry.get_sample_value(f"journey_progress_{counter}_total") or 0)


def _message(sample: Sample, number: int) -> Message:
    key, value = sample.statement(number)
    return Message(value, key)


async def _publish(producer: Producer, settings: Settings, messages: Sequence[Message]) -> None:
    if failure := next(filter(None, await producer.produce(settings.statements_topic, messages)), None):
        raise BrokerUnavailable(f"not every statement was acknowledged: {failure}")
