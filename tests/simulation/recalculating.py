"""A small world in memory for recalculation: learners, a journey that changes, crashes after any durable effect."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from bson import ObjectId

from processor.core.completions import attempts_from
from processor.core.decode import stored_statement
from processor.core.identity import Identification
from processor.core.matching import match
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.recalculation import Recalculation, Stage
from processor.metrics import Metrics
from processor.ports.recalculation import History
from processor.services.continuations import Continuations
from processor.services.finished import Finished
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.recalculation import RecalculatingPolicy, Recalculator
from processor.services.surroundings import Leasing, Surroundings
from processor.testing.database import MemoryDatabase
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.recalculations import MemoryHistory, MemoryRecalculationWork, MemoryReplayStore
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, ORGANISATION, START, WAYPOINTS, a_journey, a_reference, a_statement, at

POLICY = FoldingPolicy(lateness_horizon=timedelta(days=3650), document_bytes=300)
LEASE = timedelta(seconds=10)
PATIENCE = timedelta(seconds=60)


class Crash(Exception):
    """The process died here."""


class HeldClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = at(1_000_000)

    def now(self) -> datetime:
        return self.time

    def pass_(self, by: timedelta) -> None:
        self.time += by


def a_waypoint(number: int, verbs: Iterable[str], count: int = 1, **changes: Any) -> dict[str, Any]:
    verb_ids = [f"http://example.org/{verb}" for verb in verbs]
    conditions = {"statement.verb.id": {"$in": verb_ids}}
    return {
        "_id": ObjectId(WAYPOINTS[number]),
        "isActive": True,
        "conditions": conditions,
        "count": count,
        "order": number,
        **changes,
    }


def the_journey(*waypoints: dict[str, Any], version: int = 1, **changes: Any) -> dict[str, Any]:
    return {**a_journey(_id=JOURNEY, waypoints=list(waypoints), version=version), **changes}


def a_stored(number: int, verb: str, owner: str = "ana", **changes: Any) -> dict[str, Any]:
    """A statement document of collection `statements`, at second `number`."""
    statement = a_statement(number, verb={"id": f"http://example.org/{verb}"})
    statement |= {"actor": {"mbox": f"mailto:{owner}@example.org"}, "timestamp": at(number).isoformat()}
    return {
        "_id": a_reference(number),
        "organisation": ORGANISATION,
        "lrs_id": None,
        "voided": False,
        "person": None,
        "statement": statement,
        "timestamp": at(number),
        "stored": at(number),
        **changes,
    }


@dataclass
class World:
    """One database, and the loops on it. `crashes` decides, effect by effect, whether the process dies there."""

    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    clock: HeldClock = field(default_factory=HeldClock)
    crashes: Callable[[str], bool] = lambda _: False
    rate: float = 1e9
    policy: FoldingPolicy = POLICY
    known_after: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self._keys = count()
        self.work = MemoryRecalculationWork(Recalculation(JOURNEY, "none", None, START), self._faults)
        catalog = MemoryJourneyCatalog(self.database)
        self.known = Journeys(catalog, self._around())
        self.promoter_known = Journeys(catalog, self._around())
        """Refreshed by nobody but the promoter itself, when a document tells that it has to know more (trap 7)."""

    def _faults(self, effect: str) -> None:
        if self.crashes(effect):
            raise Crash(effect)

    def _around(self) -> Surroundings:
        return Surroundings(self.clock, self.metrics, asyncio.Event())

    async def save(self, journey: dict[str, Any]) -> None:
        await MemoryJourneyCatalog(self.database).save([journey])
        await self.known.refresh()

    async def live(self, *documents: dict[str, Any]) -> None:
        """Store statements and ingest them, as the LRS and the live stream do."""
        records = []
        for document in documents:
            self.database.statements[document["_id"]] = document
            records.append(stored_statement(document))
        matched = match([it for it in records if it], self.known.index, Identification())
        await Continuations(self._promoting(self.known)).append(matched.appends, [], self.clock.now())

    async def promote(self, limit: int = 100) -> int:
        return await Promoter(self._promoting(self.promoter_known, limit)).step()

    def _promoting(self, known: Journeys, limit: int = 100) -> Promoting:
        store, leasing = MemoryProgressStore(self.database, self._faults), Leasing(LEASE, limit)
        finished = Finished(LEASE)
        finished.look([] if self.is_at(None) else [JOURNEY], self.clock.now())
        return Promoting(store, known, self.policy, self._around(), leasing, Handover(leasing), finished)

    async def claim_slowly(self) -> Callable[[], Awaitable[object]]:
        """Claim and decide as a promoter does; return what writes it, however late."""
        store = MemoryProgressStore(self.database, self._faults)
        await self.promoter_known.refresh()
        now = self.clock.now()
        claim = await store.claim(f"slow-{next(self._keys)}", now, now + LEASE, 2)
        rules = self.promoter_known.index.journeys[JOURNEY]
        documents = [self.database.whole(dict(document)) for document in claim.documents]
        promotions = [promote(document, rules, POLICY, now) for document in documents]
        return lambda: store.apply(claim, promotions, self.clock.now())

    def start(self, run: str = "run", only: ObjectId | None = None) -> None:
        self.work.recalculation = Recalculation(JOURNEY, run, Stage.RETRACT, self.clock.now(), only=only)
        self.work.lock_key = None

    def recalculator(self, chunk: int = 2, batch: int = 3, history: History | None = None) -> Recalculator:
        """A worker; a crash of the test's is a new one."""
        policy = RecalculatingPolicy(rate=self.rate, known_after=self.known_after, patience=PATIENCE)
        return Recalculator(
            self.work,
            MemoryReplayStore(self.database, self._faults),
            history or MemoryHistory(self.database, chunk=chunk),
            self.known,
            policy,
            self._around(),
            Leasing(LEASE, batch),
        )

    def is_at(self, stage: Stage | None) -> bool:
        return self.work.recalculation.stage is stage

    async def recalculated(self) -> None:
        """Let one worker and one promoter work until all is done."""
        worker = self.recalculator()
        for _ in range(1_000):
            await worker.step()
            await self.promote()
            if self.is_at(None):
                return
        raise AssertionError("the recalculation does not end")

    async def quiet(self) -> None:
        """Promote what is due and what crashed promoters hold."""
        self.clock.pass_(LEASE * 2)
        while await self.promote():
            pass

    def documents(self) -> dict[ObjectId, Any]:
        """What must not depend on how it came about: the attempts, and the dates above them."""
        names = ("startedAt", "isCompleted", "completedAt", "duration")
        return {
            key: (attempts_from(document["completions"]), {name: document.get(name) for name in names})
            for key, document in ((key, self.database.whole(it)) for key, it in self.database.progresses.items())
            if document["completions"]
        }

    def asked(self) -> dict[ObjectId, list[Any]]:
        """What recalculations have asked and nobody has folded."""
        return {key: list(it["processing"].get("replay", ())) for key, it in self.database.progresses.items()}

    def events(self) -> list[Any]:
        return [event for it in self.database.progresses.values() for event in it["processing"].get("outbox", ())]


def some_statements(dice: random.Random, number: int, first: int = 1) -> list[dict[str, Any]]:
    return [a_stored(first + it, dice.choice("abc"), dice.choice(("ana", "ben", "cem"))) for it in range(number)]
