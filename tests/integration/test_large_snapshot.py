"""A large snapshot is built beside the stream: ingest goes on meanwhile, and no pause is as long as the build."""

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from bson import ObjectId

from processor.clock import SystemClock
from processor.core.decode import Tenancy
from processor.metrics import Metrics
from processor.services.ingest import Ingest, IngestPolicy, PromoterBeside
from processor.services.journeys import MANY, Journeys
from processor.services.surroundings import Surroundings
from processor.testing.broker import MemoryBroker, MemoryDeadLetters
from processor.testing.database import MemoryDatabase
from processor.testing.group import MemoryGroup
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.store import MemoryProgressStore
from tests.builders import ORGANISATION, WAYPOINTS, a_journey, a_statement

JOURNEYS = 3_000


def a_course(number: int) -> dict[str, object]:
    conditions = {"statement.verb.id": "http://example.org/did", "statement.object.id": f"http://example.org/{number}"}
    return a_journey(waypoints=[{"_id": ObjectId(WAYPOINTS[0]), "conditions": conditions}])


class ReadCatalog(MemoryJourneyCatalog):
    """A catalog that is read already: the fake copies its journeys in one go, a pause that MongoDB does not make."""

    def __init__(self, database: MemoryDatabase, documents: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(database)
        self._documents = documents

    async def load(self) -> Sequence[Mapping[str, Any]]:
        return self._documents


async def test_ingest_goes_on_while_very_many_journeys_are_compiled() -> None:
    assert JOURNEYS > MANY
    broker, database = MemoryBroker(), MemoryDatabase()
    around = Surroundings(SystemClock(), Metrics())
    catalog = ReadCatalog(database, [a_course(number) for number in range(JOURNEYS)])
    journeys = Journeys(catalog, around)
    store = MemoryProgressStore(database)
    source = await MemoryGroup(broker, "statements", most=1).join()
    letters = MemoryDeadLetters(broker, "letters")
    ingest = Ingest(source, store, letters, journeys, IngestPolicy(Tenancy(ORGANISATION)), around, PromoterBeside())
    for number in range(10_000):
        broker.append("statements", orjson.dumps(a_statement(number)))

    now = time.process_time  # not what other processes take of a busy machine
    begun = last = now()
    longest = 0.0
    refresh = asyncio.create_task(journeys.refresh())
    while not refresh.done():
        await ingest.step()
        await asyncio.sleep(0)
        longest, last = max(longest, now() - last), now()
    await refresh
    assert len(journeys.index.journeys) == JOURNEYS
    assert (around.metrics.registry.get_sample_value("journey_progress_records_total") or 0) > 10
    assert longest < (last - begun) / 3
    assert gc.isenabled()
