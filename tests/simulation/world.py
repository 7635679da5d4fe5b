"""A world: processes, servers, a client, a seed and a schedule of faults; it runs until nothing is left to do."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from bson import ObjectId

from processor.core.index import Known, index_journeys
from processor.core.journey import JourneyRules
from processor.core.revision import revision_of
from processor.testing.broker import MemoryBroker
from processor.testing.group import MemoryGroup
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.writes import Document
from schemas.journey import journey_document, journey_from
from tests.simulation.ledger import Ledger, Violation
from tests.simulation.onlooker import Onlooker
from tests.simulation.process import SESSION, STATEMENTS, TOPOLOGIES, Loops, Parts, Process, Rests, Servers, rebalanced
from tests.simulation.scenario import Edit, Message, Scenario, Trait
from tests.simulation.schedule import Fault, Kind, Schedule
from tests.simulation.scheduler import Client, Crashed, Scheduler, Stuck, Turn

PATIENCE = 150.0
"""Seconds that a world may take to come to rest once the faults are over: several leases."""

PAUSES = (0.0, 0.0, 0.1, 0.4, 1.5)
"""Seconds between two actions of the client."""


class _Over(Exception):
    """The run has its result."""


@dataclass
class World:
    """One run. After `run`, `violations` says what was broken while it ran."""

    seed: int
    schedule: Schedule
    parts: Parts = field(default_factory=Parts)
    edited: Sequence[Trait] | None = None
    topology: Sequence[Loops] | None = None

    def __post_init__(self) -> None:
        self.random = Random(f"world {self.seed}")
        self.scenario = Scenario(self.seed, self.edited)
        self.scheduler = Scheduler(Random(f"turns {self.seed}"), self.schedule, self._strike, self._look, self._settle)
        broker = MemoryBroker()
        group = MemoryGroup(broker, STATEMENTS, self.random.randint(1, 4))
        self.servers = Servers(broker, group, Ledger(broker))
        self.client = Client()
        self.processes: list[Process] = []
        self.ledger = self.servers.ledger
        self.onlooker = Onlooker(self.scenario, self.servers.group, self.ledger)
        self._names = 0
        self._down = 0
        self._calm_since: float | None = None
        self._known: Known = {}

    @property
    def violations(self) -> list[Violation]:
        return self.ledger.violations

    @property
    def rules(self) -> Mapping[ObjectId, JourneyRules]:
        """The journeys as they stand now."""
        index, self._known = index_journeys(self.servers.database.journeys.values(), self._known)
        return index.journeys

    @property
    def documents(self) -> Mapping[ObjectId, Document]:
        database = self.servers.database
        return {key: database.whole(document) for key, document in database.progresses.items()}

    def run(self) -> None:
        """Run to the end: at rest, or a guarantee broken."""
        loop = self.scheduler.loop
        loop.set_exception_handler(lambda _loop, context: self._unforeseen(context))
        main = loop.create_task(self._live())
        try:
            loop.run_until_complete(main)
        except _Over:
            pass
        except Stuck as error:
            self.ledger.broken("P3", str(error))
        finally:
            self._end(main)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        await self._catalog.save(self.scenario.journeys)
        drawn = self.random.choice(TOPOLOGIES)
        for loops in self.topology or drawn:
            self._start(loops)
        for action in self.scenario.actions:
            await asyncio.sleep(self.random.choice(PAUSES))
            await self.scheduler.turn(self.client, "client")
            if isinstance(action, Message):
                self._publish(action)
            else:
                await self._edit(action)
        self.client.is_done = True
        await loop.create_future()

    @property
    def _catalog(self) -> MemoryJourneyCatalog:
        return MemoryJourneyCatalog(self.servers.database)

    def _publish(self, message: Message) -> None:
        record = self.servers.broker.append(STATEMENTS, message.value, message.key, message.headers)
        self.onlooker.sent[record.partition, record.offset] = message

    async def _edit(self, edit: Edit) -> None:
        before = journey_from(self.servers.database.journeys[edit["_id"]])
        revised = revision_of(journey_from(edit), before, self.scheduler.now())
        if revised:
            await self._catalog.save([journey_document(revised)])
            for process in self.processes:
                if process.rests.has_ears:
                    process.edited.set()

    # What the scheduler calls

    def _strike(self, fault: Fault, turn: Turn) -> None:
        """Do to the world what the schedule wants."""
        group, actor = self.servers.group, turn.actor
        match fault.kind:
            case Kind.CRASH if isinstance(actor, Process):
                self._crash(actor, fault.seconds)
            case Kind.FREEZE if isinstance(actor, Process):
                self._freeze(actor, fault.seconds)
            case Kind.STOP if isinstance(actor, Process):
                actor.around.stop.set()
            case Kind.REBALANCE:
                self.scheduler.loop.create_task(rebalanced(group))
            case Kind.SEIZE if group.members:
                group.members.append(group.members.pop(0))
                group.spread()
            case Kind.REDELIVER if group.members:
                group.redeliver(group.members[fault.seconds % len(group.members)])
            case _:
                pass

    def _look(self) -> None:
        self.onlooker.look(is_faultless=not self.scheduler.struck)
        if self.violations:
            raise _Over

    def _settle(self) -> None:
        """End the run when nothing is left to do, or when it takes too long."""
        quiet = self.client.is_done and not self._down and not any(it.is_frozen for it in self.processes)
        is_at_rest = not unrest(self)
        if quiet and is_at_rest:
            raise _Over
        if not (quiet and self.scheduler.is_calm):
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = self.scheduler.loop.time()
        elif self.scheduler.loop.time() - self._calm_since > PATIENCE:
            self.violations.extend(unrest(self))
            raise _Over

    # Processes

    def _start(self, loops: Loops) -> None:
        self._names += 1
        skew = timedelta(milliseconds=self.random.randint(-2000, 2000))
        draw = self.random.choice
        rests = Rests(draw((4.0, 9.0, 15.0)), draw((1.0, 3.0, 8.0)), draw((True, False)))
        process = Process(
            f"p{self._names}", loops, self.servers, self.scheduler, self.parts, skew, draw((1, 2, 4)), rests
        )
        process.main.add_done_callback(lambda task: self._ended(process, task))
        self.processes.append(process)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        if process.is_dead or process not in self.processes:
            return
        error = None if task.cancelled() else task.exception()
        if error:
            self.ledger.broken("world", f"{process.name} ended by itself: {error!r}, caused by {error.__cause__!r}")
        process.is_dead = True
        self._replace(process, 5)

    def _crash(self, process: Process, seconds: int) -> None:
        process.crash()
        self.scheduler.loop.call_later(SESSION, process.leave)
        self._replace(process, seconds)

    def _replace(self, process: Process, seconds: int) -> None:
        self.processes.remove(process)
        self._down += 1
        self.scheduler.loop.call_later(seconds, self._start_again, process.loops)

    def _start_again(self, loops: Loops) -> None:
        self._down -= 1
        self._start(loops)

    def _freeze(self, process: Process, seconds: int) -> None:
        process.is_frozen = True
        if seconds > SESSION:
            self.scheduler.loop.call_later(SESSION, process.leave)
        self.scheduler.loop.call_later(seconds, self._thaw, process)

    def _thaw(self, process: Process) -> None:
        process.is_frozen = False
        if process.member and not process.is_dead:
            self.scheduler.loop.create_task(process.enter())

    def _unforeseen(self, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Crashed):
            self.ledger.broken("world", f"{context.get('message')}: {error!r}")

    def _end(self, main: "asyncio.Task[None]") -> None:
        loop = self.scheduler.loop
        for process in self.processes:
            process.crash()
        main.cancel()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()


def unrest(world: World) -> list[Violation]:
    """Return what is left to do, by the guarantee that says it gets done."""
    left = [
        Violation("I3", f"partition {number} is read up to {world.servers.group.committed.get(number, 0)} of {end}")
        for number in range(world.servers.broker.partitions)
        if world.servers.group.committed.get(number, 0) < (end := len(world.servers.broker.log(STATEMENTS, number)))
    ]
    if left:
        return left
    documents = world.servers.database.progresses
    rules = world.rules if documents else {}
    for key, document in documents.items():
        processing, journey = document["processing"], rules[document["journey"]]
        pending = any(entry["statements"] for entry in document["pendingProgress"].values())
        if pending or "due" in processing or "lease" in processing:
            left.append(Violation("P3", f"{key} has something to promote, and nobody does: {_marks(processing)}"))
        elif processing.get("waiting") or processing.get("folded") != journey.version:
            marks = _marks(processing)
            left.append(Violation("P3", f"nobody woke {key} for version {journey.version} of its journey: {marks}"))
        waits = world.servers.database.without_published(document)["processing"].get("outbox")
        if waits or "publish" in processing or "relayLease" in processing:
            left.append(Violation("R1", f"{key} has something to publish, and nobody does: {_marks(processing)}"))
    return left


def _marks(processing: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in processing.items() if name not in ("surplus", "outbox"))
