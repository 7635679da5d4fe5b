"""The composition root: settings to running loops.

It, `opening.py` and `policies.py` below it, and `operating.py`, `grounds.py` and `benching.py` above know stores and
transports by name (pyproject.toml holds the rest to it).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from processor.clock import SystemClock
from processor.errors import Unavailable
from processor.metrics import Metrics
from processor.opening import Interfaces, Stores, open_history, open_interfaces, open_stores
from processor.policies import folding_policy, ingest_policy, recalculating_policy, trust, woken_again
from processor.ports.progress import Evidence
from processor.probes import probes
from processor.services import audit, backlog, finished, ingest, journeys, lag, promoter, recalculation, relay
from processor.services.audit import Audit
from processor.services.backlog import BacklogWatch
from processor.services.beginnings import Beginnings
from processor.services.continuations import Continuations
from processor.services.finished import Finished, RecalculationWatch
from processor.services.handover import Handover
from processor.services.ingest import Ingest, PromoterBeside
from processor.services.journeys import Journeys, JourneyWatch
from processor.services.lag import LagWatch
from processor.services.liveness import Liveness, Partition, Standing, Standings, Vitals
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.recalculation import Recalculator
from processor.services.relay import Relay
from processor.services.supervisor import Loop, supervise
from processor.services.surroundings import Leasing, Surroundings
from processor.settings import Settings
from processor.transport.connect import STOP_TIMEOUT
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.dead_letters import KafkaDeadLetters
from processor.transport.events import KafkaEventSink
from processor.transport.producer import open_producer
from processor.transport.topics import check_topics, create_topics

START = "start"
HANDED = 32
"""Batches of outboxes that wait for the relay of their process at most; the rest waits in the store."""

LETTING_GO = 4 * STOP_TIMEOUT + 5.0
"""Seconds in which a process lets go of its servers when all else has ended; so long if Kafka hangs."""

Thing = TypeVar("Thing")


class Part(StrEnum):
    """The loops that a process can run; `run` runs all of them."""

    INGEST = "ingest"
    PROMOTE = "promote"
    RELAY = "relay"
    RECALCULATION = "recalculation"


Outside = Callable[[Interfaces], AbstractAsyncContextManager[None]]
"""Serves the interfaces of a process while it is open; handed in, as the loops do not need it."""

Beside = Callable[[Vitals], AbstractAsyncContextManager[None]]
"""Goes on beside the loops while it is open: how a process tells how it is, and hears how its siblings are."""


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

    With `outside` the interfaces are served from the start to the end, without it metrics and health alone. An outage
    at the start is waited out like any other. Raises `Misfit` when a server is not fit, `LoopDied` on a bug.
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
        if outside := outside or (probes(settings) if settings.http_port else None):
            interfaces = await stack.enter_async_context(open_interfaces(settings, around.metrics, vitals))
            vitals.watch(interfaces.queries.reach)
            vitals.watch(lambda: check_topics(settings))
            await stack.enter_async_context(outside(interfaces))
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
    """One loop tells the next that there is work; a lost hint costs a pause, a lost hand-over a lease."""

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
        room = HANDED if Part.RELAY in parts else 0
        over = Finished(trust(settings), ingest_policy(settings).identification)
        hints = _Hints(Handover(self._leasing(settings.relay_batch), room), over)

        loops: list[Loop] = []
        if any(part is not Part.RELAY for part in parts):  # which publishes whatever the journeys are
            await around.outlast(START, known.refresh)
            woken = stores.progress if Part.PROMOTE in parts else None
            watch = JourneyWatch(known, stores.catalog, around, woken, woken_again(settings))
            loops.append(Loop(journeys.LOOP, watch.step))
        if Part.PROMOTE in parts or Part.RELAY in parts:
            loops.append(Loop(backlog.LOOP, BacklogWatch(stores.progress, around).step, settings.backlog_poll))
        if Part.PROMOTE in parts:
            worker = Promoter(self._promoting(stores, known, hints))
            full = settings.promote_batch if Part.INGEST in parts else 1
            loops.append(Loop(promoter.LOOP, worker.step, settings.idle_pause, hints.appended, full))
            looking = RecalculationWatch(hints.finished, stores.recalculations, around)
            loops.append(Loop(finished.LOOP, looking.step, settings.journeys_poll / 3))
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
            loops.append(Loop(audit.LOOP, Audit(stores.progress, around).step, settings.backlog_poll))
        if Part.INGEST in parts:
            source = await self._open(lambda: open_source(settings))
            self.vitals.watch(lambda: _has_its_place(source))
            letters = KafkaDeadLetters(producer, settings.dead_letters_topic, around.clock)
            store = self._evidence(parts, stores, known, hints)
            promoter = PromoterBeside(hints.appended, hints.finished) if Part.PROMOTE in parts else PromoterBeside()
            member = Ingest(source, store, letters, known, ingest_policy(settings), around, promoter)
            loops.append(Loop(ingest.LOOP, member.step))
            behind = LagWatch(lambda: consumer_standings(source), lambda: _held(source), around)
            loops.append(Loop(lag.LOOP, behind.step, settings.backlog_poll))
        return loops

    def _evidence(self, parts: Sequence[Part], stores: Stores, known: Journeys, hints: _Hints) -> Evidence:
        """Return where ingest puts what it found; only with a promoter beside it may it promote in passing."""
        if Part.PROMOTE not in parts:
            return stores.progress
        promoting = self._promoting(stores, known, hints)
        return Beginnings(promoting, rest=Continuations(promoting))

    def _promoting(self, stores: Stores, known: Journeys, hints: _Hints) -> Promoting:
        policy, leasing = folding_policy(self.settings), self._leasing(self.settings.promote_batch)
        return Promoting(stores.progress, known, policy, self.around, leasing, hints.handover, hints.finished)

    async def _recalculation_loop(self, stores: Stores, known: Journeys) -> Loop:
        settings = self.settings
        history = await self._open(lambda: open_history(settings, stores))
        policy = recalculating_policy(settings)
        leasing = self._leasing(settings.promote_batch)
        worker = Recalculator(stores.recalculations, stores.replays, history, known, policy, self.around, leasing)
        return Loop(recalculation.LOOP, worker.step, settings.idle_pause)

    def _leasing(self, batch: int) -> Leasing:
        return Leasing(timedelta(seconds=self.settings.lease), batch)

    async def _open(self, opened: Callable[[], AbstractAsyncContextManager[Thing]]) -> Thing:
        return await self.around.outlast(START, lambda: self.stack.enter_async_context(opened()))


async def consumer_standings(source: KafkaRecordSource) -> Standings:
    """Return where a consumer stands. Raises `BrokerUnavailable`."""
    return {partition: Standing(*where) for partition, where in (await source.standings()).items()}


async def _stopping(stop: asyncio.Event) -> str | None:
    return "stopping" if stop.is_set() else None


async def _has_its_place(source: KafkaRecordSource) -> str | None:
    return None if source.gate.is_settled else "the consumer group has not settled: no partitions are assigned"


def _held(source: KafkaRecordSource) -> frozenset[Partition] | None:
    return source.assignment if source.gate.is_settled else None


async def _check_stores(settings: Settings) -> None:
    async with open_stores(settings):
        pass


async def _prepare_topics(settings: Settings) -> None:
    if settings.create_topics:
        await create_topics(settings)
    else:
        await check_topics(settings)
