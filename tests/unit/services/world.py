"""A world in memory for one loop at a time: its clock stands still, and every durable effect can fail."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from bson import ObjectId

from processor.core.decode import Tenancy
from processor.core.evidence import Append
from processor.errors import BrokerUnavailable, StoreUnavailable
from processor.metrics import Metrics
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.surroundings import Leasing, Surroundings
from processor.testing.broker import MemoryBroker
from processor.testing.database import MemoryDatabase
from processor.testing.group import MemoryGroup
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, ORGANISATION, START, WAYPOINTS, a_journey

STATEMENTS, LETTERS, EVENTS = "statements", "dead-letters", "events"
READS = ("poll.after", "journeys.load.after")
"""They change nothing."""
OURS = Tenancy(organisation=ORGANISATION)


class HeldClock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Effects:
    """Hears of every durable effect, keeps those that were done, and does what a test wants at some of them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._wanted: dict[str, list[Callable[[], None]]] = {}

    def at(self, effect: str, *actions: Callable[[], None]) -> None:
        """Do this at the next occurrences of `effect`, one action each."""
        self._wanted.setdefault(effect, []).extend(actions)

    def fail(self, effect: str, error: Exception, times: int = 1) -> None:
        """Raise at the next occurrences of `effect`."""
        self.at(effect, *[raising(error)] * times)

    def __call__(self, effect: str) -> None:
        if effect.endswith(".after") and effect not in READS:
            self.done.append(effect.removesuffix(".after"))
        if wanted := self._wanted.get(effect):
            wanted.pop(0)()


def raising(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


STORE_AWAY = StoreUnavailable("the store is away, as the test wants")
BROKER_AWAY = BrokerUnavailable("the broker is away, as the test wants")


class World:
    """One process's view of servers in memory; `other` is another process's store, which never fails."""

    def __init__(self, *journeys: Mapping[str, Any]) -> None:
        self.effects = Effects()
        self.clock = HeldClock()
        self.metrics = Metrics()
        self.around = Surroundings(self.clock, self.metrics, backoff=0.0)
        self.database = MemoryDatabase()
        self.broker = MemoryBroker()
        self.group = MemoryGroup(self.broker, STATEMENTS)
        self.store = MemoryProgressStore(self.database, self.effects)
        self.other = MemoryProgressStore(self.database)
        self.catalog = MemoryJourneyCatalog(self.database, self.effects)
        self.journeys = Journeys(self.catalog, self.around)
        self.put(*journeys or [a_journey(_id=JOURNEY)])

    def put(self, *journeys: Mapping[str, Any]) -> None:
        """Save journeys, as another process would."""
        for journey in journeys:
            self.database.journeys[journey["_id"]] = journey
        self.database.journey_changes += 1

    def send(self, *values: Any) -> None:
        """Put records into the statements topic, into one partition."""
        for value in values:
            content = value if isinstance(value, bytes) else orjson.dumps(value)
            self.broker.append(STATEMENTS, content, partition=0)

    async def handover(self, room: int = 1) -> Handover:
        """Return what is handed to a relay that has just told how long it stays."""
        handover, until = Handover(Leasing(), room), self.clock.now() + Leasing().duration
        await self.other.keep_account(handover.account, self.clock.now(), until)
        handover.is_held(until)
        return handover

    def waiting(self) -> list[int]:
        """How many events of each document are still to be published, as far as the documents and accounts tell."""
        documents = map(self.database.without_published, self.documents)
        return [len(document["processing"].get("outbox", ())) for document in documents]

    async def append(self, *appends: Append) -> None:
        await self.other.append(appends, [], self.clock.now())

    @property
    def letters(self) -> list[bytes | None]:
        return [record.value for record in self.broker.records(LETTERS)]

    @property
    def committed(self) -> int:
        """The committed offset of the partition that `send` writes to."""
        return self.group.committed.get(0, 0)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return list(self.database.progresses.values())

    def document(self, progress: ObjectId) -> dict[str, Any]:
        return self.database.progresses[progress]

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.metrics.registry.get_sample_value(f"journey_progress_{name}", labels) or 0.0


def pending(document: Mapping[str, Any], waypoint: str = WAYPOINTS[0]) -> Sequence[Mapping[str, Any]]:
    """What waits in a document."""
    found: Sequence[Mapping[str, Any]] = document["pendingProgress"][waypoint]["statements"]
    return found
