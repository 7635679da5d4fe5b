"""One process of the world: the real loops under the real supervisor, on the fakes, at the scheduler's mercy."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import count

from processor.core.decode import Tenancy
from processor.core.policy import FoldingPolicy
from processor.errors import Unavailable
from processor.metrics import Metrics
from processor.ports.progress import Evidence
from processor.services.beginnings import Beginnings
from processor.services.continuations import Continuations
from processor.services.finished import Finished
from processor.services.handover import Handover
from processor.services.ingest import Ingest, IngestPolicy, PromoterBeside
from processor.services.journeys import Journeys, JourneyWatch
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.relay import Relay
from processor.services.supervisor import Loop, supervise
from processor.services.surroundings import Leasing, Surroundings
from processor.testing.broker import MemoryBroker, MemoryDeadLetters, MemoryEventSink
from processor.testing.database import MemoryDatabase
from processor.testing.group import MemoryGroup, MemoryRecordSource
from processor.testing.journeys import MemoryJourneyCatalog
from tests.simulation.ledger import Ledger, WatchedFinished, WatchedStore
from tests.simulation.onlooker import LETTERS, PROGRESS
from tests.simulation.scheduler import Scheduler

LEASE = 20
POLICY = FoldingPolicy(document_bytes=300, pending_limit=2)
"""Small: of several completed attempts all but the last leave their document, and many pending items take turns."""

SESSION = 5
STATEMENTS = "statements"

Loops = tuple[str, ...]

ALL = ("ingest", "promote", "relay")
TOPOLOGIES: tuple[tuple[Loops, ...], ...] = (
    (ALL, ALL),
    (ALL, ALL, ("promote", "relay")),
    (("ingest",), ("ingest", "promote"), ("promote",), ("relay",)),
    (("ingest", "relay"), ("ingest", "promote"), ("promote", "relay")),
)
"""The loops of each process: several of each kind, in one process or apart, where no hint reaches them."""

METRICS = Metrics()
"""Nobody reads them here, and making them for every process would cost more than the process."""


@dataclass(frozen=True)
class Parts:
    """What processes are made of; a mutation puts a broken one in the place of one of these."""

    store: type[WatchedStore] = WatchedStore
    sink: type[MemoryEventSink] = MemoryEventSink
    source: type[MemoryRecordSource] = MemoryRecordSource
    ingest: type[Ingest] = Ingest
    beginnings: type[Beginnings] = Beginnings
    continuations: type[Continuations] = Continuations
    promoter: type[Promoter] = Promoter
    relay: type[Relay] = Relay
    watch: type[JourneyWatch] = JourneyWatch
    finished: type[WatchedFinished] = WatchedFinished

    @property
    def mutation(self) -> str:
        """The names of the parts that are not the usual ones."""
        usual = Parts()
        return " ".join(
            getattr(self, it.name).__name__
            for it in fields(self)
            if getattr(self, it.name) is not getattr(usual, it.name)
        )


@dataclass
class Servers:
    """What outlives every process."""

    broker: MemoryBroker
    group: MemoryGroup
    ledger: Ledger
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    keys: Callable[[], int] = field(default_factory=lambda: count(1).__next__)


@dataclass(frozen=True, slots=True)
class SkewedClock:
    """A machine's clock, some seconds off."""

    scheduler: Scheduler
    skew: timedelta

    def now(self) -> datetime:
        return self.scheduler.now() + self.skew


@dataclass(frozen=True, slots=True)
class Rests:
    """How long an idle loop rests. `has_ears`: the process hears of edited journeys at once."""

    watch: float
    other: float
    has_ears: bool


@dataclass(eq=False)
class Process:
    """One life of a process; it never comes back, another is started in its place."""

    name: str
    loops: Loops
    servers: Servers
    scheduler: Scheduler
    parts: Parts
    skew: timedelta
    batch: int
    rests: Rests
    is_frozen: bool = False
    is_dead: bool = False
    member: MemoryRecordSource | None = None

    def __post_init__(self) -> None:
        self.around = Surroundings(SkewedClock(self.scheduler, self.skew), METRICS, backoff=1.0)
        self.store = self.parts.store(self.servers.database, self.faults, self.servers.ledger)
        self.catalog = MemoryJourneyCatalog(self.servers.database, self.faults)
        self.edited = asyncio.Event()
        self.journeys = Journeys(self.catalog, self.around)
        self.main = self.scheduler.loop.create_task(self._run())

    async def faults(self, effect: str) -> None:
        await self.scheduler.turn(self, effect)

    def crash(self) -> None:
        self.is_dead = True
        self.is_frozen = False
        self.scheduler.crash(self)
        self.main.cancel()

    async def _run(self) -> None:
        try:
            await self.around.outlast("start", self.journeys.refresh)
        except Unavailable:
            if self.around.stop.is_set():  # asked to stop in an outage at the start, as in `app.run_processor`
                return
            raise
        appended = asyncio.Event()
        handover = Handover(self._leasing(), room=2 if "relay" in self.loops else 0)
        finished = self.parts.finished(self.servers.database, self.servers.ledger)
        finished.look((), self.around.clock.now())  # nothing is recalculated in these worlds
        loops = [Loop("journeys", self._watch().step, self.rests.watch, self.edited)]
        if "promote" in self.loops:
            worker = self.parts.promoter(self._promoting(handover, finished))
            loops.append(Loop("promote", worker.step, self.rests.other, appended))
        relay = None
        if "relay" in self.loops:
            sink = self.parts.sink(self.servers.broker, PROGRESS, self.faults)
            relay = self.parts.relay(self.store, sink, self.around, self._leasing(), handover)
            loops.append(Loop("relay", relay.step, self.rests.other, handover.given))
        if "ingest" in self.loops:
            self.member = self.parts.source(self.servers.group, self.faults)
            await self.enter()
            letters = MemoryDeadLetters(self.servers.broker, LETTERS, self.faults)
            policy = IngestPolicy(Tenancy(), stride=3, piece=2, least=2)
            evidence = self._evidence(handover, finished)
            beside = PromoterBeside(appended, finished) if "promote" in self.loops else PromoterBeside()
            ingest = self.parts.ingest(self.member, evidence, letters, self.journeys, policy, self.around, beside)
            loops.append(Loop("ingest", ingest.step, self.rests.other))
        try:
            await supervise(loops, self.around, deadline=8)
            if relay:
                await relay.give_back()
        finally:
            if not self.is_dead:
                self.leave()

    def _evidence(self, handover: Handover, finished: Finished) -> Evidence:
        if "promote" not in self.loops:
            return self.store
        promoting = self._promoting(handover, finished)
        # One use, as few documents begin alike here.
        return self.parts.beginnings(promoting, rest=self.parts.continuations(promoting), uses=1)

    def _promoting(self, handover: Handover, finished: Finished) -> Promoting:
        return Promoting(self.store, self.journeys, POLICY, self.around, self._leasing(), handover, finished)

    def _watch(self) -> JourneyWatch:
        woken = self.store if "promote" in self.loops else None
        return self.parts.watch(self.journeys, self.catalog, self.around, woken, timedelta(seconds=LEASE))

    def _leasing(self) -> Leasing:
        return Leasing(timedelta(seconds=LEASE), self.batch, lambda: f"{self.name}-key-{self.servers.keys()}")

    async def enter(self) -> None:
        """Join the group."""
        assert self.member is not None
        if self.member not in self.servers.group.members:
            self.servers.group.members.append(self.member)
            await rebalanced(self.servers.group)

    def leave(self) -> None:
        """Leave the group, or be thrown out of it: the partitions go to the others at once."""
        if self.member in self.servers.group.members:
            self.servers.group.members.remove(self.member)
            self.member.take([])
            self.servers.group.spread()


async def rebalanced(group: MemoryGroup) -> None:
    """Spread the partitions anew; members with a batch in hand are waited for until the session is over."""
    try:
        async with asyncio.timeout(SESSION):
            await group.rebalance()
    except TimeoutError:
        group.spread()
