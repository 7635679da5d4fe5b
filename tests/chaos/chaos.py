"""The world under fault: servers, processors, the script at work, and the figures in the end."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from pydantic import SecretStr

from processor.core.journey import compile_journey
from processor.embedded import ServerProcess
from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import open_database
from schemas.journey import journey_document, journey_from, with_ids
from tests.acceptance.commands import Running
from tests.acceptance.proof import Verdict, verdict_on
from tests.acceptance.world import until_quiet
from tests.apache.broker import apache_kafka
from tests.chaos.replica_set import ReplicaSet, replica_set
from tests.chaos.script import Fault, Kind, Plan, script
from tests.chaos.stream import JOURNEYS, POISON, Subscriber, produce_steadily

ORGANISATION = "59198183d8ea540933227033"
QUIET_DEADLINE = 300.0
SETTLED_DEADLINE = 120.0
STORM = 4


@dataclass(slots=True)
class Outcome:
    """What a run came to; times in seconds."""

    verdict: Verdict
    acknowledged: int
    faults: dict[Kind, int]
    recovery: dict[Kind, float]
    stall: float
    quiet: float
    statuses: list[int]
    died: list[str] = field(default_factory=list)


class Chaos:
    """The processors and servers of one run, and what can be done to them."""

    def __init__(self, settings: Settings, mongo: ReplicaSet, broker: ServerProcess, logs: Path) -> None:
        self.settings = settings
        self.died: list[str] = []
        self.ended: dict[Kind, list[float]] = {}
        self._mongo = mongo
        self._broker = broker
        self._logs = logs
        self._lives = 0
        self._slots: dict[int, Running] = {}
        # One fault of a server at a time, or no majority would ever be left.
        self._mongo_lock = asyncio.Lock()
        self._broker_lock = asyncio.Lock()
        self._strikes: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.KILL: self._kill,
            Kind.FREEZE: self._freeze,
            Kind.STEP_DOWN: self._step_down,
            Kind.KILL_PRIMARY: self._kill_primary,
            Kind.RESTART_BROKER: self._restart_broker,
            Kind.STORES_AWAY: self._stores_away,
            Kind.PARTITIONS: self._add_partitions,
            Kind.STORM: self._storm,
        }

    def start(self, slot: int) -> None:
        """Start the processor of a slot."""
        self._slots[slot] = self._running()

    def _running(self) -> Running:
        self._lives += 1
        return Running(self.settings, self._logs / f"processor-{self._lives:04d}.log")

    async def settled(self) -> None:
        """Wait until each that still runs has its place in the group: before, SIGTERM may find nobody who heeds it."""
        deadline = time.monotonic() + SETTLED_DEADLINE
        for running in self._slots.values():
            while running.process.poll() is None and not running.logged("partitions assigned"):
                assert time.monotonic() < deadline, f"it has no place in the group: see {running.log}"
                await asyncio.sleep(0.5)

    def stop(self) -> list[int]:
        """SIGTERM to all; return their exit statuses."""
        return [running.stop() for running in self._slots.values()]

    async def play(self, faults: Sequence[Fault], begin: float) -> None:
        """Let every fault strike at its time; return when the last has ended."""
        await asyncio.gather(*[self._strike(fault, begin) for fault in faults])

    async def _strike(self, fault: Fault, begin: float) -> None:
        await asyncio.sleep(begin + fault.at - time.monotonic())
        await self._strikes[fault.kind](fault)
        self.ended.setdefault(fault.kind, []).append(time.monotonic())

    async def _kill(self, fault: Fault) -> None:
        running = self._slots[fault.slot]
        status = running.process.poll()
        if status is not None:
            self.died.append(f"{running.log.name} ended by itself with {status}")
        await asyncio.to_thread(running.kill)
        self.start(fault.slot)

    async def _freeze(self, fault: Fault) -> None:
        process = self._slots[fault.slot].process
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(fault.length)
        with suppress(ProcessLookupError):  # killed meanwhile
            os.kill(process.pid, signal.SIGCONT)

    async def _step_down(self, _fault: Fault) -> None:
        async with self._mongo_lock:
            await asyncio.to_thread(self._mongo.step_down)
            await asyncio.to_thread(self._mongo.primary)

    async def _kill_primary(self, fault: Fault) -> None:
        async with self._mongo_lock:
            member = self._mongo.members[await asyncio.to_thread(self._mongo.primary)]
            await asyncio.to_thread(member.kill)
            await asyncio.sleep(fault.length)
            await asyncio.to_thread(member.start)
            await asyncio.to_thread(self._mongo.primary)

    async def _restart_broker(self, _fault: Fault) -> None:
        async with self._broker_lock:
            await asyncio.to_thread(self._broker.kill)
            await asyncio.to_thread(self._broker.start)

    async def _stores_away(self, fault: Fault) -> None:
        async with self._mongo_lock, self._broker_lock:
            servers = [self._broker, *self._mongo.members.values()]
            await asyncio.gather(*[asyncio.to_thread(server.kill) for server in servers])
            await asyncio.sleep(fault.length)
            await asyncio.gather(*[asyncio.to_thread(server.start) for server in servers])
            await asyncio.to_thread(self._mongo.primary)

    async def _add_partitions(self, _fault: Fault) -> None:
        async with self._broker_lock:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
            await admin.start()
            try:
                topic = self.settings.statements_topic
                (found,) = [it for it in await admin.describe_topics() if it["topic"] == topic]
                await admin.create_partitions({topic: NewPartitions(len(found["partitions"]) + 1)})
            finally:
                await admin.close()

    async def _storm(self, fault: Fault) -> None:
        """Members come and go, one after the other, faster than the group can settle."""
        comers: list[Running] = []
        for _ in range(STORM):
            comers.append(self._running())
            await asyncio.sleep(fault.length / STORM)
        for comer in comers:
            await asyncio.to_thread(comer.stop)


def chaos_settings(kafka: str, mongo_url: str) -> Settings:
    """Settings under which faults are noticed soon; no surplus is cut and nothing sealed, so that F1 is exact.

    Documents are small: attempts leave them and come back all the time.
    """
    return Settings(
        _env_file=None,
        kafka_bootstrap_servers=kafka,
        mongo_url=SecretStr(mongo_url),
        mongo_database="chaos",
        default_organisation=ORGANISATION,
        topic_partitions=4,
        http_port=0,
        session_timeout=6,
        rebalance_timeout=6,
        lease=6,
        mongo_timeout=5,
        outage_backoff=2,
        idle_pause=0.05,
        surplus_limit=100_000,
        document_bytes=1_024,
        lateness_horizon="P3650D",
    )


async def run_chaos(plan: Plan, seed: int, logs: Path) -> Outcome:
    """Run one script on fresh servers: Apache Kafka, three mongods, the plan's processors."""
    with apache_kafka() as (kafka, broker), replica_set() as mongo:
        settings = chaos_settings(kafka, mongo.url)
        await create_all_topics(settings)
        journeys = [journey_from(with_ids({**journey, "organisation": ORGANISATION})) for journey in JOURNEYS]
        async with open_stores(settings) as stores:
            await stores.catalog.save([journey_document(journey) for journey in journeys])
        chaos = Chaos(settings, mongo, broker, logs)
        subscriber = Subscriber()
        listening = asyncio.create_task(subscriber.listen(settings))
        try:
            for slot in range(plan.processors):
                chaos.start(slot)
            begin = time.monotonic()
            acknowledged, _ = await asyncio.gather(
                produce_steadily(settings, seed, plan.rate, plan.seconds), chaos.play(script(plan, seed), begin)
            )
            end = time.monotonic()
            await until_quiet(settings, QUIET_DEADLINE)
            quiet = time.monotonic() - end
            await chaos.settled()
        finally:
            statuses = await asyncio.to_thread(chaos.stop)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        rules = [compile_journey(journey_document(journey)) for journey in journeys]
        async with open_database(settings) as database:
            verdict = await verdict_on(settings, database, rules, POISON)
    arrivals = subscriber.arrivals
    return Outcome(
        verdict=verdict,
        acknowledged=acknowledged,
        faults={kind: len(ends) for kind, ends in chaos.ended.items()},
        recovery={kind: max(_until_next(arrivals, end) for end in ends) for kind, ends in chaos.ended.items()},
        stall=max((later - sooner for sooner, later in pairwise(arrivals)), default=0.0),
        quiet=quiet,
        statuses=statuses,
        died=chaos.died,
    )


def _until_next(arrivals: Sequence[float], instant: float) -> float:
    return next((arrival - instant for arrival in arrivals if arrival >= instant), 0.0)
