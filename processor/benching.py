"""What `bench` does: measure one process on the operator's own cluster, in topics and a database of its own.

1. make what is needed; it is all removed at the end, however that comes (`grounds.py`),
2. fill the topic, so that the loops always have work, and let them run in this process until all is done,
3. at a third of that rate, though never above 3,000/s, time each matching statement from when it was due to be sent to
   its event.
"""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from processor.app import Part, run_processor
from processor.clock import SystemClock
from processor.core.sample import Sample
from processor.core.sizing import Measured
from processor.errors import BrokerUnavailable
from processor.grounds import Left, Removing, prepared
from processor.metrics import Metrics
from processor.opening import Stores, open_stores
from processor.operating import open_events
from processor.settings import Settings
from processor.store.connect import Database
from processor.store.status import seconds_writing
from processor.transport.batches import Message
from processor.transport.producer import Producer, open_producer

Found = TypeVar("Found")

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


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    statements: int
    sample: Sample

    @property
    def steady_seconds(self) -> float:
        """How long latency is measured."""
        return max(1.0, min(self.statements / 5_000, 10.0))


async def bench(settings: Settings, plan: Plan, told: Told, removing: Removing, left: Left) -> Measured:
    """Measure on `grounds`; raise `InvalidInput` when something there exists already, or what the servers raise.

    What was measured is returned also when what was made cannot be removed.
    """
    async with prepared(settings, plan.sample, removing, left) as database, AsyncExitStack() as stack:
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


class _Standing(NamedTuple):
    """How many records were read at an instant, and the CPU and MongoDB's writing until then, in seconds."""

    records: int
    time: float
    cpu: float
    mongo: float | None


@dataclass(frozen=True, slots=True)
class _Measuring:
    settings: Settings
    plan: Plan
    stores: Stores
    database: Database
    metrics: Metrics
    told: Told

    async def saturated(self) -> Measured:
        """Time from the first committed batch, so that the start does not count, until all is done.

        The start counts for so few statements that the first batch has them all.
        """
        start = await self._standing()
        await self._until_read(1)
        first = await self._standing()
        if first.records >= self.plan.statements:
            first = start
        await self._until_read(self.plan.statements)
        await self._until_quiet()
        last = await self._standing()
        return Measured(
            statements=self.plan.statements - first.records,
            matches=self._count("matches"),
            documents=self._count("promotions"),
            seconds=last.time - first.time,
            cpu=last.cpu - first.cpu,
            mongo=None if last.mongo is None or first.mongo is None else last.mongo - first.mongo,
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            paced=0.0,
            latencies=(),
        )

    async def _standing(self) -> "_Standing":
        records, now, cpu = self._count("records"), time.perf_counter(), time.process_time()
        return _Standing(records, now, cpu, await seconds_writing(self.database))

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
